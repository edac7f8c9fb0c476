"""HOTA, the measure of BURST: how well objects are found, and how well they keep their identity.

Luiten et al. 2021, "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", with the
conventions of TrackEval. BURST (Athar et al. 2023) averages it over classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import DoubleArray, IntArray, UInt8Array

__all__ = ["HotaCounts", "HotaFrame", "burst_counts", "count_matches", "hota_figures", "hota_frame"]

_LEVELS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo("float").eps
# Categories that BURST does not score: the annotators took them for others.
_DISTRACTORS = frozenset(
    map(
        str,
        (
            *(20, 63, 108, 180, 188, 204, 212, 247, 303, 403, 407, 415, 490, 504, 507, 513, 529),
            *(567, 569, 588, 672, 691, 702, 708, 711, 720, 736, 737, 798, 813, 815, 827, 831, 851),
            *(877, 883, 912, 971, 976, 1130, 1133, 1134, 1169, 1184, 1220),
        ),
    )
)


@dataclass(frozen=True)
class HotaFrame:
    """The objects of one frame.

    Attributes:
        truth: (G,) positions of the true objects that have pixels, among all objects.
        found: (P,) the same of the predicted ones.
        overlap: (G, P) intersection over union.
    """

    truth: IntArray
    found: IntArray
    overlap: DoubleArray


@dataclass(frozen=True)
class HotaCounts:
    """Matches of one or more videos, at the 19 levels of overlap 0.05, 0.10 ... 0.95.

    Attributes:
        matched: (19,) number of matched objects, over all frames.
        missed: (19,) number of true objects without a match.
        surplus: (19,) number of predicted objects without a match.
        associated: (19,) sum over the matches of the Jaccard index of the two objects' tracks.
    """

    matched: DoubleArray
    missed: DoubleArray
    surplus: DoubleArray
    associated: DoubleArray

    def __add__(self, other: HotaCounts) -> HotaCounts:
        """Return the counts of both."""
        return HotaCounts(
            self.matched + other.matched,
            self.missed + other.missed,
            self.surplus + other.surplus,
            self.associated + other.associated,
        )

    def measures(self) -> tuple[float, float, float]:
        """Return HOTA, DetA and AssA, averaged over the levels."""
        every = np.maximum(1, self.matched + self.missed + self.surplus)
        detection = self.matched / every
        association = self.associated / np.maximum(1, self.matched)
        hota = np.sqrt(detection * association)
        return float(hota.mean()), float(detection.mean()), float(association.mean())


def hota_frame(truth: UInt8Array, found: UInt8Array, ids: Sequence[int]) -> HotaFrame:
    """Compare two label maps (H, W).

    Args:
        truth: the true ids.
        found: the predicted ids.
        ids: the objects to compare; others are background.
    """
    pairs = np.bincount((truth.astype(np.int64) * 256 + found).ravel(), minlength=256 * 256)
    both = pairs.reshape(256, 256)
    theirs, ours = both.sum(1)[list(ids)], both.sum(0)[list(ids)]
    here, there = np.flatnonzero(theirs), np.flatnonzero(ours)
    chosen = np.array(ids, dtype=np.int64)
    shared = both[np.ix_(chosen[here], chosen[there])].astype(np.float64)
    either = theirs[here, None] + ours[None, there] - shared
    return HotaFrame(here, there, shared / either)


def count_matches(frames: Iterable[HotaFrame], objects: int) -> HotaCounts:
    """Match the objects of one video.

    Args:
        frames: its frames.
        objects: number of objects that the positions count.
    """
    from scipy.optimize import linear_sum_assignment

    frames = list(frames)
    alike = _alignment(frames, objects)
    seen, guessed = np.zeros(objects), np.zeros(objects)
    levels = len(_LEVELS)
    matched, missed, surplus = np.zeros(levels), np.zeros(levels), np.zeros(levels)
    pairs = np.zeros((levels, objects, objects))
    for frame in frames:
        seen[frame.truth] += 1
        guessed[frame.found] += 1
        wanted = -alike[np.ix_(frame.truth, frame.found)] * frame.overlap
        rows, columns = linear_sum_assignment(wanted)
        good = frame.overlap[rows, columns] >= _LEVELS[:, None] - _EPSILON
        matched += good.sum(1)
        missed += len(frame.truth) - good.sum(1)
        surplus += len(frame.found) - good.sum(1)
        pairs[:, frame.truth[rows], frame.found[columns]] += good
    tracks = pairs / np.maximum(1, seen[:, None] + guessed[None] - pairs)
    return HotaCounts(matched, missed, surplus, (pairs * tracks).sum((1, 2)))


def _alignment(frames: Sequence[HotaFrame], objects: int) -> DoubleArray:
    """Return (G, P) how alike tracks are over the whole video, before they are matched."""
    together, seen, guessed = (np.zeros((objects, n)) for n in (objects, 1, 1))
    for frame in frames:
        seen[frame.truth] += 1
        guessed[frame.found] += 1
        overlap = frame.overlap
        rest = overlap.sum(0)[None] + overlap.sum(1)[:, None] - overlap
        share = np.divide(overlap, rest, out=np.zeros_like(overlap), where=rest > _EPSILON)
        together[np.ix_(frame.truth, frame.found)] += share
    every = seen + guessed.T - together
    return np.divide(together, every, out=np.zeros_like(together), where=every > 0)


def burst_counts(
    frames: Sequence[str],
    categories: Mapping[int, str],
    prediction: Callable[[str], UInt8Array | None],
    truth: Callable[[str], UInt8Array],
) -> dict[str, HotaCounts]:
    """Match the objects of one video of BURST, class by class.

    Args:
        frames: names of the annotated frames with a result.
        categories: the class of each object that was given.
        prediction: returns the predicted ids (H, W) of a frame; None if there are none.
        truth: returns the true ids (H, W) of a frame.
    """
    classes: dict[str, list[int]] = {}
    for number, category in sorted(categories.items()):
        if category not in _DISTRACTORS:
            classes.setdefault(category, []).append(number)
    compared: dict[str, list[HotaFrame]] = {category: [] for category in classes}
    for name in frames:
        true, guess = truth(name), prediction(name)
        if guess is None or guess.shape != true.shape:
            guess = np.zeros_like(true)
        for category, ids in classes.items():
            compared[category].append(hota_frame(true, guess, ids))
    return {
        category: count_matches(compared[category], len(ids)) for category, ids in classes.items()
    }


def hota_figures(videos: Iterable[Mapping[str, HotaCounts]]) -> dict[str, float]:
    """Average over classes.

    Args:
        videos: the counts of each video by class.

    Returns:
        ``HOTA``, ``DetA`` and ``AssA``; NaN without any class.
    """
    classes: dict[str, HotaCounts] = {}
    for video in videos:
        for category, counts in video.items():
            known = classes.get(category)
            classes[category] = counts if known is None else known + counts
    names = ("HOTA", "DetA", "AssA")
    if not classes:
        return dict.fromkeys(names, float("nan"))
    means = np.mean([counts.measures() for counts in classes.values()], axis=0)
    return dict(zip(names, map(float, means), strict=True))
