"""The rough foreground F_d of each detection, by GrabCut (Rother et al. 2004)."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray, UInt8Array

__all__ = ["box_pixels", "grabcut_foregrounds"]


_SMALLEST_SIDE = 8
_LONGEST_SIDE = 200
_ITERATIONS = 5
_CONTEXT = 0.5


def box_pixels(box: FloatArray, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the pixels that a box touches, at least one of each inside the image.

    Args:
        box: (4,) x0, y0, x1, y1 in pixels, the end exclusive.
        height: H.
        width: W.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    top, left = (min(max(int(np.floor(v)), 0), n - 1) for v, n in ((y0, height), (x0, width)))
    bottom, right = (min(int(np.ceil(v)), n) for v, n in ((y1, height), (x1, width)))
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def grabcut_foregrounds(frame: UInt8Array, boxes: FloatArray) -> BoolArray:
    """Segment the object in each box from what surrounds it.

    GrabCut runs on a crop around the box, of at most 200 pixels a side. Where it cannot work, the
    box itself is the foreground: a box smaller than 8 pixels, or one without any background.

    Args:
        frame: (H, W, 3) uint8 RGB.
        boxes: (D, 4) x0, y0, x1, y1 in pixels, the end exclusive, inside the frame.

    Returns:
        (D, H, W) bool; all False where GrabCut finds no foreground at all.
    """
    height, width = frame.shape[:2]
    foregrounds = np.zeros((len(boxes), height, width), dtype=np.bool_)
    for foreground, box in zip(foregrounds, boxes, strict=True):
        rows, columns = box_pixels(box, height, width)
        crop_rows = _with_context(rows, height)
        crop_columns = _with_context(columns, width)
        inner = (
            slice(rows.start - crop_rows.start, rows.stop - crop_rows.start),
            slice(columns.start - crop_columns.start, columns.stop - crop_columns.start),
        )
        foreground[crop_rows, crop_columns] = _grabcut(frame[crop_rows, crop_columns], *inner)
    return foregrounds


def _with_context(span: slice, limit: int) -> slice:
    margin = max(8, round((span.stop - span.start) * _CONTEXT))
    return slice(max(span.start - margin, 0), min(span.stop + margin, limit))


def _grabcut(crop: UInt8Array, rows: slice, columns: slice) -> BoolArray:
    """The foreground (h, w) of the box that the slices give within a crop (h, w, 3)."""
    height, width = crop.shape[:2]
    box_only = np.zeros((height, width), dtype=np.bool_)
    box_only[rows, columns] = True
    if min(rows.stop - rows.start, columns.stop - columns.start) < _SMALLEST_SIDE:
        return box_only
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    marks = cv2.resize(
        box_only.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST
    )
    if marks.all():
        # GrabCut learns the background from outside the box; here the border takes its place.
        marks[[0, -1]] = 0
        marks[:, [0, -1]] = 0
    inside = marks.astype(np.bool_)
    if not inside.any() or inside.all():
        return box_only
    marks[inside] = cv2.GC_PR_FGD
    marks[~inside] = cv2.GC_BGD
    # GrabCut clusters colours from OpenCV's shared generator; seeded, a frame gives one result.
    cv2.setRNGSeed(0)
    models = np.zeros((2, 1, 65))
    bgr = np.ascontiguousarray(small[:, :, ::-1])
    whole = (0, 0, small.shape[1], small.shape[0])  # unused when the mask says where to look
    cv2.grabCut(bgr, marks, whole, models[0], models[1], _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    full = cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    return np.asarray(full & box_only)
