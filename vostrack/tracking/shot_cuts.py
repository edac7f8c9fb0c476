"""Where a new shot begins: two frames that have little in common."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["is_cut", "thumbnail"]

_SIDE = 32
_BINS = 6
# Mean difference of the thumbnails, of 255, and share of the colours that differ. Both must be
# exceeded: a fast camera moves pixels and keeps the colours, a flash keeps the pixels' order.
_DIFFERENCE = 25.0
_COLOURS = 0.4


def thumbnail(frame: UInt8Array) -> UInt8Array:
    """Return a frame (H, W, 3) uint8 at 32 x 32 pixels."""
    height, width = frame.shape[:2]
    if min(height, width) > 8 * _SIDE and not (height % 2 or width % 2):
        # Four pixels are averaged in a tenth of the time that any other number takes.
        frame = _averaged(frame, (width // 2, height // 2))
    return _averaged(frame, (_SIDE, _SIDE))


def _averaged(frame: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def is_cut(before: UInt8Array, now: UInt8Array) -> bool:
    """Tell whether a new shot begins between two thumbnails (32, 32, 3) uint8."""
    if cv2.absdiff(before, now).mean() <= _DIFFERENCE:
        return False
    different = np.abs(_colours(before) - _colours(now)).sum() / 2
    return bool(different > _COLOURS)


def _colours(small: UInt8Array) -> FloatArray:
    counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    shares: FloatArray = (counts.ravel() / small[..., 0].size).astype(np.float32)
    return shares
