"""The stages of a frame, between the image and its label map."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner, TemporalFilter
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.fusion import gate, label_map, mean_scores
from vostrack.tracking.parts import SkipsStages
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.score_checks import refined_scores, scores_of
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.support import ProposalSupport
from vostrack.tracking.support.asking import ask_proposer

__all__ = ["TrackerParts", "estimated_presence", "finish_frame", "score_objects"]


class TrackerParts(Protocol):
    """What the stages use; a ``Tracker`` has these attributes."""

    adapter: ObjectAdapter
    refiner: Refiner | None
    temporal_filter: TemporalFilter | None
    proposer: InstanceProposer | None
    support: ProposalSupport | None
    config: TrackerConfig
    device: torch.device


def score_objects(
    parts: TrackerParts,
    frame: UInt8Array,
    image: Tensor,
    previous: UInt8Array,
    watch: Stopwatch,
    skipped: Collection[str] = (),
) -> Tensor:
    """Return the scores (N, h, w) in [0, 1] of a frame at the working size.

    Args:
        parts: of the tracker.
        frame: (H, W, 3) uint8 RGB.
        image: (3, h, w) in [0, 1], the same at the working size.
        previous: (h, w) uint8, the label map of the previous frame; slots 1..N.
        watch: measures the stages.
        skipped: names of stages to leave out; see ``vostrack.tracking.time_limit``.

    Raises:
        InputError: as ``scores_of`` and ``refined_scores``, or the proposer's answer is unfit.
    """
    config = parts.config
    if isinstance(parts.adapter, SkipsStages):
        parts.adapter.skip_stages(skipped)
    scores, foreground = scores_of(parts.adapter, image, watch)
    if foreground is not None and config.gate == "before":
        scores = _gated(config, scores, foreground)
    if parts.refiner is not None and config.learn_refined and "refiner" not in skipped:
        scores = refined_scores(parts.refiner, image, scores, watch)
    proposer = None if "proposer" in skipped else parts.proposer
    scores = _filtered(parts, frame, scores.float(), foreground, previous, proposer)
    if foreground is not None and config.gate == "after":
        scores = _gated(config, scores, foreground)
    watch.lap("filter")
    if parts.support is not None:
        ask = None
        if proposer is not None and parts.support.config.asks:
            ask = partial(ask_proposer, proposer, parts.support.foreground, frame, previous)
        scores = parts.support(parts.adapter, scores, config.threshold, ask)
        watch.lap("support")
    return scores


def _gated(config: TrackerConfig, scores: Tensor, foreground: Tensor) -> Tensor:
    return gate(scores, foreground, threshold=config.gate_threshold, dilation=config.gate_dilation)


def _filtered(
    parts: TrackerParts,
    frame: UInt8Array,
    scores: Tensor,
    foreground: Tensor | None,
    previous: UInt8Array,
    proposer: InstanceProposer | None,
) -> Tensor:
    if parts.temporal_filter is None:
        return scores
    candidates = None
    if proposer is not None:
        candidates = partial(proposed_regions, proposer, parts.adapter, frame, foreground, previous)
    estimate = parts.adapter.presence()
    presence = estimate.tolist() if estimate is not None else None
    # On the CPU, an array of a tensor shares its memory, and the filter may write into its input.
    filtered = parts.temporal_filter(scores.cpu().numpy().copy(), candidates, presence)
    return torch.from_numpy(filtered).to(parts.device)


def finish_frame(
    parts: TrackerParts,
    image: Tensor,
    scores: Tensor,
    watch: Stopwatch,
    skipped: Collection[str] = (),
) -> tuple[Tensor, Tensor]:
    """Update the memory with the scores of a frame, and refine them.

    Args:
        parts: of the tracker.
        image: (3, h, w) in [0, 1].
        scores: (N, h, w) from ``score_objects``.
        watch: measures the stages.
        skipped: as for ``score_objects``.

    Returns:
        The label map (h, w) uint8 that was learned, slots 1..N; and the scores (N, h, w) of the
        result.

    Raises:
        InputError: as ``refined_scores``.
    """
    slots = label_map(scores, threshold=parts.config.threshold)
    parts.adapter.commit(scores, slots)
    if parts.temporal_filter is not None:
        parts.temporal_filter.commit(slots.cpu().numpy().copy())
    if parts.support is not None:
        parts.support.commit(slots.cpu().numpy(), parts.adapter.presence())
    watch.lap("memory")
    refined = not parts.config.learn_refined and "refiner" not in skipped
    if parts.refiner is not None and refined:
        scores = refined_scores(parts.refiner, image, scores, watch)
    return slots, scores


def estimated_presence(
    adapter: ObjectAdapter, scores: Tensor, threshold: float
) -> tuple[float, ...]:
    """Return the probability that each object is visible; see ``FrameResult``.

    Args:
        adapter: asked first.
        scores: (N, h, w) of the result.
        threshold: of the label map.
    """
    estimate = adapter.presence()
    if estimate is not None:
        return tuple(estimate.tolist())
    return mean_scores(scores, label_map(scores, threshold=threshold))
