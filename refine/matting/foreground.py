"""The colours of an object at its soft edge, without the background behind it."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["foreground"]

_RADIUS = 12


def foreground(image: UInt8Array, alpha: FloatArray) -> UInt8Array:
    """Return the colours of an object, as straight alpha needs them.

    At its edge a picture shows a mixture of object and background. The mixture is taken apart by
    the mean colours nearby (Forte 2021, "blur fusion", eq. 4 to 6).

    Args:
        image: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB; the picture itself where alpha is 0 or 1.
    """
    mixed = (alpha > 0) & (alpha < 1)
    if not mixed.any():
        return image
    side = 2 * round(_RADIUS * max(1.0, max(alpha.shape) / 854)) + 1
    picture = image.astype(np.float32)
    share = alpha[..., None]
    front, behind = (_mean(picture, weight, side) for weight in (alpha, 1 - alpha))
    pure = front + share * (picture - share * front - (1 - share) * behind)
    result = image.copy()
    result[mixed] = np.clip(np.rint(pure[mixed]), 0, 255).astype(np.uint8)
    return result


def _mean(picture: FloatArray, weight: FloatArray, side: int) -> FloatArray:
    """Return the weighted mean colour in a window around each pixel."""
    total = cv2.blur(weight, (side, side))
    mean = cv2.blur(picture * weight[..., None], (side, side)) / np.maximum(total, 1e-5)[..., None]
    return np.asarray(mean, np.float32)
