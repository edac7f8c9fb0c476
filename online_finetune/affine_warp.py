"""Moving an image by an affine map, or only the part of it that an object can reach."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vostrack.arrays import AnyArray, DoubleArray, FloatArray

__all__ = ["reached", "warp"]

# Pixels around a moved object that blurring its edge reaches, and one for interpolation.
_EDGE = 5


def warp(
    array: AnyArray, matrix: DoubleArray, border: int, where: tuple[slice, slice] | None = None
) -> FloatArray:
    """Move an array (H, W) or (H, W, C); return it, or only the rows and columns ``where``."""
    height, width = array.shape[:2]
    rows, columns = where or (slice(0, height), slice(0, width))
    matrix = matrix - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    warped = cv2.warpAffine(array, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    return warped.astype(np.float32, copy=False)


def reached(
    box: tuple[int, int, int, int], matrix: DoubleArray, size: Sequence[int]
) -> tuple[slice, slice] | None:
    """Return the rows and columns of a frame of ``size`` = H and W that a moved object can change.

    Args:
        box: x0, y0, x1, y1 of the object.
        matrix: from old to new coordinates.
        size: of the frame.

    Returns:
        None if it is moved out of the frame.
    """
    x0, y0, x1, y1 = box
    corners = np.array([[x0, x1, x0, x1], [y0, y0, y1, y1], [1, 1, 1, 1]])
    moved = matrix @ corners
    (left, top), (right, bottom) = np.floor(moved.min(1)) - _EDGE, np.ceil(moved.max(1)) + _EDGE + 1
    rows = slice(max(0, int(top)), min(size[0], int(bottom)))
    columns = slice(max(0, int(left)), min(size[1], int(right)))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return rows, columns
