"""Values of a mask that exist only because its edges were smoothed."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import AnyArray, BoolArray, IntArray
from vostrack.masks.smoothing import around, solid_pixels

__all__ = ["thin_levels"]


def thin_levels(values: IntArray, levels: IntArray, void: int | None) -> IntArray | None:
    """Find the levels that exist only because edges were smoothed.

    A level is thin if none of its pixels has all eight neighbours on the same level. In a smoothed
    mask, thin levels lie between two solid levels, in space and in value, almost everywhere that
    solid levels would touch. A mask with one tiny object has far more direct contacts than thin
    pixels. A seam of void does not have a value between those of its neighbours.

    Args:
        values: (H, W) integers, 0 for background.
        levels: the non-zero values.
        void: the value that would be taken for void, if any.

    Returns:
        The solid levels, ascending; None if the edges are not smoothed.
    """
    values = values[around(values != 0)]
    solid_levels = np.unique(values[solid_pixels(values)])
    solid_levels = solid_levels[solid_levels > 0]
    solid = np.isin(values, (0, *solid_levels))
    if solid.all() or not solid_levels.size:
        return None
    high = _window(np.where(solid, values, -1), largest_of=True)
    low = _window(np.where(solid, values, np.iinfo(np.int64).max), largest_of=False)
    seams = high[~solid & (low < values) & (values < high)]
    touching = np.concatenate([_contacts(values, solid), _contacts(values.T, solid.T)])
    between = seams.size >= 0.8 * np.count_nonzero(~solid)
    # White is also judged separately: it would be taken for void, whatever else is in the mask.
    white = np.count_nonzero(seams == void)
    if (between and seams.size >= touching.size) or (
        white and white >= np.count_nonzero(touching == void)
    ):
        return np.asarray(solid_levels, dtype=np.int64)
    return None


def _contacts(values: IntArray, solid: BoolArray) -> IntArray:
    """Return the larger value of every two vertical neighbours that are solid and differ."""
    above, below = values[:-1], values[1:]
    touch = (above != below) & solid[:-1] & solid[1:]
    return np.asarray(np.maximum(above[touch], below[touch]))


def _window(values: IntArray, *, largest_of: bool) -> IntArray:
    """Return the largest or smallest value in the 5 x 5 window around each pixel."""
    combine = np.maximum if largest_of else np.minimum
    for axis in (0, 1):
        width = [(2, 2) if a == axis else (0, 0) for a in (0, 1)]
        padded: AnyArray = np.pad(values, width, mode="edge")
        size = values.shape[axis]
        values = padded.take(range(size), axis=axis)
        for shift in range(1, 5):
            values = combine(values, padded.take(range(shift, shift + size), axis=axis))
    return values
