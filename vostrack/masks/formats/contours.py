"""A mask as one polygon."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray, IntArray

__all__ = ["has_parts", "polygon_with_bridges"]


def has_parts(mask: BoolArray) -> bool:
    """Tell whether a mask (H, W) consists of several parts."""
    import cv2

    return int(cv2.connectedComponents(mask.astype(np.uint8))[0]) > 2


def polygon_with_bridges(mask: BoolArray) -> list[tuple[int, int]]:
    """Trace a mask with holes and several parts as one polygon.

    The polygon goes over to each hole and part along a line, and back again. It passes through the
    centres of the outermost pixels, so that filling it together with its outline gives the mask
    again, except for the lines between parts.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        Points x, y in pixels; at least three.
    """
    import cv2

    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    contours = [np.asarray(c).reshape(-1, 2).astype(np.int64) for c in found]
    contours.sort(key=len, reverse=True)
    joined = contours[0]
    for contour in contours[1:]:
        joined = _joined(joined, contour)
    points = [(int(x), int(y)) for x, y in joined]
    return points if len(points) > 2 else [*points, *points, *points][:3]


def _joined(one: IntArray, other: IntArray) -> IntArray:
    """Join two closed polygons at their nearest points."""
    apart = np.abs(one[:, None, :] - other[None, :, :]).sum(axis=-1)
    a, b = np.unravel_index(int(apart.argmin()), apart.shape)
    turned = np.roll(other, -int(b), axis=0)
    return np.concatenate([one[: int(a) + 1], turned, turned[:1], one[int(a) :]])
