"""Strands of hair outside of a mask."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray

__all__ = ["strands_beyond"]

# Half of the width of a strand, in pixels where the longer side has 854.
_THIN = 5.0
# What joins a strand to the object.
_JOINED = 0.2


def strands_beyond(plain: FloatArray, far: FloatArray, mask: BoolArray, unit: float) -> FloatArray:
    """Add the strands that a wide search found to a matte.

    Kept is what is thin, by a white top-hat (Serra 1982), and joined to the object.

    Args:
        plain: (H, W) in [0, 1], the matte of the object.
        far: (H, W) in [0, 1], a matte that was sought farther from the object.
        mask: (H, W), the object without its strands.
        unit: pixels that one pixel at the nominal size is wide.

    Returns:
        (H, W) float32 in [0, 1], nowhere below the first matte.
    """
    outside = np.where(mask, np.float32(0), far).astype(np.float32)
    side = 2 * round(_THIN * unit) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    both = np.maximum(plain, outside - cv2.morphologyEx(outside, cv2.MORPH_OPEN, disc))
    _, regions = cv2.connectedComponents((both >= _JOINED).astype(np.uint8), connectivity=8)
    joined = np.zeros(int(regions.max()) + 1, np.uint8)
    joined[np.unique(regions[plain >= 0.5])] = 1
    joined[0] = 0
    # The faint rim of a strand goes with it.
    kept = cv2.dilate(joined[regions], np.ones((3, 3), np.uint8)) > 0
    return np.asarray(np.where(kept, both, plain), np.float32)
