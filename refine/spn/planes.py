"""Maps as contiguous planes, and transposing planes so that columns become rows.

numba and OpenCV are imported on the first call.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from vostrack.arrays import AnyArray

__all__ = ["as_array", "as_planes", "empty", "transpose", "transpose_back"]


# Side of the tiles that are transposed at a time. Two of them fit into the L2 cache.
_TILE = 256


def transpose(source: AnyArray, planes: Iterable[int], target: AnyArray) -> None:
    """Transpose some planes of source (M, H, W) into the first planes of target (M', W, H)."""
    for place, plane in enumerate(planes):
        _transpose(source[plane], target[place])


def transpose_back(source: AnyArray, target: AnyArray, planes: Iterable[int]) -> None:
    """Transpose the first planes of source (M', W, H) into some planes of target (M, H, W)."""
    for place, plane in enumerate(planes):
        _transpose(source[place], target[plane])


def _transpose(source: AnyArray, target: AnyArray) -> None:
    """Transpose in tiles. Loading each target tile into the cache first saves a third."""
    import cv2

    from vostrack.refine.spn import numba_loops as loops

    for row, column in product(*(range(0, size, _TILE) for size in source.shape)):
        tile = target[column : column + _TILE, row : row + _TILE]
        loops.claim(tile)
        cv2.transpose(source[row : row + _TILE, column : column + _TILE], tile)


def empty(shape: tuple[int, ...], dtype: Any) -> AnyArray:
    """Return an uninitialised array. The first write to a torch tensor takes twice as long."""
    return np.empty(shape, dtype)


def as_array(tensor: Tensor) -> AnyArray:
    """View a tensor as an array with contiguous planes (..., H, W). Copy only if necessary."""
    tensor = tensor.detach()
    dense = tensor.stride()[-2:] == (tensor.shape[-1], 1)
    return (tensor if dense else tensor.contiguous()).numpy()


def as_planes(x: Tensor) -> AnyArray:
    """View (N, C, H, W) as contiguous planes (M, H, W). Copy only if necessary."""
    planes: AnyArray = x.detach().contiguous().numpy().reshape(-1, *x.shape[2:])
    return planes
