"""From class scores and the boxes that pixels vote for to instances (Wu et al. 2016, section 2.1).

Everything here happens on the grid of cells that the networks give; ``fullsize`` brings the result
to the pixels of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vostrack.errors import InputError
from vostrack.proposers.hough_voting.suppression import Clusters, most_overlapping, suppress

__all__ = ["ClassVotes", "VotingConfig", "accumulate", "cast_votes", "find_instances", "top_masks"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


# Centres are gathered in bins of this share of the middle box's side; at most so many a side.
_BIN = 0.1
_BINS = 512


@dataclass(frozen=True)
class VotingConfig:
    """How votes become instances. The paper gives neither n nor the overlaps.

    Attributes:
        top: n of the top-n masks: the k-th mask of a class holds the cells where the class is
            among the k best. At most the number of classes without the background.
        floor: a cell with a lower probability of the class is in none of its masks.
        overlap: boxes belong together from an intersection over union of more than this.
        adopt: a cell whose own cluster is dropped goes to the cluster whose box overlaps its own
            most, if by more than this; 1 drops such cells.
        min_cells: smaller clusters are dropped.
        region_overlap: an instance is dropped when a better one of its class holds more than this
            share of its cells.
        max_instances: of an image, the most probable ones.
        by_support: clusters grow first from the votes whose centres many others share; False: from
            those with the highest score, as in the paper.
        regroup: clusters whose mean boxes overlap by more than ``overlap`` become one, and every
            cell goes to the mean box that its own overlaps most, if by as much; False leaves the
            clusters as the suppression makes them, as in the paper.
    """

    top: int = 2
    floor: float = 0.05
    overlap: float = 0.35
    adopt: float = 0.2
    min_cells: int = 6
    region_overlap: float = 0.3
    max_instances: int = 100
    by_support: bool = True
    regroup: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        for name in ("floor", "adopt", "region_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a value in [0, 1], got {getattr(self, name)}")
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap: expected a value in [0, 1), got {self.overlap}")
        for name in ("top", "min_cells", "max_instances"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class ClassVotes:
    """The votes of one top-n mask of one class, and what became of them.

    Attributes:
        label: the class.
        rank: the mask holds the cells where the class is among the ``rank`` best.
        rows: (P,) of the voting cells.
        columns: (P,).
        boxes: (P, 4) float32, x0, y0, x1, y1 in pixels: the votes.
        scores: (P,) float32, probability of the class.
        owners: (P,) the cluster of each vote, 0..K-1; -1 where it was dropped.
        confidences: (K,) float32, the mean score of each cluster.
        modes: (K,) the vote that each cluster grew from.
    """

    label: int
    rank: int
    rows: IntArray
    columns: IntArray
    boxes: FloatArray
    scores: FloatArray
    owners: IntArray
    confidences: FloatArray
    modes: IntArray

    def cells(self, cluster: int, shape: tuple[int, int]) -> BoolArray:
        """Return the cells of a cluster as a mask of that shape (h, w)."""
        mask = np.zeros(shape, dtype=np.bool_)
        chosen = self.owners == cluster
        mask[self.rows[chosen], self.columns[chosen]] = True
        return mask


@dataclass(frozen=True)
class _Hypothesis:
    """One cluster as an instance: where its votes are, and which cells are its own."""

    votes: ClassVotes
    cluster: int
    mask: BoolArray

    @property
    def confidence(self) -> float:
        return float(self.votes.confidences[self.cluster])


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
    own = np.ascontiguousarray(boxes[:, rows, columns].T, dtype=np.float32)
    weights = scores[rows, columns].astype(np.float32)
    order = weights * _support(own, weights) if config.by_support else weights
    clusters = suppress(own, order, config.overlap)
    centres = own[clusters.kept]
    if config.regroup:
        clusters, centres = _regroup(own, weights, clusters, config.overlap)
    sizes = np.bincount(clusters.owners, minlength=len(clusters))
    large = np.flatnonzero(sizes >= config.min_cells)
    place = np.full(len(clusters) + 1, -1, dtype=np.int64)
    place[large] = np.arange(len(large))
    owners = place[clusters.owners]
    if config.regroup:
        nearest = _adopt(own, np.full_like(owners, -1), centres[large], config.overlap)
        owners = np.where(nearest >= 0, nearest, owners)
    modes = clusters.kept[large]
    owners = _adopt(own, owners, centres[large], config.adopt)
    sums = np.bincount(owners[owners >= 0], weights[owners >= 0], minlength=len(large))
    counts = np.bincount(owners[owners >= 0], minlength=len(large))
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    return ClassVotes(label, rank, rows, columns, own, weights, owners, means, modes)


def _support(boxes: FloatArray, weights: FloatArray) -> FloatArray:
    """Return for each vote (P,) the sum of the scores that are cast near the centre of its box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    bin_size = max(_BIN * float(np.median(np.sqrt(sides.prod(axis=1)))), 1.0)
    middles = (boxes[:, :2] + boxes[:, 2:]) / (2 * bin_size)
    places = np.floor(middles - middles.min(axis=0)).clip(max=_BINS - 1).astype(np.int64)
    heap = np.zeros((_BINS + 2, _BINS + 2), np.float32)
    np.add.at(heap, (places[:, 0] + 1, places[:, 1] + 1), weights)
    return sum(
        (heap[places[:, 0] + dx, places[:, 1] + dy] for dx in range(3) for dy in range(3)),
        start=np.zeros(len(boxes), np.float32),
    )


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
    sums = [np.bincount(owners, weights * boxes[:, k], minlength=count) for k in range(4)]
    means = np.stack(sums, axis=1) / np.maximum(masses, 1e-9)[:, None]
    return means.astype(np.float32), masses.astype(np.float32)


