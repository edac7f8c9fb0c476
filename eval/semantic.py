"""Semantic scores from a confusion matrix: mean IoU, pixel accuracy, mean accuracy."""

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
        pixel_accuracy: the share of pixels that are right.
        mean_accuracy: the mean of ``accuracy`` over the classes that occur in the truth.
        mean_iou: the mean of ``iou`` over the classes that occur in the truth or the prediction.
        accuracy: (C,) share of each class's true pixels that are right; NaN for a class that does
            not occur in the truth.
        iou: (C,) intersection over union; 0 for a class that is only predicted, NaN for one that
            does not occur at all.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    accuracy: DoubleArray
    iou: DoubleArray


class ConfusionMatrix:
    """Counts, over images, how often each true class was predicted as each other."""

    def __init__(self, classes: int, *, void: int | None = VOID) -> None:
        """Begin.

        Args:
            classes: C; labels are 0..C-1.
            void: the true label of pixels that are not judged; None for none.

        Raises:
            InputError: not 1..255 classes.
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
            prediction: (H, W) labels 0..C-1; anything on void pixels.
            truth: (H, W) labels 0..C-1 or void.
            name: names the image in an error.

        Raises:
            InputError: not label maps, of different sizes, or a label out of range on a pixel
                that is judged.
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
                    f"{name} ({kind}): label {int(labels.max())} is not one of the "
                    f"{self.classes} classes 0..{self.classes - 1}"
                )
        pairs = truth.ravel().astype(np.intp) * self.classes + prediction.ravel()
        self.counts += np.bincount(pairs, minlength=self.classes**2).reshape(self.counts.shape)

    def compute(self) -> SemanticScores:
        """Return the scores over the images so far.

        Raises:
            InputError: no pixel was judged yet.
        """
        total = int(self.counts.sum())
        if not total:
            raise InputError("no pixel was judged: no image was given, or all pixels are void")
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
