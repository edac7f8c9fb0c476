"""The compiled loop of ``suppression``; the one module here that imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["most_overlapping", "suppress_sorted"]

Function = TypeVar("Function", bound=Callable[..., Any])


def _jit(function: Function) -> Function:
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


@_jit
def suppress_sorted(
    boxes: NDArray[np.float64], overlap: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Suppress boxes (P, 4) that come best first.

    One pass: a box belongs to the first picked box that it overlaps, since that one was picked,
    and took its share, before any other; a box that overlaps none is picked.
    """
    count = boxes.shape[0]
    owners = np.empty(count, dtype=np.int64)
    kept = np.empty(count, dtype=np.int64)
    picked = np.empty((count, 5), dtype=np.float64)
    found = 0
    for i in range(count):
        x0, y0, x1, y1 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        area = (x1 - x0) * (y1 - y0)
        owner = found
        for k in range(found):
            width = min(x1, picked[k, 2]) - max(x0, picked[k, 0])
            height = min(y1, picked[k, 3]) - max(y0, picked[k, 1])
            if width > 0 and height > 0:
                common = width * height
                if common > overlap * (area + picked[k, 4] - common):
                    owner = k
                    break
        owners[i] = owner
        if owner == found:
            kept[found] = i
            picked[found, 0], picked[found, 1] = x0, y0
            picked[found, 2], picked[found, 3] = x1, y1
            picked[found, 4] = area
            found += 1
    return kept[:found].copy(), owners


@_jit
def most_overlapping(
    boxes: NDArray[np.float64], modes: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find for each box (P, 4) the mode (K, 4) that it overlaps most, and how much."""
    best = np.zeros(boxes.shape[0], dtype=np.int64)
    most = np.zeros(boxes.shape[0], dtype=np.float64)
    areas = (modes[:, 2] - modes[:, 0]) * (modes[:, 3] - modes[:, 1])
    for i in range(boxes.shape[0]):
        x0, y0, x1, y1 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        area = (x1 - x0) * (y1 - y0)
        for k in range(modes.shape[0]):
            width = min(x1, modes[k, 2]) - max(x0, modes[k, 0])
            height = min(y1, modes[k, 3]) - max(y0, modes[k, 1])
            if width > 0 and height > 0:
                common = width * height
                overlap = common / (area + areas[k] - common)
                if overlap > most[i]:
                    most[i] = overlap
                    best[i] = k
    return best, most
