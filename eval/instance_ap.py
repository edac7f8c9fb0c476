"""Average precision of instance masks: AP^r at any overlap, and AP^r_vol.

Hariharan et al. 2014, "Simultaneous Detection and Segmentation". Published numbers differ in how
detections are matched and how the curve is integrated; both are choices here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vostrack.arrays import BoolArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.instances import (
    Instances,
    overlaps,
    without_void,
)

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
"""The overlaps 0.1, 0.2, ..., 0.9 whose mean AP^r is AP^r_vol."""


def match(overlap: DoubleArray, threshold: float, matching: Matching) -> BoolArray:
    """Decide which detections of one class in one image are true.

    Args:
        overlap: (K, M) overlap of each detection, best score first, with each true instance.
        threshold: in [0, 1].
        matching: ``"sds"``: a detection takes the true instance it overlaps most among those that
            are still free, if by more than the threshold. ``"voc"``: it may only take the one it
            overlaps most of all, if by the threshold or more and if that one is still free.

    Returns:
        (K,) whether each detection is true.
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
        true: (K,) whether each detection of the whole data set is true, best score first.
        instances: how many true instances there are.
        integration: ``"area"``: under the curve's monotone envelope (PASCAL VOC since 2010, SDS).
            ``"11pt"``: the mean of the best precision at recall 0, 0.1, ..., 1 or beyond (VOC
            2007, MNC). ``"nonint"``: the sum of the precision at every true detection over the
            number of instances.

    Returns:
        In [0, 1]; NaN where there is no true instance.
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
    # recall >= i / 10 in whole numbers: 3 of 10 must reach 0.3.
    reached = [np.flatnonzero(found * 10 >= step * instances) for step in range(11)]
    return float(sum(best_beyond[hits[0]] for hits in reached if len(hits)) / 11)


@dataclass(frozen=True)
class APScores:
    """Average precision by overlap and class.

    Attributes:
        thresholds: (T,) overlaps.
        classes: (C,) labels that have a true instance or a detection.
        ap: (T, C) in [0, 1]; NaN for a class without a true instance.
    """

    thresholds: tuple[float, ...]
    classes: tuple[int, ...]
    ap: DoubleArray

    def mean_ap(self, threshold: float) -> float:
        """Return AP^r at one overlap, the mean over the classes that have a true instance.

        Raises:
            InputError: the overlap was not evaluated.
        """
        for index, known in enumerate(self.thresholds):
            if abs(known - threshold) < 1e-9:
                return _mean(self.ap[index])
        raise InputError(f"threshold {threshold} was not evaluated; choose from {self.thresholds}")

    @property
    def volume(self) -> float:
        """AP^r_vol: the mean over 0.1, ..., 0.9 of AP^r.

        Raises:
            InputError: these overlaps were not all evaluated.
        """
        return float(np.mean([self.mean_ap(threshold) for threshold in VOLUME_THRESHOLDS]))


class InstanceAP:
    """Pools detections over images. Keeps overlaps and scores, never a mask.

    Detections with equal scores are ranked in the order in which they came.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = VOLUME_THRESHOLDS,
        *,
        integration: Integration = "area",
        matching: Matching = "sds",
    ) -> None:
        """Begin.

        Args:
            thresholds: overlaps in [0, 1].
            integration: as in ``average_precision``.
            matching: as in ``match``.

        Raises:
            InputError: an unknown choice, or an overlap outside [0, 1].
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

    def update(
        self, prediction: Instances, truth: Instances, void: BoolArray | None = None
    ) -> None:
        """Add one image.

        Args:
            prediction: the detections, with scores.
            truth: the true instances.
            void: (H, W) pixels that count for neither; None for none.

        Raises:
            InputError: detections without scores, or masks of another size than the truth's.
        """
        if prediction.scores is None:
            raise InputError("prediction.scores: expected one score for each detection, got None")
        check_sizes(prediction, truth, void)
        mine, theirs = without_void(prediction, void), without_void(truth, void)
        for label in sorted({*prediction.labels.tolist(), *truth.labels.tolist()}):
            chosen = np.flatnonzero(prediction.labels == label)
            chosen = chosen[np.argsort(-prediction.scores[chosen], kind="stable")]
            overlap = overlaps(mine[chosen], theirs[truth.labels == label])
            self._images.setdefault(label, []).append((prediction.scores[chosen], overlap))

    def compute(self) -> APScores:
        """Return the average precision over the images so far.

        Raises:
            InputError: no image had an instance.
        """
        if not self._images:
            raise InputError("no image had a true instance or a detection; nothing to score")
        classes = tuple(sorted(self._images))
        ap = [[self._class_ap(label, limit) for label in classes] for limit in self.thresholds]
        return APScores(self.thresholds, classes, np.array(ap))

    def _class_ap(self, label: int, threshold: float) -> float:
        """Return the average precision of one class at one overlap."""
        images = self._images[label]
        scores = np.concatenate([scores for scores, _ in images])
        true = np.concatenate([match(rows, threshold, self.matching) for _, rows in images])
        order = np.argsort(-scores, kind="stable")
        instances = sum(rows.shape[1] for _, rows in images)
        return average_precision(true[order], instances, self.integration)


def check_sizes(prediction: Instances, truth: Instances, void: BoolArray | None) -> None:
    """Refuse masks of different sizes.

    Raises:
        InputError: the sizes differ.
    """
    sizes = [masks.shape[-2:] for masks in (prediction.masks, truth.masks)]
    sizes += [] if void is None else [void.shape]
    if len(set(sizes)) > 1:
        raise InputError(
            "prediction, truth and void must have one size (H, W), got "
            + ", ".join(str(size) for size in sizes)
        )


def _mean(values: DoubleArray) -> float:
    """Return the mean of the numbers; NaN where there is none."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")
