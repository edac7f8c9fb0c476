"""Maps as planes in plain memory, and turning planes, so that columns become rows.

Importing this module imports neither numba nor OpenCV; the first call does.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from vostrack.arrays import AnyArray

__all__ = ["as_array", "as_planes", "empty", "turn", "turn_back"]


# Side of the tiles of a plane that are turned at a time; two of them fit the second cache.
_TILE = 256


def turn(source: AnyArray, planes: Iterable[int], target: AnyArray) -> None:
    """Transpose planes of source (M, H, W) into the first ones of target (M', W, H)."""
    for place, plane in enumerate(planes):
        _transpose(source[plane], target[place])


def turn_back(source: AnyArray, target: AnyArray, planes: Iterable[int]) -> None:
    """Transpose the first planes of source (M', W, H) into some of target (M, H, W)."""
    for place, plane in enumerate(planes):
        _transpose(source[place], target[plane])


def _transpose(source: AnyArray, target: AnyArray) -> None:
    """Transpose in tiles; fetching each tile of the target first was measured to save a third."""
    import cv2

    from vostrack.refine.spn import numba_loops as loops

    for row, column in product(*(range(0, size, _TILE) for size in source.shape)):
        tile = target[column : column + _TILE, row : row + _TILE]
        loops.claim(tile)
        cv2.transpose(source[row : row + _TILE, column : column + _TILE], tile)


def empty(shape: tuple[int, ...], dtype: Any) -> AnyArray:
    """Return an array of anything; those of torch take twice as long to be touched first."""
    return np.empty(shape, dtype)


def as_array(tensor: Tensor) -> AnyArray:
    """View as an array whose planes (..., H, W) are dense; copies only where they are not."""
    tensor = tensor.detach()
    dense = tensor.stride()[-2:] == (tensor.shape[-1], 1)
    return (tensor if dense else tensor.contiguous()).numpy()


def as_planes(x: Tensor) -> AnyArray:
    """View (N, C, H, W) as planes (M, H, W), one behind the other; copies where they are not."""
    planes: AnyArray = x.detach().contiguous().numpy().reshape(-1, *x.shape[2:])
    return planes
