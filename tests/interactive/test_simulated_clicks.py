"""Where a patient person would click next."""

from __future__ import annotations

import numpy as np

from vostrack.interactive import Click
from vostrack.interactive.simulated_clicks import inner_point, next_click


def block(rows: slice, columns: slice) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    region = np.zeros((20, 30), np.bool_)
    region[rows, columns] = True
    return region


def test_the_inner_point_of_a_square_is_its_centre() -> None:
    assert inner_point(block(slice(4, 9), slice(10, 15))) == (12, 6)


def test_the_border_of_the_frame_is_an_edge_too() -> None:
    assert inner_point(block(slice(0, 5), slice(0, 5))) == (2, 2)


def test_the_first_click_lies_in_the_largest_piece() -> None:
    truth = block(slice(4, 9), slice(10, 15)) | block(slice(15, 17), slice(0, 2))
    assert next_click(np.zeros_like(truth), truth) == Click(12, 6)


def test_a_surplus_is_clicked_from_outside() -> None:
    truth = block(slice(4, 9), slice(2, 7))
    assert next_click(truth | block(slice(10, 15), slice(20, 25)), truth) == Click(22, 12, False)


def test_nothing_wrong_needs_no_click() -> None:
    truth = block(slice(4, 9), slice(2, 7))
    assert next_click(truth, truth) is None
