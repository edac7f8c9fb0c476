"""The stages of a frame, between the image and its label map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner, TemporalFilter
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.fusion import gate, label_map
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.stopwatch import Stopwatch

__all__ = ["TrackerParts", "estimated_presence", "finish_frame", "score_objects"]


class TrackerParts(Protocol):
    """What the stages use; a ``Tracker`` has these attributes."""

    adapter: ObjectAdapter
    refiner: Refiner | None
    temporal_filter: TemporalFilter | None
    proposer: InstanceProposer | None
    config: TrackerConfig
    device: torch.device


def score_objects(
    parts: TrackerParts,
    frame: UInt8Array,
    image: Tensor,
    previous: UInt8Array,
    watch: Stopwatch,
) -> Tensor:
    """Return the scores (N, h, w) in [0, 1] of a frame at the working size.

    Args:
        parts: of the tracker.
        frame: (H, W, 3) uint8 RGB.
        image: (3, h, w) in [0, 1], the same at the working size.
        previous: (h, w) uint8, the label map of the previous frame; slots 1..N.
        watch: measures the stages.
    """
    config = parts.config
    scores, foreground = parts.adapter.scores(image)
    watch.lap("networks")
    if foreground is not None and config.gate == "before":
        scores = _gated(config, scores, foreground)
    if parts.refiner is not None and config.learn_refined:
        scores = parts.refiner(image, scores)
        watch.lap("refiner")
    scores = _filtered(parts, frame, scores.float(), foreground, previous)
    if foreground is not None and config.gate == "after":
        scores = _gated(config, scores, foreground)
    watch.lap("filter")
    return scores


def _gated(config: TrackerConfig, scores: Tensor, foreground: Tensor) -> Tensor:
    return gate(scores, foreground, threshold=config.gate_threshold, dilation=config.gate_dilation)


def _filtered(
    parts: TrackerParts,
    frame: UInt8Array,
    scores: Tensor,
    foreground: Tensor | None,
    previous: UInt8Array,
) -> Tensor:
    if parts.temporal_filter is None:
        return scores
    candidates = None
    if parts.proposer is not None:
        candidates = partial(
            proposed_regions, parts.proposer, parts.adapter, frame, foreground, previous
        )
    estimate = parts.adapter.presence()
    presence = estimate.tolist() if estimate is not None else None
    filtered = parts.temporal_filter(scores.cpu().numpy(), candidates, presence)
    return torch.from_numpy(filtered).to(parts.device)


def finish_frame(
    parts: TrackerParts,
    image: Tensor,
    scores: Tensor,
    size: Sequence[int],
    watch: Stopwatch,
) -> tuple[UInt8Array, Tensor, Tensor]:
    """Update the memory with the scores of a frame, and bring them to the frame's size.

    Args:
        parts: of the tracker.
        image: (3, h, w) in [0, 1].
        scores: (N, h, w) from ``score_objects``.
        size: H and W of the frame.
        watch: measures the stages.

    Returns:
        The label map (h, w) uint8 that was learned; the scores (N, H, W) and the label map (H, W)
        uint8 of the result. Slots 1..N.
    """
    threshold = parts.config.threshold
    slots = label_map(scores, threshold=threshold)
    parts.adapter.commit(scores, slots)
    learned: UInt8Array = slots.cpu().numpy()
    if parts.temporal_filter is not None:
        parts.temporal_filter.commit(learned)
    watch.lap("memory")
    if parts.refiner is not None and not parts.config.learn_refined:
        scores = parts.refiner(image, scores)
        slots = label_map(scores, threshold=threshold)
        watch.lap("refiner")
    if tuple(scores.shape[1:]) != tuple(size):
        scores = F.interpolate(
            scores[None], size=tuple(size), mode="bilinear", align_corners=False
        )[0]
        slots = label_map(scores, threshold=threshold)
    return learned, scores, slots


def estimated_presence(adapter: ObjectAdapter, scores: Tensor, slots: Tensor) -> tuple[float, ...]:
    """Return the probability that each object is visible; see ``FrameResult``."""
    estimate = adapter.presence()
    if estimate is not None:
        return tuple(estimate.tolist())
    regions = [slots == k + 1 for k in range(len(scores))]
    return tuple(
        float(score[region].mean()) if region.any() else 0.0
        for score, region in zip(scores, regions, strict=True)
    )
