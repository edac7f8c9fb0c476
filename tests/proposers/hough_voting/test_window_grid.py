"""The grid of a window against plain averages, and boxes against where they came from."""

from __future__ import annotations

import numpy as np
import pytest

from vostrack.proposers.hough_voting.grids import WindowGrid


def test_the_whole_frame_at_its_own_size_is_itself() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((2, 6, 9)).astype(np.float32)
    boxes = rng.random((2, 4, 6, 9)).astype(np.float32)
    grid = WindowGrid((0, 0, 70, 45), (45, 70), (6, 9), 8)
    np.testing.assert_allclose(grid.cut(maps), maps, atol=1e-6)
    np.testing.assert_allclose(grid.spread(boxes, boxes * 0), boxes, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.25, 2.0])
def test_cells_are_averages_over_what_they_show(scale: float) -> None:
    # Pixels of 1/20 of a cell, so that the plain mean of the pixels is exact.
    fine = 20
    rng = np.random.default_rng(1)
    maps = rng.random((1, 12, 15)).astype(np.float32)
    pixels = np.kron(maps[0], np.ones((fine, fine)))
    rows, columns = 4, 6
    x0, y0 = 24.0, 16.0
    box = (x0, y0, x0 + columns * 8 * scale, y0 + rows * 8 * scale)
    found = WindowGrid(box, (rows * 8, columns * 8), (rows, columns), 8).cut(maps)
    assert found.shape == (1, rows, columns)
    side = round(fine * scale)
    for row in range(rows):
        for column in range(columns):
            top, left = round(y0 / 8 * fine) + row * side, round(x0 / 8 * fine) + column * side
            expected = pixels[top : top + side, left : left + side].mean()
            assert abs(found[0, row, column] - expected) < 1e-5


def test_cells_that_reach_beyond_the_frame_are_of_what_lies_in_it() -> None:
    maps = np.ones((1, 2, 9), np.float32)
    # 9 cells of 8 pixels; the last of 5 cells of the window would hold 16 pixels, and has 8.
    found = WindowGrid((0, 0, 68, 16), (8, 34), (1, 5), 8).cut(maps)
    np.testing.assert_allclose(found, np.ones((1, 1, 5)), atol=1e-6)


def test_votes_come_back_to_the_cells_and_pixels_of_the_frame() -> None:
    grid = WindowGrid(box=(40.0, 24.0, 136.0, 72.0), size=(96, 192), cells=(12, 24), stride=8)
    assert grid.scale == (0.5, 0.5)
    # Each cell of the window votes for itself.
    rows, columns = np.mgrid[:12, :24].astype(np.float32) * 8
    boxes = np.stack([columns, rows, columns + 8, rows + 8])[None]
    onto = np.full((1, 4, 10, 20), -1, np.float32)
    back = grid.spread(boxes, onto)
    outside = np.ones((10, 20), np.bool_)
    outside[3:9, 5:17] = False
    assert (back[0, :, outside] == -1).all()
    for row in range(3, 9):
        for column in range(5, 17):
            x0, y0, x1, y1 = back[0, :, row, column]
            assert (x1 - x0, y1 - y0) == (4, 4)
            # The middle of the frame's cell is a corner of four cells of the window.
            assert column * 8 <= x0 <= column * 8 + 4
            assert row * 8 <= y0 <= row * 8 + 4


def test_cells_that_the_window_only_touches_are_its_own_too() -> None:
    grid = WindowGrid(box=(13.0, 0.0, 43.0, 32.0), size=(32, 30), cells=(4, 4), stride=8)
    back = grid.spread(np.zeros((1, 4, 4, 4), np.float32), np.full((1, 4, 4, 7), -1, np.float32))
    assert (back[0, 0, 0] != -1).tolist() == [False, True, True, True, True, True, False]
