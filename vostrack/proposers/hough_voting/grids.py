"""From the grid of a frame's cells to that of a window of it, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray

__all__ = ["WindowGrid"]


@dataclass(frozen=True)
class WindowGrid:
    """Where the cells of a window lie among those of its frame.

    Both kinds of cells are ``stride`` pixels wide, those of the frame in its own pixels, those of
    the window in the pixels of the image that it was scaled to.

    Attributes:
        box: x0, y0, x1, y1 of the window in pixels of the frame.
        size: rows and columns of the window's image, pixels.
        cells: rows and columns of the window's grid.
        stride: pixels per cell.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    cells: tuple[int, int]
    stride: int

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the frame per pixel of the window's image, across and down."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) / self.size[1], (y1 - y0) / self.size[0]

    def cut(self, maps: FloatArray) -> FloatArray:
        """Average maps over the cells of the window.

        Args:
            maps: (K, h, w) on the frame's grid, constant within a cell.

        Returns:
            (K, h', w') on the window's grid.
        """
        across, down = self.scale
        rows = _shares(maps.shape[1], self.cells[0], self.box[1], down, self.stride)
        columns = _shares(maps.shape[2], self.cells[1], self.box[0], across, self.stride)
        averages: FloatArray = (rows @ maps @ columns.T).astype(np.float32)
        return averages

    def spread(self, boxes: FloatArray, onto: FloatArray) -> FloatArray:
        """Bring what the cells of the window vote for to the frame's grid.

        Args:
            boxes: (K, 4, h', w') x0, y0, x1, y1 in pixels of the window's image.
            onto: (K, 4, h, w) boxes in pixels of the frame, for the cells outside of the window.

        Returns:
            (K, 4, h, w) in pixels of the frame: each cell that the window overlaps has the boxes of
            that of the window which its centre is in, or next to.
        """
        across, down = self.scale
        x0, y0 = self.box[:2]
        rows, row_inside = _cells(onto.shape[2], self.cells[0], y0, down, self.size[0], self.stride)
        columns, column_inside = _cells(
            onto.shape[3], self.cells[1], x0, across, self.size[1], self.stride
        )
        factor = np.array([across, down] * 2, np.float32)[:, None, None]
        begin = np.array([x0, y0] * 2, np.float32)[:, None, None]
        near = boxes[:, :, rows[:, None], columns] * factor + begin
        inside = row_inside[:, None] & column_inside
        return np.where(inside, near, onto).astype(np.float32)


def _shares(cells: int, count: int, start: float, scale: float, stride: int) -> FloatArray:
    """Return (count, cells): how much of each cell of a window each cell of its frame makes up."""
    edges = start + np.arange(count + 1) * stride * scale
    theirs = np.arange(cells + 1) * stride
    low = np.maximum(edges[:-1, None], theirs[:-1])
    common = (np.minimum(edges[1:, None], theirs[1:]) - low).clip(min=0)
    # The last cells may reach beyond the frame.
    weights = common / common.sum(axis=1, keepdims=True).clip(min=1e-9)
    return np.asarray(weights, np.float32)


def _cells(
    cells: int, count: int, start: float, scale: float, length: int, stride: int
) -> tuple[IntArray, BoolArray]:
    """Return, for each cell of a frame, the cell of its window, and whether they overlap."""
    edges = (np.arange(cells + 1) * stride - start) / scale
    inside = (edges[1:] > 0) & (edges[:-1] < length)
    middles = (edges[1:] + edges[:-1]) / 2
    return np.clip((middles // stride).astype(np.int64), 0, count - 1), inside
