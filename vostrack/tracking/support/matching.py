"""Matching proposals with objects: which one a lost object is, and which one supports a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from vostrack.tracking.support.assignment import best_assignment

__all__ = ["accepted_proposals", "moved_to_proposals", "unsure_pixels"]

# A proposal is an object if it matches it by at least this cosine, and if the object's own model
# gives it at least this class.
_MATCH, _CLASS = 0.03, 0.2
# It must match better than where the object is said to be, by this much.
_BETTER = 0.1
# No more of a proposal may belong to other objects.
_TAKEN = 0.3
# Scores between which a pixel is unsure, and how far it moves towards the proposal.
_UNSURE, _MOVE = (0.25, 0.75), 0.5
# A proposal supports an object that it overlaps with by at least this (J).
_SUPPORTS = 0.5


def accepted_proposals(
    wanted: Sequence[int],
    labels: UInt8Array,
    proposals: FloatArray,
    told: FloatArray,
    now: FloatArray,
) -> dict[int, int]:
    """Choose the proposals that lost objects are, by their own models and memories.

    Args:
        wanted: slots of the lost objects.
        labels: (h, w) uint8, the label map.
        proposals: (K, h, w) in [0, 1].
        told: (2, K, N) match and class of each proposal; see ``JudgesRegions``.
        now: (N,) the match of where each object is now; NaN where it is nowhere.

    Returns:
        The proposal of each object that was found.
    """
    if not len(proposals) or not wanted:
        return {}
    match, classes = (np.nan_to_num(each, nan=-1.0) for each in told)
    inside = proposals >= 0.5
    areas = np.maximum(inside.sum((1, 2)), 1)
    costs = np.ones((len(wanted), len(proposals)))
    for row, slot in enumerate(wanted):
        others = (labels > 0) & (labels != slot)
        free = (inside & others).sum((1, 2)) <= _TAKEN * areas
        best = match[:, slot - 1] >= match.max(1)
        better = match[:, slot - 1] >= max(_MATCH, np.nan_to_num(now[slot - 1], nan=-1) + _BETTER)
        fits = free & best & better & (classes[:, slot - 1] >= _CLASS)
        costs[row, fits] = -match[fits, slot - 1]
    rows, columns = best_assignment(costs)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {wanted[row]: column for row, column in pairs if costs[row, column] < 0}


def unsure_pixels(scores: FloatArray) -> BoolArray:
    """Return which pixels (N, h, w) of scores (N, h, w) are unsure."""
    return (scores > _UNSURE[0]) & (scores < _UNSURE[1])


def moved_to_proposals(
    scores: FloatArray, labels: UInt8Array, proposals: FloatArray, match: FloatArray
) -> FloatArray:
    """Move the unsure pixels of each object towards the proposal that matches it.

    Args:
        scores: (N, h, w) in [0, 1].
        labels: (h, w) uint8, their label map.
        proposals: (K, h, w) in [0, 1].
        match: (K, N) how well each proposal matches each object, as a cosine; NaN if unknown.

    Returns:
        The scores; a changed copy where a proposal matches.
    """
    if not len(proposals):
        return scores
    overlaps = _overlaps(labels, len(scores), proposals >= 0.5)
    rows, columns = best_assignment(-overlaps - np.nan_to_num(match.T, nan=0.0))
    fits = overlaps[rows, columns] >= _SUPPORTS
    if not fits.any():
        return scores
    changed, unsure = scores.copy(), unsure_pixels(scores)
    chosen: list[tuple[int, int]] = list(
        zip(rows[fits].tolist(), columns[fits].tolist(), strict=True)
    )
    for k, column in chosen:
        own = unsure[k]
        changed[k][own] += _MOVE * (proposals[column][own] - scores[k][own])
    return changed


def _overlaps(labels: UInt8Array, count: int, masks: BoolArray) -> FloatArray:
    """Return (N, K) the Jaccard index of each object with each mask."""
    areas: IntArray = masks.sum((1, 2))
    found = np.zeros((count, len(masks)), np.float32)
    for k in range(count):
        own = labels == k + 1
        common = (masks & own).sum((1, 2))
        found[k] = common / np.maximum(areas + own.sum() - common, 1)
    return found
