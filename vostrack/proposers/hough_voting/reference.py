"""Non-maximum suppression with owners, slow and obvious."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import DoubleArray, FloatArray, IntArray

__all__ = ["suppress"]


def suppress(boxes: DoubleArray, scores: FloatArray, overlap: float) -> tuple[IntArray, IntArray]:
    """Pick the best box, give it all boxes that overlap it, and begin again with the rest.

    Args:
        boxes: (P, 4) x0, y0, x1, y1.
        scores: (P,).
        overlap: a box goes to the picked one when their intersection over union exceeds this.

    Returns:
        kept (K,), the indices of the picked boxes in the order of picking, and owners (P,), for
        each box the place in ``kept`` of the one that took it. Equal scores: the first in order.
    """
    waiting = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    owners = np.full(len(boxes), -1, dtype=np.int64)
    while waiting:
        best = waiting[0]
        taken = [i for i in waiting if i == best or _exceeds(boxes[i], boxes[best], overlap)]
        owners[taken] = len(kept)
        kept.append(best)
        waiting = [i for i in waiting if owners[i] < 0]
    return np.array(kept, dtype=np.int64), owners


def _exceeds(box: DoubleArray, other: DoubleArray, overlap: float) -> bool:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return False
    common = width * height
    area = (box[2] - box[0]) * (box[3] - box[1])
    other_area = (other[2] - other[0]) * (other[3] - other[1])
    return bool(common > overlap * (area + other_area - common))
