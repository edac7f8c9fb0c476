"""What the cells of a grid vote for, and the choices of the voting (Wu et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.errors import InputError
from vostrack.proposers.hough_voting.options import HoughOptions

__all__ = ["ClassVotes", "VotingConfig", "accumulate"]


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

    top: int = HoughOptions.top
    floor: float = HoughOptions.floor
    overlap: float = HoughOptions.overlap
    adopt: float = 0.2
    min_cells: int = HoughOptions.min_cells
    region_overlap: float = HoughOptions.region_overlap
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
