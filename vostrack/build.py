"""The composition root: from the name of a preset to a wired tracker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from vostrack.datasets.augmentation import AugmentationConfig
from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig
from vostrack.models.precision import Precision, resolve_device
from vostrack.models.weights import initialise, read_state_dict
from vostrack.online_finetune.finetune import FinetuneConfig
from vostrack.online_finetune.full_network import FullNetworkAdapter, FullNetworkConfig
from vostrack.proposers.registry import build_proposer
from vostrack.refine.craf import Craf, CrafConfig
from vostrack.refine.spn import SpatialPropagationNetwork, SpnRefiner
from vostrack.tracker import Tracker, TrackerConfig

__all__ = ["PRESETS", "Preset", "TrackerOptions", "build_tracker", "resolve_preset"]


@dataclass(frozen=True)
class Preset:
    """A whole tracker by configuration.

    Attributes:
        network: the generic network, where the weights do not bring their own.
        weights: where its weights come from; see ``vostrack.models.weights.initialise``.
        adapter: how the object models are made.
        tracker: what happens to each frame.
        craf: the temporal filter; None leaves it out.
    """

    network: NetworkConfig
    weights: str
    adapter: FullNetworkConfig
    tracker: TrackerConfig
    craf: CrafConfig | None


# A short schedule needs larger steps than the paper's 30,000 small ones; AdamW takes them without
# the rate having to fit the object's size. Every third sample is the frame itself, so that the
# first frame is met exactly. Objects come nearer and go: on DAVIS training sequences a scale of
# 0.5 to 2 with a head rate of 1e-3 gave 5 to 10 J&F more than 0.75 to 1.3 with 5e-4.
_FAST_AUGMENTATION = AugmentationConfig(
    scale=(0.5, 2.0), rotation=12, shift=0.15, brightness=0.1, contrast=0.1, identity=0.0
)
_FAST_FINETUNE = FinetuneConfig(
    steps=100,
    optimizer="adamw",
    learning_rate=1e-4,
    head_learning_rate=1e-3,
    weight_decay=1e-4,
    schedule="cosine",
    share_limits=(0.1, 0.9),
    original_every=3,
    augmentation=_FAST_AUGMENTATION,
)

_FAST = Preset(
    network=NetworkConfig("resnet18", (4, 8, 16), "topdown", 64, "folded"),
    weights="shipped",
    adapter=FullNetworkConfig(
        foreground=replace(_FAST_FINETUNE, steps=40), objects=_FAST_FINETUNE, share_single=True
    ),
    tracker=TrackerConfig(max_size=854, gate="before"),
    # Posts and limbs split objects; the paper's single region then loses the other parts for good.
    craf=CrafConfig(companions=0.5),
)
_PAPER = Preset(
    network=NetworkConfig(),
    weights="imagenet",
    adapter=FullNetworkConfig(),
    tracker=TrackerConfig(max_size=0, gate="before", gate_dilation=0),
    craf=CrafConfig(),
)


def _without_finetuning(preset: Preset) -> Preset:
    foreground = replace(preset.adapter.foreground, steps=0)
    adapter = replace(preset.adapter, foreground=foreground, share_single=False)
    return replace(preset, adapter=adapter)


def _rows(name: str, preset: Preset) -> dict[str, Preset]:
    """Return a preset and the rows of the paper's tables 1 and 2 made from it."""
    no_craf = replace(preset, craf=None)
    per_video = replace(preset.adapter, per_video=True)
    return {
        name: preset,
        f"{name}-no-craf": no_craf,
        f"{name}-no-craf-no-ft": _without_finetuning(no_craf),
        f"{name}-per-video": replace(preset, adapter=per_video),
    }


PRESETS: dict[str, Preset] = {**_rows("fast", _FAST), **_rows("paper", _PAPER)}


