"""Mode search among the boxes that pixels vote for, with trace-back of who voted for what."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import DoubleArray, IntArray
from vostrack.compute.threads import in_parts
from vostrack.errors import InputError

__all__ = [
    "Clusters",
    "best_first",
    "check_votes",
    "most_overlapping",
    "suppress",
    "suppress_sorted_numpy",
]


# Fewer votes take less time than starting a second thread.
_PART = 4096
# In the first round of the compiled suppression, this many votes are taken one after the other.
_FIRST_ROUND = 512


@dataclass(frozen=True)
class Clusters:
    """P votes in K clusters.

    Attributes:
        kept: (K,) the vote that each cluster grew from, best first.
        owners: (P,) the cluster of each vote, in 0..K-1.
    """

    kept: IntArray
    owners: IntArray

    def __len__(self) -> int:
        """Return K."""
        return len(self.kept)


def suppress(boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float) -> Clusters:
    """Do greedy non-maximum suppression and return for each box the one that suppressed it.

    The best box is kept and takes all boxes whose intersection over union with it exceeds
    ``overlap``; then the best of the rest, until none is left (Wu et al. 2016, section 2.1, steps
    4 and 5). Equal scores: the first in order. Uses numba, and all of torch's threads, where it is
    installed.

    Args:
        boxes: (P, 4) x0, y0, x1, y1, no side negative.
        scores: (P,).
        overlap: in [0, 1).

    Raises:
        InputError: the shapes do not fit, a value is not finite, a box ends before it begins, or
            the overlap is out of range.
    """
    if not 0 <= overlap < 1:
        raise InputError(f"overlap: expected a value in [0, 1), got {overlap}")
    check_votes(boxes, scores)
    boxes64 = np.ascontiguousarray(boxes, dtype=np.float64)
    order = best_first(scores)
    if find_spec("numba") is None:
        picked, sorted_owners = suppress_sorted_numpy(boxes64[order], overlap)
        owners = np.empty_like(sorted_owners)
        owners[order] = sorted_owners
        return Clusters(order[picked], owners)
    return _suppress_compiled(boxes64, order, overlap)


def check_votes(boxes: NDArray[np.floating], scores: NDArray[np.floating]) -> None:
    """Check boxes (P, 4) x0, y0, x1, y1 and scores (P,).

    Raises:
        InputError: the shapes do not fit, a value is not finite, or a box ends before it begins.
    """
    if boxes.shape != (len(scores), 4):
        raise InputError(
            f"votes: expected boxes (P, 4) for {len(scores)} scores, got {boxes.shape}"
        )
    if not (_all_finite(boxes) and _all_finite(scores)):
        raise InputError("votes: expected finite boxes and scores, got NaN or infinity")
    if (boxes[:, 2] < boxes[:, 0]).any() or (boxes[:, 3] < boxes[:, 1]).any():
        raise InputError("votes: expected boxes x0, y0, x1, y1, got one that ends before it begins")


def _all_finite(values: NDArray[np.floating]) -> bool:
    # The least and the greatest tell of a NaN too, without an array of answers.
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def best_first(scores: NDArray[np.floating]) -> IntArray:
    """Return the places (P,) of finite scores from the highest down, equal ones in turn."""
    if scores.dtype != np.float32:
        return np.argsort(-scores, kind="stable")
    # One sort of whole numbers, the score above and the place below, is several times as fast as
    # a stable argsort. Adding nought makes the negative nought a nought.
    bits = (scores + np.float32(0)).view(np.int32)
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    keys = (~rising).astype(np.int64) << 32
    keys |= np.arange(len(scores), dtype=np.int64)
    keys.sort()
    return np.asarray(keys & 0xFFFFFFFF)


def _suppress_compiled(boxes: DoubleArray, order: IntArray, overlap: float) -> Clusters:
    """Suppress in rounds: what the picks so far do not claim, side by side, is settled in turn."""
    from vostrack.proposers.hough_voting.numba_loops import claim, settle

    owners = np.full(len(boxes), -1, dtype=np.int64)
    kept = np.empty(len(boxes), dtype=np.int64)
    picked = np.empty((len(boxes), 5))
    begin = found = 0
    while begin < len(boxes):
        # Most picks are made early, so that a round may be as large as all before it.
        votes = order[begin : max(2 * begin, _FIRST_ROUND)]
        so_far = picked[:found]

        def run(part: slice, votes: IntArray = votes, so_far: DoubleArray = so_far) -> None:
            claim(boxes, votes[part], so_far, overlap, owners)

        in_parts(run, len(votes), _PART)
        found = settle(boxes, votes, picked, found, overlap, owners, kept)
        begin += len(votes)
    return Clusters(kept[:found].copy(), owners)


def suppress_sorted_numpy(boxes: DoubleArray, overlap: float) -> tuple[IntArray, IntArray]:
    """Suppress boxes (P, 4) that come best first: one vectorised step for each that is kept."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    owners = np.empty(len(boxes), dtype=np.int64)
    kept: list[int] = []
    waiting = np.arange(len(boxes))
    while len(waiting):
        best, others = waiting[0], boxes[waiting]
        size = np.minimum(others[:, 2:], boxes[best, 2:]) - np.maximum(
            others[:, :2], boxes[best, :2]
        )
        common = size.clip(min=0).prod(axis=1)
        taken = common > overlap * (areas[waiting] + areas[best] - common)
        taken[0] = True
        owners[waiting[taken]] = len(kept)
        kept.append(int(best))
        waiting = waiting[~taken]
    return np.array(kept, dtype=np.int64), owners


def most_overlapping(
    boxes: NDArray[np.floating], modes: NDArray[np.floating]
) -> tuple[IntArray, DoubleArray]:
    """Find for each box the mode that it overlaps most. Uses numba where it is installed.

    Args:
        boxes: (P, 4) x0, y0, x1, y1, no side negative.
        modes: (K, 4) the same, K of at least 1.

    Returns:
        (P,) the mode, the first of equals, and (P,) its intersection over union with the box.
    """
    boxes64 = np.ascontiguousarray(boxes, dtype=np.float64)
    modes64 = np.ascontiguousarray(modes, dtype=np.float64)
    if find_spec("numba") is None:
        return _most_overlapping_numpy(boxes64, modes64)
    from vostrack.proposers.hough_voting.numba_loops import most_overlapping as compiled

    best, most = np.zeros(len(boxes64), dtype=np.int64), np.zeros(len(boxes64))
    in_parts(
        lambda part: compiled(boxes64[part], modes64, best[part], most[part]), len(boxes64), _PART
    )
    return best, most


def _most_overlapping_numpy(boxes: DoubleArray, modes: DoubleArray) -> tuple[IntArray, DoubleArray]:
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
    areas = (x1 - x0) * (y1 - y0)
    best = np.zeros(len(boxes), dtype=np.int64)
    most = np.zeros(len(boxes))
    # One mode at a time: a table of all boxes and modes would not fit the cache.
    for index, mode in enumerate(modes):
        width = np.minimum(x1, mode[2]) - np.maximum(x0, mode[0])
        height = np.minimum(y1, mode[3]) - np.maximum(y0, mode[1])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        area = (mode[2] - mode[0]) * (mode[3] - mode[1])
        overlap = common / np.maximum(areas + area - common, 1e-9)
        better = overlap > most
        best[better], most[better] = index, overlap[better]
    return best, most
