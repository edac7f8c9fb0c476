"""What a label map must be before it is scored."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import AnyArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = ["as_label_map", "check_same_size"]


def as_label_map(labels: AnyArray, name: str) -> UInt8Array:
    """Return a label map as uint8.

    Args:
        labels: (H, W), bool or integers in 0..255.
        name: how to name it in an error.

    Raises:
        InputError: another shape, type or range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or 0 in labels.shape or labels.dtype.kind not in "bui":
        raise InputError(
            f"{name}: expected a label map (H, W) of integers, "
            f"got {labels.dtype} of shape {labels.shape}; read an index PNG without converting it "
            "to RGB"
        )
    if labels.dtype == np.uint8:
        return labels
    if labels.dtype.kind != "b" and not (labels.min() >= 0 and labels.max() <= VOID):
        raise InputError(
            f"{name}: expected ids in 0..255, got {labels.min()} to {labels.max()}; "
            "renumber the objects"
        )
    return labels.astype(np.uint8)


def check_same_size(prediction: AnyArray, truth: AnyArray, name: str) -> None:
    """Refuse a prediction of another size than its truth.

    Raises:
        InputError: the shapes differ; masks are not resized silently, as that changes the score.
    """
    if prediction.shape != truth.shape:
        raise InputError(
            f"{name}: the predicted mask is {prediction.shape[1]}x{prediction.shape[0]} pixels, "
            f"the truth {truth.shape[1]}x{truth.shape[0]}; save the masks at the truth's size"
        )