@dataclass(frozen=True)
class TrackerOptions:
    """Changes to a preset; None leaves what the preset says.

    Attributes:
        max_size: longest side that is worked on, pixels; 0 for no limit.
        foreground_steps: fine-tuning steps of the foreground model.
        object_steps: fine-tuning steps of each object model.
        per_video: one model with an output per object in place of one model per object.
        craf: whether the connected region filter is on.
        gate: where scores outside the foreground are made zero.
        spn: file with the weights of a spatial propagation network, which then refines the
            scores; none are shipped, so it is off by default.
        proposer: name of the instance proposer that helps to find lost objects.
        seed: of the augmentations.
        precision: float32 or bfloat16.
    """

    max_size: int | None = None
    foreground_steps: int | None = None
    object_steps: int | None = None
    per_video: bool | None = None
    craf: bool | None = None
    gate: Literal["before", "after", "none"] | None = None
    spn: str | None = None
    proposer: str | None = None
    seed: int = 0
    precision: Precision = "auto"


def resolve_preset(name: str, options: TrackerOptions | None = None) -> Preset:
    """Return the preset with the changes made.

    Raises:
        InputError: no preset of that name, or a value out of its range.
    """
    if name not in PRESETS:
        raise InputError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    preset, options = PRESETS[name], options or TrackerOptions()
    adapter = replace(preset.adapter, seed=options.seed, precision=options.precision)
    tracker, craf = preset.tracker, preset.craf
    if options.foreground_steps is not None:
        adapter = replace(
            adapter, foreground=replace(adapter.foreground, steps=options.foreground_steps)
        )
    if options.object_steps is not None:
        adapter = replace(adapter, objects=replace(adapter.objects, steps=options.object_steps))
    if options.per_video is not None:
        adapter = replace(adapter, per_video=options.per_video)
    if options.max_size is not None:
        tracker = replace(tracker, max_size=options.max_size)
    if options.gate is not None:
        tracker = replace(tracker, gate=options.gate)
    if options.craf is not None:
        craf = (craf or CrafConfig()) if options.craf else None
    if options.proposer is not None and craf is None:
        raise InputError(
            "proposer: it helps the connected region filter to find lost objects, and that filter "
            f"is off (preset {name}); leave --proposer out or switch the filter on with --craf"
        )
    return replace(preset, adapter=adapter, tracker=tracker, craf=craf)


def build_tracker(
    preset: str = "fast",
    *,
    device: str = "auto",
    weights: str = "auto",
    options: TrackerOptions | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Tracker:
    """Build a tracker.

    Args:
        preset: a name out of ``PRESETS``: ``fast`` for a CPU, ``paper`` for the whole schedule of
            Cheng et al. (2017) on a GPU, each with the rows of the paper's ablation.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        weights: ``auto`` (the preset's choice), ``shipped``, ``imagenet``, ``none`` or a file; see
            ``vostrack.models.weights.initialise``.
        options: changes to the preset.
        on_progress: told of every fine-tuning step: model, steps done, steps in all.

    Raises:
        InputError: an unknown name, a value out of its range, or weights that cannot be had.
    """
    options = options or TrackerOptions()
    resolved = resolve_preset(preset, options)
    target = resolve_device(device)
    source = resolved.weights if weights == "auto" else weights
    network = initialise(resolved.network, source, seed=options.seed).to(target)
    return Tracker(
        FullNetworkAdapter(network, resolved.adapter, on_progress=on_progress),
        refiner=_load_spn(Path(options.spn), target) if options.spn is not None else None,
        temporal_filter=Craf(resolved.craf) if resolved.craf is not None else None,
        proposer=build_proposer(options.proposer) if options.proposer is not None else None,
        config=resolved.tracker,
        device=target,
    )


def _load_spn(path: Path, device: torch.device) -> SpnRefiner:
    network = SpatialPropagationNetwork()
    try:
        network.load_state_dict(read_state_dict(path))
    except RuntimeError as error:
        raise InputError(
            f"spn: {path} does not fit the spatial propagation network "
            f"({str(error).splitlines()[1].strip()}); expected the state dict of "
            "vostrack.refine.spn.SpatialPropagationNetwork"
        ) from None
    return SpnRefiner(network.to(device).eval())
