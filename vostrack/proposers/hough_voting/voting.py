"""From class scores and the boxes that pixels vote for to instances (Wu et al. 2016, section 2.1).

Everything here happens on the grid of cells that the networks give; ``fullsize`` brings the result
to the pixels of the image.
"""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.errors import InputError
from vostrack.proposers.hough_voting.casting import cast_votes
from vostrack.proposers.hough_voting.votes import ClassVotes, VotingConfig

__all__ = ["find_instances", "top_masks"]

_Instance = tuple[ClassVotes, int]
_Common = tuple[IntArray, IntArray, IntArray]


def top_masks(probabilities: FloatArray, label: int, top: int, floor: float) -> BoolArray:
    """Return the masks of a class by rank.

    Args:
        probabilities: (L, h, w), background first.
        label: in 1..L-1.
        top: n.
        floor: lowest probability.

    Returns:
        (min(n, L - 1), h, w): cells where at most 0, 1, ... classes are better.
    """
    own = probabilities[label]
    better = (probabilities > own).sum(axis=0)
    ranks = np.arange(min(top, len(probabilities) - 1))
    return np.asarray((better <= ranks[:, None, None]) & (own >= floor))


def find_instances(
    probabilities: FloatArray, boxes: FloatArray, config: VotingConfig | None = None
) -> tuple[list[ClassVotes], list[tuple[ClassVotes, int]]]:
    """Find the instances of all classes.

    Args:
        probabilities: (L, h, w) in [0, 1], background first.
        boxes: (L - 1, 4, h, w), the votes of every cell for each class, or (1, 4, h, w), the same
            for all; x0, y0, x1, y1 in pixels.
        config: how.

    Returns:
        All votes that were cast, and the instances that are left: the votes and the cluster among
        them, best first.

    Raises:
        InputError: the shapes do not fit.
    """
    config = config or VotingConfig()
    shape = probabilities.shape[1:]
    if boxes.shape not in ((len(probabilities) - 1, 4, *shape), (1, 4, *shape)):
        raise InputError(
            f"voting: expected boxes ({len(probabilities) - 1} or 1, 4, {shape[0]}, {shape[1]}) "
            f"for probabilities {probabilities.shape}, got {boxes.shape}"
        )
    cast: list[ClassVotes] = []
    kept: list[_Instance] = []
    for label in range(1, len(probabilities)):
        votes = [
            cast_votes(
                probabilities[label], boxes[min(label, len(boxes)) - 1], mask, label, k, config
            )
            for k, mask in enumerate(top_masks(probabilities, label, config.top, config.floor), 1)
            if mask.any()
        ]
        cast += votes
        kept += _suppress_regions(votes, (shape[0], shape[1]), config.region_overlap)
    return cast, sorted(kept, key=_doubt)[: config.max_instances]


def _doubt(instance: _Instance) -> float:
    votes, cluster = instance
    return -float(votes.confidences[cluster])


def _suppress_regions(
    cast: list[ClassVotes], shape: tuple[int, int], limit: float
) -> list[_Instance]:
    """Keep the best of each set of instances of one class that lie on one another."""
    found = [(votes, cluster) for votes in cast for cluster in range(len(votes.modes))]
    if len(cast) < 2:
        # The clusters of one mask have no cell in common.
        return found
    common = {
        (a.rank, b.rank): _common_cells(a, b, shape) for a in cast for b in cast if a is not b
    }
    areas = {v.rank: np.bincount(v.owners + 1, minlength=len(v.modes) + 1)[1:] for v in cast}
    stays = {v.rank: np.zeros(len(v.modes), dtype=np.bool_) for v in cast}
    for votes, cluster in sorted(found, key=_doubt):
        most = limit * areas[votes.rank][cluster]
        stays[votes.rank][cluster] = not any(
            _is_covered(common[votes.rank, other], cluster, stays[other], most)
            for other in stays
            if other != votes.rank
        )
    return [(votes, k) for votes, k in sorted(found, key=_doubt) if stays[votes.rank][k]]


def _common_cells(first: ClassVotes, second: ClassVotes, shape: tuple[int, int]) -> _Common:
    """Count the cells that each cluster of the one shares with each of the other.

    Returns:
        (K + 1,) where the entries of each of the K clusters of ``first`` begin; and for each entry
        the cluster of ``second`` and how many cells both hold. A table of all pairs could be large.
    """
    grid = np.full(shape, -1, dtype=np.int64)
    grid[second.rows, second.columns] = second.owners
    others = grid[first.rows, first.columns]
    both = (first.owners >= 0) & (others >= 0)
    size = max(len(second.modes), 1)
    pairs, counts = np.unique(first.owners[both] * size + others[both], return_counts=True)
    begins = np.searchsorted(pairs, np.arange(len(first.modes) + 1) * size)
    return begins, pairs % size, counts


def _is_covered(common: _Common, cluster: int, kept: BoolArray, most: float) -> bool:
    """Tell whether one of those ``kept`` shares more than ``most`` cells with the cluster."""
    begins, others, counts = common
    entries = slice(begins[cluster], begins[cluster + 1])
    return bool((counts[entries][kept[others[entries]]] > most).any())
