"""Average precision of instance masks: AP^r at any overlap threshold, and AP^r_vol.

Hariharan et al. 2014, "Simultaneous Detection and Segmentation". Published numbers differ in the
matching of detections and in the integration of the curve. Both are options here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vostrack.arrays import BoolArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.instances import Instances, InstanceScorer, overlaps, without_void

__all__ = [
    "VOLUME_THRESHOLDS",
    "APScores",
    "InstanceAP",
    "Integration",
    "Matching",
    "average_precision",
    "match",
]

Integration = Literal["area", "11pt", "nonint"]
Matching = Literal["sds", "voc"]

VOLUME_THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""The overlap thresholds 0.1, 0.2, ..., 0.9. Their mean AP^r is AP^r_vol."""


def match(overlap: DoubleArray, threshold: float, matching: Matching) -> BoolArray:
    """Decide which detections of one class in one image are true positives.

    Args:
        overlap: (K, M), overlap of each detection with each true instance, best score first.
        threshold: overlap threshold in [0, 1].
        matching: with ``"sds"``, a detection is matched to the unmatched true instance with the
            largest overlap, if that is above the threshold. With ``"voc"``, it can be matched only
            to the true instance with the largest overlap, if that is at least the threshold and the
            instance is still unmatched.

    Returns:
        (K,) bool, whether each detection is a true positive.
    """
    true = np.zeros(len(overlap), dtype=np.bool_)
    free = np.ones(overlap.shape[1], dtype=np.bool_)
    for index, row in enumerate(overlap):
        if matching == "sds":
            row = np.where(free, row, -1.0)
        if not len(row):
            break
        best = int(row.argmax())
        enough = row[best] > threshold if matching == "sds" else row[best] >= threshold
        if enough and free[best]:
            true[index] = True
            free[best] = False
    return true


def average_precision(true: BoolArray, instances: int, integration: Integration) -> float:
    """Integrate the precision-recall curve of one class.

    Args:
        true: (K,) bool, whether each detection of the data set is a true positive, best score
            first.
        instances: number of true instances.
        integration: ``"area"`` is the area under the monotone envelope of the curve (PASCAL VOC
            since 2010, SDS). ``"11pt"`` is the mean of the best precision at recall of at least 0,
            0.1, ..., 1 (VOC 2007, MNC). ``"nonint"`` is the sum of the precision at every true
            positive, divided by the number of instances.

    Returns:
        The average precision in [0, 1]; NaN if there is no true instance.
    """
    if instances == 0:
        return float("nan")
    if not len(true):
        return 0.0
    found = np.cumsum(true)
    precision = found / np.arange(1, len(true) + 1)
    if integration == "nonint":
        return float(precision[true].sum() / instances)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    if integration == "area":
        return float(best_beyond[true].sum() / instances)
    # recall >= i / 10 in integers, so that 3 of 10 reach 0.3.
    reached = [np.flatnonzero(found * 10 >= step * instances) for step in range(11)]
    return float(sum(best_beyond[hits[0]] for hits in reached if len(hits)) / 11)


@dataclass(frozen=True)
class APScores:
    """Average precision by overlap threshold and class.

    Attributes:
        thresholds: the T overlap thresholds.
        classes: the C labels with a true instance or a detection.
        ap: (T, C) in [0, 1]; NaN for a class without a true instance.
    """

    thresholds: tuple[float, ...]
    classes: tuple[int, ...]
    ap: DoubleArray

    def mean_ap(self, threshold: float) -> float:
        """Return AP^r at one threshold, the mean over the classes with a true instance.

        Raises:
            InputError: the threshold was not evaluated.
        """
        for index, known in enumerate(self.thresholds):
            if abs(known - threshold) < 1e-9:
                return _mean(self.ap[index])
        raise InputError(f"threshold: expected one of {self.thresholds}, got {threshold}")

    @property
    def volume(self) -> float:
        """AP^r_vol, the mean of AP^r over the thresholds 0.1, ..., 0.9.

        Raises:
            InputError: one of these thresholds was not evaluated.
        """
        return float(np.mean([self.mean_ap(threshold) for threshold in VOLUME_THRESHOLDS]))


class InstanceAP(InstanceScorer):
    """Average precision over images. It stores overlaps and scores, but no masks.

    Detections with equal scores are ranked in the order in which they were added.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = VOLUME_THRESHOLDS,
        *,
        integration: Integration = "area",
        matching: Matching = "sds",
    ) -> None:
        """Start without images.

        Args:
            thresholds: overlap thresholds in [0, 1].
            integration: as in ``average_precision``.
            matching: as in ``match``.

        Raises:
            InputError: an option is unknown, or a threshold is outside [0, 1].
        """
        if integration not in ("area", "11pt", "nonint"):
            raise InputError(f"integration: expected area, 11pt or nonint, got {integration!r}")
        if matching not in ("sds", "voc"):
            raise InputError(f"matching: expected sds or voc, got {matching!r}")
        if not thresholds or not all(0 <= threshold <= 1 for threshold in thresholds):
            raise InputError(f"thresholds: expected overlaps in [0, 1], got {thresholds}")
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        self.integration: Integration = integration
        self.matching: Matching = matching
        self._images: dict[int, list[tuple[DoubleArray, DoubleArray]]] = {}

    def _add(
        self, prediction: Instances, scores: DoubleArray, truth: Instances, void: BoolArray | None
    ) -> None:
        mine, theirs = without_void(prediction, void), without_void(truth, void)
        for label in sorted({*prediction.labels.tolist(), *truth.labels.tolist()}):
            chosen = np.flatnonzero(prediction.labels == label)
            chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
            overlap = overlaps(mine[chosen], theirs[truth.labels == label])
            self._images.setdefault(label, []).append((scores[chosen], overlap))

    def compute(self) -> APScores:
        """Return the average precision over the images so far.

        Raises:
            InputError: there was no true instance and no detection.
        """
        if not self._images:
            raise InputError(
                "average precision: expected a true instance or a detection, got none; call "
                "update first"
            )
        classes = tuple(sorted(self._images))
        ap = [[self._class_ap(label, limit) for label in classes] for limit in self.thresholds]
        return APScores(self.thresholds, classes, np.array(ap))

    def _class_ap(self, label: int, threshold: float) -> float:
        """Return the average precision of one class at one threshold."""
        images = self._images[label]
        scores = np.concatenate([scores for scores, _ in images])
        true = np.concatenate([match(rows, threshold, self.matching) for _, rows in images])
        order = np.argsort(-scores, kind="stable")
        instances = sum(rows.shape[1] for _, rows in images)
        return average_precision(true[order], instances, self.integration)


def _mean(values: DoubleArray) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")
