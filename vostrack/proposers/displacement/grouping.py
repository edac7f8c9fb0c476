"""Which pieces of a mask are searched for instances, and which neighbours are merged again.

A connected piece of a class usually is one object, so a wrong cut costs more than a right one
gains. Therefore instances are searched within such pieces. Two neighbours stay apart only where the
boundary map shows a line between them and their centres differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import DoubleArray, IntArray
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.proposers.displacement.centres import CellInstances

__all__ = ["GroupingConfig", "Pieces", "connected_pieces", "merge_neighbours"]


_SHORT = 0.7


@dataclass(frozen=True)
class GroupingConfig:
    """When neighbours are merged.

    Attributes:
        boundary: two neighbours stay apart only where the mean boundary between them is at least
            this,
        distance: and where their mean resting points are at least this far apart, as a share of
            the larger one's side (the root of its area).
        contact: ``boundary`` is raised by this for each side of the smaller one by which the
            contact exceeds 0.7 sides, because whole objects meet in short lines.
    """

    boundary: float = 0.5
    distance: float = 0.7
    contact: float = 0.3

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is negative.
        """
        if min(self.boundary, self.distance, self.contact) < 0:
            raise InputError(f"grouping: expected numbers of at least 0, got {self}")


class Pieces(NamedTuple):
    """The pieces that instances are searched in.

    Attributes:
        numbers: (H, W) int64, 1..P, 0 for none.
        classes: (P,) int64 class of each.
    """

    numbers: IntArray
    classes: IntArray


def connected_pieces(labels: IntArray, least: int, *, whole: bool = False) -> Pieces:
    """Number the connected pieces of every class.

    Args:
        labels: (H, W): 0 background, 255 void, all others classes.
        least: smaller pieces are left out, in pixels.
        whole: take every class as one piece, as the paper does.
    """
    numbers = np.zeros(labels.shape, dtype=np.int64)
    classes: list[int] = []
    for class_id in np.unique(labels).tolist():
        if class_id in (0, VOID):
            continue
        mask = labels == class_id
        if whole:
            numbers[mask] = len(classes) + 1
            classes.append(class_id)
            continue
        count, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        large = stats[:, cv2.CC_STAT_AREA] >= least
        large[0] = False
        table = np.where(large, np.cumsum(large) + len(classes), 0)
        numbers[mask] = table[found[mask]]
        classes += [class_id] * int(np.count_nonzero(large[:count]))
    return Pieces(numbers, np.array(classes, dtype=np.int64))


def merge_neighbours(
    instances: CellInstances, boundary: NDArray[np.floating] | None, config: GroupingConfig
) -> CellInstances:
    """Merge neighbouring instances that nothing keeps apart, the weakest cut first.

    Args:
        instances: on (h, w) cells; only instances of one class are compared. Where the classes are
            numbers of pieces, only instances of one piece.
        boundary: (h, w) in [0, 1]; None decides by the centres alone.
        config: when neighbours are merged.
    """
    numbers, classes, rests = instances.numbers.copy(), instances.classes, instances.rests
    sizes = np.bincount(numbers.ravel(), minlength=len(classes) + 1)[1:].astype(np.float64)
    drawn = np.ones(numbers.shape) if boundary is None else np.asarray(boundary, dtype=np.float64)
    sums, contacts = _contacts(numbers, drawn, len(classes))
    owner = np.arange(len(classes))
    rests = rests.astype(np.float64).copy()
    alive = np.ones(len(classes), dtype=np.bool_)
    while True:
        cut = _cuts(sums, contacts, sizes, rests, config, with_boundary=boundary is not None)
        cut[(contacts == 0) | (classes[:, None] != classes) | ~alive | ~alive[:, None]] = np.inf
        np.fill_diagonal(cut, np.inf)
        if not cut.size or cut.min() >= 1:
            break
        keep, drop = sorted(int(k) for k in np.unravel_index(int(cut.argmin()), cut.shape))
        total = sizes[keep] + sizes[drop]
        rests[keep] = (rests[keep] * sizes[keep] + rests[drop] * sizes[drop]) / total
        sizes[keep] = total
        for table in (sums, contacts):
            table[keep] += table[drop]
            table[:, keep] += table[:, drop]
        alive[drop] = False
        owner[owner == drop] = keep
    kept = np.flatnonzero(alive)
    places = np.concatenate([[0], np.searchsorted(kept, owner) + 1])
    renumbered = np.asarray(places[numbers], dtype=np.int64)
    return CellInstances(renumbered, classes[kept], instances.centres, rests[kept])


def _cuts(
    sums: DoubleArray,
    contacts: DoubleArray,
    sizes: DoubleArray,
    rests: DoubleArray,
    config: GroupingConfig,
    *,
    with_boundary: bool,
) -> DoubleArray:
    """Compute how strongly every two instances are kept apart, (K, K): from 1 on, they stay two."""
    sides = np.sqrt(sizes)
    distance = np.linalg.norm(rests[:, None] - rests, axis=-1) / np.maximum(sides[:, None], sides)
    apart: DoubleArray = distance / max(config.distance, 1e-9)
    if not with_boundary:
        return apart
    drawn = sums / np.maximum(contacts, 1)
    excess = np.maximum(contacts / np.minimum(sides[:, None], sides) - _SHORT, 0)
    cut: DoubleArray = (drawn - config.contact * excess) / max(config.boundary, 1e-9)
    return np.minimum(apart, cut)


def _contacts(
    numbers: IntArray, boundary: DoubleArray, count: int
) -> tuple[DoubleArray, DoubleArray]:
    """Sum the boundary over all sides where two instances touch, and count the sides; (K, K)."""
    sums, contacts = np.zeros((2, count + 1, count + 1))
    for one, other in (
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        first, second = numbers[one], numbers[other]
        where = (first != second) & (first > 0) & (second > 0)
        pair = (first[where], second[where])
        np.add.at(sums, pair, np.maximum(boundary[one], boundary[other])[where])
        np.add.at(contacts, pair, 1)
    return (sums + sums.T)[1:, 1:], (contacts + contacts.T)[1:, 1:]
