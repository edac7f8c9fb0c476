"""Layers that can be shown over a frame: the soft matte of its objects."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.runs.matte import frame_mattes

__all__ = ["soft_matte"]


def soft_matte(image: UInt8Array, labels: UInt8Array) -> UInt8Array:
    """Return how much of each pixel belongs to any object, as ``--save-mattes`` writes it.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, ids of objects.

    Returns:
        (H, W) uint8, 255 where a pixel is all object.
    """
    ids = [int(number) for number in np.unique(labels) if number]
    if not ids:
        return np.zeros_like(labels)
    total = frame_mattes(image, labels, ids).sum(axis=0)
    matte: UInt8Array = np.rint(total.clip(0, 1) * 255).astype(np.uint8)
    return matte
