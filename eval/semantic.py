"""Semantic segmentation scores from a confusion matrix: mean IoU and accuracies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import AnyArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.label_maps import as_label_map, check_same_size
from vostrack.masks.palette import VOID

__all__ = ["ConfusionMatrix", "SemanticScores"]


@dataclass(frozen=True)
class SemanticScores:
    """The scores of Long et al. 2015 ("Fully Convolutional Networks"), section 5; each in [0, 1].

    Attributes:
        pixel_accuracy: fraction of correctly classified pixels.
        mean_accuracy: mean of ``accuracy`` over the classes in the truth.
        mean_iou: mean of ``iou`` over the classes in the truth or the prediction.
        accuracy: (C,), fraction of correctly classified pixels of each class; NaN for a class that
            is not in the truth.
        iou: (C,), intersection over union of each class; 0 for a class that is only predicted, NaN
            for a class that does not occur.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    accuracy: DoubleArray
    iou: DoubleArray


class ConfusionMatrix:
    """Counts pixels by true and predicted class, over images."""

    def __init__(self, classes: int, *, void: int | None = VOID) -> None:
        """Start without images.

        Args:
            classes: number of classes C; the labels are 0..C-1.
            void: true label of pixels to ignore; None for none.

        Raises:
            InputError: the number of classes is outside 1..255.
        """
        if not 1 <= classes <= VOID:
            raise InputError(f"classes: expected 1..255, got {classes}")
        self.classes = classes
        self.void = void
        self.counts = np.zeros((classes, classes), dtype=np.int64)
        """(C, C) pixels by true class (row) and predicted class (column)."""

    def update(self, prediction: AnyArray, truth: AnyArray, *, name: str = "image") -> None:
        """Add one image.

        Args:
            prediction: (H, W) labels 0..C-1; arbitrary on void pixels.
            truth: (H, W) labels 0..C-1, or void.
            name: name of the image in messages.

        Raises:
            InputError: a label map is malformed, the sizes differ, or a label is out of range.
        """
        prediction = as_label_map(prediction, f"{name} (prediction)")
        truth = as_label_map(truth, f"{name} (truth)")
        check_same_size(prediction, truth, name)
        if self.void is not None:
            judged = truth != self.void
            prediction, truth = prediction[judged], truth[judged]
        for kind, labels in (("prediction", prediction), ("truth", truth)):
            if labels.size and int(labels.max()) >= self.classes:
                raise InputError(
                    f"{name} ({kind}): expected labels 0..{self.classes - 1}, got "
                    f"{int(labels.max())}"
                )
        pairs = truth.ravel().astype(np.intp) * self.classes + prediction.ravel()
        self.counts += np.bincount(pairs, minlength=self.classes**2).reshape(self.counts.shape)

    def compute(self) -> SemanticScores:
        """Return the scores over the images so far.

        Raises:
            InputError: no pixel was evaluated.
        """
        total = int(self.counts.sum())
        if not total:
            raise InputError(
                "confusion matrix: expected a pixel that is not void, got none; call update first"
            )
        right = np.diag(self.counts)
        occurring = self.counts.sum(axis=1)
        union = occurring + self.counts.sum(axis=0) - right
        accuracy = np.where(occurring > 0, right / np.maximum(occurring, 1), np.nan)
        iou = np.where(union > 0, right / np.maximum(union, 1), np.nan)
        return SemanticScores(
            pixel_accuracy=float(right.sum() / total),
            mean_accuracy=float(np.nanmean(accuracy)),
            mean_iou=float(np.nanmean(iou)),
            accuracy=accuracy,
            iou=iou,
        )
