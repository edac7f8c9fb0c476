"""Checks of label maps before scoring."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import AnyArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = ["as_label_map", "check_same_size"]


def as_label_map(labels: AnyArray, name: str) -> UInt8Array:
    """Check a label map and convert it to uint8.

    Args:
        labels: (H, W), bool or integers in 0..255.
        name: name of the label map in messages.

    Raises:
        InputError: the shape, type or range is not supported.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or 0 in labels.shape or labels.dtype.kind not in "bui":
        raise InputError(
            f"{name}: expected a label map (H, W) of integers, "
            f"got {labels.dtype} of shape {labels.shape}; read an indexed PNG without converting "
            "it to RGB"
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
    """Check that a prediction has the size of its truth.

    Raises:
        InputError: the shapes differ. Masks are not resized, because that would change the score.
    """
    if prediction.shape != truth.shape:
        raise InputError(
            f"{name}: expected a predicted mask of {truth.shape[1]}x{truth.shape[0]} pixels like "
            f"the truth, got {prediction.shape[1]}x{prediction.shape[0]}; save the masks at that "
            "size"
        )
