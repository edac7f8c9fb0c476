"""Distances along an image: short where it looks the same, long across edges.

The geodesic distance of Bai and Sapiro (2007), over a grid of pixels with eight neighbours each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from vostrack.arrays import BoolArray, FloatArray, IntArray

__all__ = ["ImageGraph"]

# Cost of a step between two pixels that look the same.
_STEP = 0.01


class ImageGraph:
    """The pixels of an image as a graph.

    Args:
        absolute: (A, h, w) maps whose absolute differences are added to a step's cost.
        directions: maps (C, h, w) of unit vectors; of each, one minus the cosine is added.
    """

    def __init__(self, absolute: FloatArray, directions: Sequence[FloatArray]) -> None:
        self.size: tuple[int, int] = (absolute.shape[1], absolute.shape[2])
        height, width = self.size
        self._number: IntArray = np.arange(height * width).reshape(height, width)
        starts, ends, costs = [], [], []
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            here = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
            there = slice(dy, height), slice(max(0, dx), width + min(0, dx))
            cost = _STEP * np.hypot(dy, dx) + np.abs(
                absolute[(slice(None), *here)] - absolute[(slice(None), *there)]
            ).sum(0)
            for vectors in directions:
                cost = (
                    cost
                    + 1
                    - (vectors[(slice(None), *here)] * vectors[(slice(None), *there)]).sum(0)
                )
            starts.append(self._number[here].ravel())
            ends.append(self._number[there].ravel())
            # Rounding may leave a cosine just above 1.
            costs.append(np.maximum(cost, _STEP).ravel())
        count = height * width
        joined = np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))
        self._graph = csr_matrix(joined, shape=(count, count))
        self._border = self.from_pixels(
            np.concatenate(
                [self._number[0], self._number[-1], self._number[:, 0], self._number[:, -1]]
            )
        )

    def from_points(self, points: Sequence[tuple[int, int]]) -> FloatArray:
        """Return the distance (h, w) of every pixel to the nearest of some points (x, y)."""
        return self.from_pixels(np.array([self._number[y, x] for x, y in points]))

    def from_border(self) -> FloatArray:
        """Return the distance (h, w) of every pixel to the nearest pixel of the border."""
        return self._border

    def from_places(self, places: BoolArray) -> FloatArray:
        """Return the distance (h, w) of every pixel to the nearest of some places (h, w)."""
        return self.from_pixels(self._number[places])

    def from_pixels(self, numbers: IntArray) -> FloatArray:
        """Return the distance (h, w) to the nearest of some pixels, numbered row by row."""
        found = dijkstra(self._graph, directed=False, indices=numbers, min_only=True)
        distance: FloatArray = found.reshape(self.size).astype(np.float32)
        return distance
