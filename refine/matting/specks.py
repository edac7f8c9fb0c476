"""Removing specks from mattes: islands and holes of a few pixels."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray

__all__ = ["without_specks"]

_LARGEST = 8
# Of 8 bits. A matte is stored with these, and compositing programs cut it at such levels.
_LEVELS = (1, 16, 32, 64, 96, 128, 160, 192, 224, 240, 255)
_BELOW = np.float32(1e-4)


def without_specks(alpha: FloatArray) -> FloatArray:
    """Level islands and holes of up to 8 pixels.

    It is an area opening and then an area closing (Vincent 1993), at eleven of 256 levels.

    Args:
        alpha: (H, W) float32 in [0, 1].

    Returns:
        (H, W) float32. At each of these levels, a region above or below it has more than 8 pixels.
    """
    levelled = alpha.copy()
    for level in _LEVELS[::-1]:
        edge = np.float32((level - 0.5) / 255)
        small = _small_regions(levelled >= edge)
        levelled[small] = np.minimum(levelled[small], edge - _BELOW)
    for level in _LEVELS:
        edge = np.float32((level - 0.5) / 255)
        small = _small_regions(levelled < edge)
        levelled[small] = np.maximum(levelled[small], edge + _BELOW)
    return np.clip(levelled, 0, 1)


def _small_regions(mask: BoolArray) -> BoolArray:
    """Return the pixels of small regions; pixels that touch at a corner belong together."""
    _, regions, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = np.asarray(facts[:, cv2.CC_STAT_AREA] <= _LARGEST)
    small[0] = False
    return np.asarray(small[regions], np.bool_)
