"""The measures of MOSEv2: F with a tolerance that fits the object, and scores around absences.

Ding et al. 2025, "MOSEv2: A More Challenging Dataset for Video Object Segmentation in Complex
Scenes", arXiv 2508.05630, with the conventions of its published scoring code
(github.com/henghuiding/MOSE-api, MOSEv2/sam2_rcms/tools, commit b9afc7d).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vostrack.arrays import BoolArray, DoubleArray, UInt8Array
from vostrack.eval.frame_measures import boundary_f
from vostrack.eval.object_scores import ScoringPlan

__all__ = ["ObjectTrack", "adaptive_f", "mose_figures", "smoothed_j", "track_objects"]

_LARGEST = 0.008
_SHARE = 0.1


@dataclass(frozen=True)
class ObjectTrack:
    """The MOSEv2 scores of one object in the scored frames.

    Attributes:
        j: (T,), J; NaN for frames without a result.
        f: (T,), F with the adaptive tolerance, in the same form.
        absent: (T,), whether the object is absent from the truth.
    """

    j: DoubleArray
    f: DoubleArray
    absent: BoolArray

    def around_absences(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Average J and F over the absences, and over the stretches after them.

        An absence lasts from the frame in which the object vanishes to the frame before it comes
        back; one that begins in the first scored frame does not count. A stretch lasts from a
        return to the next absence. All of one kind have the same weight.

        Returns:
            (J, F) over the absences and (J, F) over the stretches; NaN where there are none.
        """
        edges = np.diff(self.absent.astype(np.int8))
        leaves = [*np.flatnonzero(edges == 1) + 1]
        returns = [*np.flatnonzero(edges == -1) + 1]
        end = len(self.absent)
        gone = [(a, next((b for b in returns if b > a), end)) for a in leaves]
        back = [(a, next((b for b in leaves if b > a), end)) for a in returns]
        return self._mean(gone), self._mean(back)

    def _mean(self, spans: list[tuple[int, int]]) -> tuple[float, float]:
        j = [_nanmean(self.j[a:b]) for a, b in spans]
        f = [_nanmean(self.f[a:b]) for a, b in spans]
        return _nanmean(np.array(j)), _nanmean(np.array(f))


def smoothed_j(prediction: BoolArray, truth: BoolArray) -> float:
    """Return the Jaccard index with one pixel added to intersection and union."""
    both = int(np.count_nonzero(prediction & truth))
    either = int(np.count_nonzero(prediction | truth))
    return (both + 1) / (either + 1)


def adaptive_f(prediction: BoolArray, truth: BoolArray) -> float:
    """Return contour accuracy with a tolerance of 0.1 times the square root of the object's area.

    The tolerance is at most that of DAVIS, 0.008 times the diagonal. Unlike there, that limit is
    not rounded up to whole pixels.

    Args:
        prediction: (H, W).
        truth: (H, W).
    """
    limit = _LARGEST * float(np.linalg.norm(truth.shape))
    area = int(np.count_nonzero(truth))
    radius = min(limit, math.ceil(_SHARE * math.sqrt(area))) if area else limit
    mine, theirs = _outline(prediction), _outline(truth)
    kernel = _disk(radius)
    return boundary_f(
        int(np.count_nonzero(cv2.dilate(theirs, kernel)[mine > 0])),
        int(np.count_nonzero(mine)),
        int(np.count_nonzero(cv2.dilate(mine, kernel)[theirs > 0])),
        int(np.count_nonzero(theirs)),
    )


def _disk(radius: float) -> UInt8Array:
    """Return a disk. One of a fractional radius is off centre, as in the published code."""
    along = np.arange(-radius, radius + 1)
    return np.asarray(along[:, None] ** 2 + along**2 <= radius**2, dtype=np.uint8)


def _outline(mask: BoolArray) -> UInt8Array:
    """Return the pixels that differ from their right, lower or lower right neighbour."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    east, south, corner = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return np.asarray((mask ^ east) | (mask ^ south) | (mask ^ corner), dtype=np.uint8)


def track_objects(
    plan: ScoringPlan,
    prediction: Callable[[str], UInt8Array | None],
    truth: Callable[[str], UInt8Array],
) -> list[ObjectTrack]:
    """Compute the MOSEv2 scores of the objects of one sequence.

    Args:
        plan: which objects are scored in which frames.
        prediction: returns the predicted ids (H, W) of a frame; None if there are none.
        truth: returns the true ids (H, W) of a frame.
    """
    chosen = np.flatnonzero(plan.scored.any(axis=1)).tolist()
    frames = [plan.frames[index] for index in chosen]
    shape = (len(plan.ids), len(frames))
    j, f, absent = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for column, frame in enumerate(frames):
        guess, true = prediction(frame), truth(frame)
        for row, number in enumerate(plan.ids):
            if not plan.scored[chosen[column], row]:
                continue
            absent[row, column] = not (true == number).any()
            if guess is not None and guess.shape == true.shape:
                j[row, column] = smoothed_j(guess == number, true == number)
                f[row, column] = adaptive_f(guess == number, true == number)
    return [ObjectTrack(*rows) for rows in zip(j, f, absent, strict=True)]


def mose_figures(tracks: list[ObjectTrack]) -> Mapping[str, float]:
    """Average over objects.

    Returns:
        ``J``, ``F-dot`` and their mean ``J&F-dot``; ``J&F-dot d`` over the absences of objects, and
        ``J&F-dot r`` over the stretches after their returns. NaN where there are none.
    """
    j = _nanmean(np.array([_nanmean(track.j) for track in tracks]))
    f = _nanmean(np.array([_nanmean(track.f) for track in tracks]))
    around = np.array([track.around_absences() for track in tracks]).reshape(-1, 2, 2)
    gone = [_nanmean(around[:, 0, part]) for part in (0, 1)]
    back = [_nanmean(around[:, 1, part]) for part in (0, 1)]
    return {
        "J&F-dot": (j + f) / 2,
        "J (MOSEv2)": j,
        "F-dot": f,
        "J&F-dot d": sum(gone) / 2,
        "J&F-dot r": sum(back) / 2,
    }


def _nanmean(values: DoubleArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
