"""From the working size to the size of the frame: the label map band by band, scores on demand.

Scores of ten objects in a frame of 4K are 330 MB. A label map needs none of them at once, and most
of a frame is background anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from vostrack.tracking.fusion import label_map

__all__ = ["GivenMaps", "ScoreMaps", "full_size_labels", "full_size_scores"]

# Output pixels worked on at a time, all objects together.
_BAND = 1 << 20


@dataclass(frozen=True)
class ScoreMaps:
    """Scores at the working size, and the size that they stand for.

    Attributes:
        scores: (N, h, w) in [0, 1].
        size: H and W of the frame.
    """

    scores: Tensor
    size: tuple[int, int]

    def numpy(self) -> FloatArray:
        """Return the scores (N, H, W) float32 at the size of the frame."""
        scores: FloatArray = full_size_scores(self.scores.float(), self.size).cpu().numpy()
        return scores


@dataclass(frozen=True)
class GivenMaps:
    """Masks that were given, as scores of 0 and 1.

    Attributes:
        labels: (H, W) uint8, ids.
        ids: the N object ids.
    """

    labels: UInt8Array
    ids: tuple[int, ...]

    def numpy(self) -> FloatArray:
        """Return the scores (N, H, W) float32."""
        scores = np.zeros((len(self.ids), *self.labels.shape), np.float32)
        for score, number in zip(scores, self.ids, strict=True):
            score[self.labels == number] = 1
        return scores


def full_size_scores(scores: Tensor, size: Sequence[int]) -> Tensor:
    """Scale scores (N, h, w) to ``size`` = H and W by linear interpolation: (N, H, W)."""
    if tuple(scores.shape[1:]) == tuple(size):
        return scores
    return _scaled(scores, size, slice(0, size[0]), slice(0, size[1]))


def full_size_labels(scores: Tensor, size: Sequence[int], *, threshold: float) -> Tensor:
    """Label each pixel of a frame with the object of the highest score.

    It is ``label_map(full_size_scores(scores, size))``, computed only where an object can be: an
    interpolated score is never above the largest score that it lies between.

    Args:
        scores: (N, h, w) in [0, 1].
        size: H and W of the frame.
        threshold: see ``label_map``.

    Returns:
        (H, W) uint8; 0 background, 1..N slots.
    """
    if tuple(scores.shape[1:]) == tuple(size):
        return label_map(scores, threshold=threshold)
    height, width = size
    labels = torch.zeros((height, width), dtype=torch.uint8, device=scores.device)
    # One copy to the host tells where each object is.
    inside = (scores >= threshold).view(torch.uint8)
    in_rows, in_columns = inside.amax(2).cpu().numpy() > 0, inside.amax(1).cpu().numpy() > 0
    rows = _reached(np.logical_or.reduce(in_rows), height)
    columns = _reached(np.logical_or.reduce(in_columns), width)
    if rows is None or columns is None:
        return labels
    step = max(1, _BAND // (len(scores) * (columns.stop - columns.start)))
    for top in range(rows.start, rows.stop, step):
        band = slice(top, min(top + step, rows.stop))
        first, last = _source_span(band, height, scores.shape[1])
        objects = np.flatnonzero(in_rows[:, first : last + 1].any(1))
        if not len(objects):
            continue
        chosen = scores if len(objects) == len(scores) else scores[objects.tolist()]
        found = label_map(_scaled(chosen, size, band, columns), threshold=threshold)
        if len(objects) < len(scores):
            slots = torch.from_numpy(np.r_[0, objects + 1].astype(np.uint8)).to(found.device)
            found = slots[found.int()]
        labels[band, columns] = found
    return labels


def _scaled(scores: Tensor, size: Sequence[int], rows: slice, columns: slice) -> Tensor:
    """Return the part ``rows``, ``columns`` of scores (N, h, w) that are scaled to ``size``."""
    for axis, (part, length) in enumerate(zip((rows, columns), size, strict=True), start=1):
        low, high, share = _neighbours(part, length, scores.shape[axis])
        before, after = (torch.from_numpy(index).to(scores.device) for index in (low, high))
        weight = torch.from_numpy(share).to(scores.device, scores.dtype)
        if axis == 1:
            weight = weight[:, None]
        scores = torch.lerp(
            scores.index_select(axis, before), scores.index_select(axis, after), weight
        )
    return scores


def _neighbours(part: slice, length: int, source: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Return which two source pixels each pixel lies between, and its share of the second."""
    centres = (np.arange(part.start, part.stop) + 0.5) * (source / length) - 0.5
    centres = np.clip(centres, 0, source - 1)
    low = np.floor(centres).astype(np.int64)
    return low, np.minimum(low + 1, source - 1), (centres - low).astype(np.float32)


def _source_span(part: slice, length: int, source: int) -> tuple[int, int]:
    low, high, _ = _neighbours(part, length, source)
    return int(low[0]), int(high[-1])


def _reached(filled: BoolArray, length: int) -> slice | None:
    """Return the pixels of a side that filled source pixels can reach; None where none is."""
    places = np.flatnonzero(filled)
    if not len(places):
        return None
    ratio = length / len(filled)
    start, stop = (places[0] - 0.5) * ratio, (places[-1] + 1.5) * ratio
    return slice(max(0, int(start) - 1), min(length, int(stop) + 2))
