"""The composition root: from the name of a preset to a wired tracker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from vostrack.compute.heap import keep_freed_memory
from vostrack.compute.isolation import building
from vostrack.compute.precision import resolve_device
from vostrack.models.add_semantic_backbone import with_semantic_backbone
from vostrack.models.weights import initialise, load_semantic_backbone, load_target_net
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter
from vostrack.online_finetune.target.adapter import TargetModelAdapter
from vostrack.presets.named import Preset
from vostrack.presets.options import TrackerOptions
from vostrack.presets.resolve import effective_preset, resolve_preset
from vostrack.proposers.foreground import ForegroundModel
from vostrack.proposers.registry import build_proposer
from vostrack.protocols import ObjectAdapter
from vostrack.refine.craf import Craf
from vostrack.refine.registry import build_refiner
from vostrack.tracking.support import ProposalSupport, SupportConfig
from vostrack.tracking.tracker import Tracker

__all__ = ["build_tracker"]


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
        preset: one of ``vostrack.PRESETS``: ``fast``, ``balanced`` and ``best`` follow the objects
            with target models; ``finetune`` fits a compact network to each object, ``paper`` does
            so with the whole schedule of Cheng et al. (2017), on a GPU. The published method first
            trains its foreground network on DAVIS. ``paper`` does not: pass the result of
            ``vostrack train foreground`` as ``weights`` (docs/ablation.md has the command). The
            latter two come with the rows of the paper's ablation.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        weights: ``auto`` (the preset's choice), ``shipped``, ``imagenet``, ``none`` or a file; see
            ``vostrack.models.weights.initialise``.
        options: changes to the preset.
        on_progress: told of every fine-tuning step: model, steps done, steps in all.

    Raises:
        InputError: an unknown name, a value out of its range, an option that would have no effect,
            or weights that cannot be loaded.
    """
    keep_freed_memory()
    options = options or TrackerOptions()
    resolved = resolve_preset(effective_preset(preset, weights), options)
    on = resolve_device(device)
    source = resolved.weights if weights == "auto" else weights
    adapter = _build_adapter(resolved, source, options.seed, on, on_progress)
    tracked = adapter.generic if isinstance(adapter, TargetModelAdapter) else None
    return Tracker(
        adapter,
        refiner=build_refiner(resolved.refiner, resolved.refiner_options, on),
        temporal_filter=Craf(resolved.craf) if resolved.craf is not None else None,
        proposer=build_proposer(
            resolved.proposer, on, options=resolved.proposer_options, tracked=tracked
        ),
        support=_build_support(resolved.support, on),
        config=resolved.tracker,
        device=on,
    )


def _build_support(config: SupportConfig | None, device: torch.device) -> ProposalSupport | None:
    if config is None:
        return None
    return ProposalSupport(config, ForegroundModel(device) if config.asks else None)


def _build_adapter(
    preset: Preset,
    source: str,
    seed: int,
    device: torch.device,
    on_progress: Callable[[str, int, int], None] | None,
) -> ObjectAdapter:
    if preset.target is None:
        generic = initialise(preset.network, source, seed=seed, device=device).to(device)
        if preset.adapter.semantic and generic.semantic is None:
            generic = with_semantic_backbone(generic, load_semantic_backbone())
        return FullNetworkAdapter(generic, preset.adapter, on_progress=on_progress)
    network = load_target_net(None if source == "shipped" else Path(source), device).to(device)
    return TargetModelAdapter(network, preset.target, on_progress=on_progress)
