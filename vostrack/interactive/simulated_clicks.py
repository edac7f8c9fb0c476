"""Clicks as a patient person would make them, for measuring and fitting.

The click after a mask lies at the inner point of the largest connected error (Xu et al. 2016): the
pixel that is furthest from the error's edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import BoolArray
from vostrack.interactive.prompts import Click

__all__ = ["inner_point", "next_click"]


def next_click(mask: BoolArray, truth: BoolArray) -> Click | None:
    """Return the next click; None where nothing is wrong.

    Args:
        mask: (H, W) so far; empty before the first click.
        truth: (H, W) of the object.
    """
    missed, surplus = _largest_piece(truth & ~mask), _largest_piece(mask & ~truth)
    if not missed.any() and not surplus.any():
        return None
    inside = bool(missed.sum() >= surplus.sum())
    return Click(*inner_point(missed if inside else surplus), inside)


def inner_point(region: BoolArray) -> tuple[int, int]:
    """Return x and y of the pixel that is furthest from the edge of a region (H, W)."""
    framed = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def _largest_piece(region: BoolArray) -> BoolArray:
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    if count < 2:
        return region
    largest: BoolArray = pieces == 1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())
    return largest
