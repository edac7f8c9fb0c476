"""The composition root: from the name of a preset to a wired tracker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from vostrack.compute.isolation import building
from vostrack.compute.precision import resolve_device
from vostrack.errors import InputError
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import (
    holds_target_net,
    initialise,
    load_network,
    load_target_net,
    shipped_weights,
)
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter
from vostrack.online_finetune.target.adapter import TargetModelAdapter
from vostrack.presets import PRESETS, Preset, TrackerOptions, resolve_preset
from vostrack.proposers.hough_voting import FcrnLocalizer, HeadLocalizer, HoughProposer
from vostrack.proposers.registry import build_proposer
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner
from vostrack.refine.craf import Craf
from vostrack.refine.dense_crf import DenseCrfRefiner, SampledCrfRefiner
from vostrack.refine.spn.weights import load_refiner
from vostrack.tracking.tracker import Tracker

__all__ = [
    "PRESETS",
    "Preset",
    "TrackerOptions",
    "build_tracker",
    "effective_preset",
    "resolve_preset",
]

_log = logging.getLogger("vostrack.build")


@building()
def build_tracker(
    preset: str = "balanced",
    *,
    device: str = "auto",
    weights: str = "auto",
    options: TrackerOptions | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Tracker:
    """Build a tracker.

    Args:
        preset: a name out of ``PRESETS``: ``fast``, ``balanced`` and ``best`` follow the objects
            with target models; ``finetune`` fits a compact network to each object, ``paper`` does
            so with the whole schedule of Cheng et al. (2017), on a GPU. The latter two come with
            the rows of the paper's ablation.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        weights: ``auto`` (the preset's choice), ``shipped``, ``imagenet``, ``none`` or a file; see
            ``vostrack.models.weights.initialise``.
        options: changes to the preset.
        on_progress: told of every fine-tuning step: model, steps done, steps in all.

    Raises:
        InputError: an unknown name, a value out of its range, or weights that cannot be had.
    """
    options = options or TrackerOptions()
    resolved = resolve_preset(effective_preset(preset, weights), options)
    on = resolve_device(device)
    source = resolved.weights if weights == "auto" else weights
    adapter = _build_adapter(resolved, source, options, on, on_progress)
    return Tracker(
        adapter,
        refiner=_build_refiner(resolved, options, on),
        temporal_filter=Craf(resolved.craf) if resolved.craf is not None else None,
        proposer=_build_proposer(options, on, adapter),
        config=resolved.tracker,
        device=on,
    )


def effective_preset(preset: str, weights: str) -> str:
    """Return the preset that is used: target models need weights that hold a target network.

    With other weights (a backbone's, or a foreground network) ``finetune`` takes their place, which
    fits whole networks and asks nothing of the weights.
    """
    known = PRESETS.get(preset)
    if known is None or known.target is None or weights in ("auto", "shipped"):
        return preset
    if holds_target_net(weights):
        return preset
    _log.info("weights %s hold no target network: preset finetune instead of %s", weights, preset)
    return "finetune"


def _build_adapter(
    preset: Preset,
    source: str,
    options: TrackerOptions,
    device: torch.device,
    on_progress: Callable[[str, int, int], None] | None,
) -> ObjectAdapter:
    if preset.target is None:
        if options.adapt is not None:
            raise InputError(
                "adapt: has no effect on fine-tuned networks, which learn from the first frame "
                "only; leave it out, or choose the preset fast, balanced or best"
            )
        generic = initialise(preset.network, source, seed=options.seed).to(device)
        return FullNetworkAdapter(generic, preset.adapter, on_progress=on_progress)
    for name in ("foreground_steps", "per_video", "gate"):
        if getattr(options, name) is not None:
            raise InputError(
                f"{name}: has no effect on target models, which have no foreground model; leave "
                "it out, or choose the preset finetune or paper"
            )
    network = load_target_net(None if source == "shipped" else Path(source)).to(device)
    return TargetModelAdapter(network, preset.target, on_progress=on_progress)


def _build_proposer(
    options: TrackerOptions, device: torch.device, adapter: ObjectAdapter
) -> InstanceProposer | None:
    localizer = options.hough_localizer
    if localizer is not None and options.proposer != "hough":
        raise InputError(
            "hough_localizer: it predicts boxes for the proposer hough; choose that with "
            "--proposer hough, or leave --hough-localizer out"
        )
    if options.proposer is None:
        return None
    tracked = adapter.generic if isinstance(adapter, TargetModelAdapter) else None
    settings = {} if localizer is None else {"localizer": localizer}
    proposer = build_proposer(options.proposer, device, settings=settings, tracked=tracked)
    if _computes_again(proposer, tracked):
        _log.info(
            "hough: %s was not trained on features that the tracker computes; it takes a pass of "
            "its own backbone for every frame with a lost object",
            localizer,
        )
    return proposer


def _computes_again(proposer: InstanceProposer, tracked: TargetNet | None) -> bool:
    """Tell whether boxes take a pass over the frame that the tracker's features do not spare."""
    localizer = proposer.localizer if isinstance(proposer, HoughProposer) else None
    if isinstance(localizer, HeadLocalizer) and localizer.backbone is not None:
        return tracked is None or localizer.backbone != backbone_fingerprint(tracked)
    return isinstance(localizer, FcrnLocalizer)


def _build_refiner(preset: Preset, options: TrackerOptions, device: torch.device) -> Refiner | None:
    asked = {
        "spn": options.spn not in (None, "none"),
        "dense_crf": options.dense_crf,
        "sharpen": options.sharpen,
    }
    chosen = [name for name, value in asked.items() if value]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} all refine the scores; choose one of them")
    if options.dense_crf:
        return DenseCrfRefiner()
    if preset.spn is None:
        return SampledCrfRefiner(preset.sharpen) if preset.sharpen is not None else None
    path = shipped_weights("spn") if preset.spn == "shipped" else Path(preset.spn)
    # A light head works on the features of the network that it was trained with: the shipped one.
    base = load_network(shipped_weights())
    return load_refiner(path, base=base.to(device), device=device)