def _adopt(boxes: FloatArray, owners: IntArray, modes: FloatArray, least: float) -> IntArray:
    """Give votes without an owner to the mode (K, 4) that overlaps them most."""
    stray = np.flatnonzero(owners < 0)
    if not len(stray) or not len(modes):
        return owners
    best, most = most_overlapping(boxes[stray], modes)
    adopted = owners.copy()
    adopted[stray] = np.where(most > least, best, -1)
    return adopted


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
    kept: list[_Hypothesis] = []
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
    kept.sort(key=lambda h: -h.confidence)
    return cast, [(h.votes, h.cluster) for h in kept[: config.max_instances]]


def _suppress_regions(
    cast: list[ClassVotes], shape: tuple[int, int], limit: float
) -> list[_Hypothesis]:
    """Keep the best of each set of instances of one class that lie on one another."""
    if len(cast) == 1:
        # The clusters of one mask have no cell in common.
        cells = np.zeros((0, 0), dtype=np.bool_)
        return [_Hypothesis(cast[0], k, cells) for k in range(len(cast[0].modes))]
    found = [
        _Hypothesis(votes, cluster, votes.cells(cluster, shape))
        for votes in cast
        for cluster in range(len(votes.modes))
    ]
    found.sort(key=lambda h: -h.confidence)
    kept: list[_Hypothesis] = []
    for one in found:
        area = int(one.mask.sum())
        rivals = (other for other in kept if other.votes is not one.votes)
        if all(int((one.mask & other.mask).sum()) <= limit * area for other in rivals):
            kept.append(one)
    return kept


def accumulate(votes: ClassVotes, shape: tuple[int, int], stride: float) -> FloatArray:
    """Draw the Hough-like map: every vote adds its score where it sees the centre of its instance.

    Args:
        votes: of one mask.
        shape: (h, w) of the map, in cells.
        stride: pixels per cell.

    Returns:
        (h, w) float32. Centres outside the grid are left out.
    """
    middle = (votes.boxes[:, :2] + votes.boxes[:, 2:]) / (2 * stride)
    columns, rows = np.floor(middle).astype(np.int64).T
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    votes_map = np.zeros(shape, dtype=np.float32)
    np.add.at(votes_map, (rows[inside], columns[inside]), votes.scores[inside])
    return votes_map
