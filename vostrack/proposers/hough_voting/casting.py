"""From the boxes that the cells of one mask vote for to clusters of votes."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.proposers.hough_voting.suppression import (
    Clusters,
    check_votes,
    most_overlapping,
    suppress,
)
from vostrack.proposers.hough_voting.votes import ClassVotes, VotingConfig

__all__ = ["cast_votes"]


# Centres are gathered in bins of this share of the median box's side; at most 512 per side.
_BIN = 0.1
_BINS = 512


def cast_votes(
    scores: FloatArray,
    boxes: FloatArray,
    mask: BoolArray,
    label: int,
    rank: int,
    config: VotingConfig,
) -> ClassVotes:
    """Let the cells of one mask vote, and gather the votes into clusters.

    Args:
        scores: (h, w) probability of the class.
        boxes: (4, h, w) x0, y0, x1, y1 in pixels.
        mask: (h, w) the cells that vote.
        label: the class, for the result.
        rank: of the mask, for the result.
        config: overlaps and sizes.
    """
    rows, columns = np.nonzero(mask)
    cells = rows * mask.shape[1] + columns
    own = np.ascontiguousarray(boxes.reshape(4, -1).take(cells, axis=1).T, dtype=np.float32)
    weights = scores.reshape(-1).take(cells).astype(np.float32)
    check_votes(own, weights)
    order = weights * _support(own, weights) if config.by_support else weights
    clusters = suppress(own, order, config.overlap)
    centres = own[clusters.kept]
    if config.regroup:
        clusters, centres = _regroup(own, weights, clusters, config.overlap)
    sizes = np.bincount(clusters.owners, minlength=len(clusters))
    large = np.flatnonzero(sizes >= config.min_cells)
    place = np.full(len(clusters) + 1, -1, dtype=np.int64)
    place[large] = np.arange(len(large))
    owners = _adopt(own, place[clusters.owners], centres[large], config)
    sums = np.bincount(owners + 1, weights, minlength=len(large) + 1)[1:]
    counts = np.bincount(owners + 1, minlength=len(large) + 1)[1:]
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    modes = clusters.kept[large]
    return ClassVotes(label, rank, rows, columns, own, weights, owners, means, modes)


def _support(boxes: FloatArray, weights: FloatArray) -> FloatArray:
    """Return for each vote (P,) the sum of the scores cast near the centre of its box."""
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
    sides = np.sqrt((x1 - x0) * (y1 - y0))
    bin_size = max(_BIN * float(np.median(sides)), 1.0)
    columns, rows = _bins(x0, x1, bin_size), _bins(y0, y1, bin_size)
    # A free bin on every side.
    shape = (int(columns.max()) + 3, int(rows.max()) + 3)
    heap = np.zeros(shape, np.float32)
    # One index into the flat heap is much faster than two.
    bins = (columns + 1) * shape[1] + rows + 1
    np.add.at(heap.reshape(-1), bins, weights)
    around = np.zeros(shape, np.float32)
    for dx in range(3):
        for dy in range(3):
            around[1:-1, 1:-1] += heap[dx : shape[0] - 2 + dx, dy : shape[1] - 2 + dy]
    return around.reshape(-1).take(bins)


def _bins(begins: FloatArray, ends: FloatArray, bin_size: float) -> IntArray:
    """Return the bin (P,) of the middle of each interval, from 0 up."""
    middles = (begins + ends) / (2 * bin_size)
    return np.asarray(np.floor(middles - middles.min()).clip(max=_BINS - 1), dtype=np.int64)


def _regroup(
    boxes: FloatArray, weights: FloatArray, clusters: Clusters, overlap: float
) -> tuple[Clusters, FloatArray]:
    """Join the clusters whose mean boxes overlap; return them and the mean box (K, 4) of each."""
    means, masses = _mean_boxes(boxes, weights, clusters.owners, len(clusters))
    again = suppress(means, masses, overlap)
    joined = Clusters(clusters.kept[again.kept], again.owners[clusters.owners])
    return joined, _mean_boxes(boxes, weights, joined.owners, len(joined))[0]


def _mean_boxes(
    boxes: FloatArray, weights: FloatArray, owners: IntArray, count: int
) -> tuple[FloatArray, FloatArray]:
    """Return the mean box (K, 4) of each cluster and the sum of its scores (K,)."""
    masses = np.bincount(owners, weights, minlength=count)
    sides = np.ascontiguousarray(boxes.T)
    sums = [np.bincount(owners, weights * side, minlength=count) for side in sides]
    means = np.stack(sums, axis=1) / np.maximum(masses, 1e-9)[:, None]
    return means.astype(np.float32), masses.astype(np.float32)


def _adopt(
    boxes: FloatArray, owners: IntArray, modes: FloatArray, config: VotingConfig
) -> IntArray:
    """Give votes to the mode (K, 4) that overlaps them most.

    Those without an owner go to it from ``config.adopt`` on; with ``config.regroup`` all go to it
    from ``config.overlap`` on.
    """
    strays = owners < 0
    chosen = np.arange(len(owners)) if config.regroup else np.flatnonzero(strays)
    if not len(chosen) or not len(modes):
        return owners
    best, most = most_overlapping(boxes[chosen], modes)
    least = np.where(strays[chosen], config.adopt, 1.0)
    if config.regroup:
        least = np.minimum(least, config.overlap)
    adopted = owners.copy()
    adopted[chosen] = np.where(most > least, best, owners[chosen])
    return adopted
