"""What a later click changes, and what it leaves."""

from __future__ import annotations

import numpy as np
import pytest

from vostrack.arrays import FloatArray
from vostrack.interactive import Click
from vostrack.interactive.corrections import changed_near
from vostrack.interactive.cues import FrameMaps
from vostrack.interactive.distances import ImageGraph

ROWS, COLUMNS = 40, 60


@pytest.fixture
def maps() -> FrameMaps:
    """Two halves that look unlike each other, with an edge between columns 29 and 30."""
    right = np.zeros((ROWS, COLUMNS), np.float32)
    right[:, 30:] = 1
    vectors = np.stack([1 - right, right])
    colour = np.stack([right] * 3)
    graph = ImageGraph(colour, [vectors])
    return FrameMaps(0 * right, colour, vectors, vectors, graph)


def change(maps: FrameMaps, clicks: list[Click]) -> FloatArray:
    before = np.full((ROWS, COLUMNS), -1, np.float32)
    # The mask ends beside the last click: what is wrong there is small.
    before[: clicks[-1].y] = 1
    return changed_near(maps, clicks, before) - before


@pytest.mark.parametrize("inside", [True, False])
def test_a_click_pulls_its_own_place_to_its_side(maps: FrameMaps, inside: bool) -> None:
    found = change(maps, [Click(50, 20, not inside), Click(10, 20, inside)])
    assert (found[20, 10] > 4) if inside else (found[20, 10] < -4)
    assert abs(found[20, 10]) == np.abs(found).max()


def test_what_lies_across_the_edge_or_far_away_stays(maps: FrameMaps) -> None:
    found = change(maps, [Click(50, 20, inside=False), Click(26, 20)])
    assert found[20, 27] > 1
    assert np.abs(found[:, 30:]).max() == 0
    assert np.abs(found[20, 0:2]).max() < 0.2


def test_the_change_ends_half_way_to_a_click_of_the_other_kind(maps: FrameMaps) -> None:
    found = change(maps, [Click(20, 20, inside=False), Click(10, 20)])
    assert found[20, 10] > 4
    assert np.abs(found[20, 18:30]).max() == 0


def test_a_click_in_the_middle_of_much_that_is_wrong_reaches_far(maps: FrameMaps) -> None:
    clicks = [Click(50, 20), Click(15, 20, inside=False)]
    much = np.ones((ROWS, COLUMNS), np.float32)
    much[:, 29:] = -1
    little = -much
    little[18:23, 13:18] = 1
    changes = [np.abs(changed_near(maps, clicks, before) - before) for before in (much, little)]
    assert changes[0][20, 2] > 2 * changes[1][20, 2]


def test_a_certain_mask_can_be_outweighed(maps: FrameMaps) -> None:
    before = np.full((ROWS, COLUMNS), 20, np.float32)
    clicks = [Click(50, 20), Click(10, 20, inside=False)]
    found = changed_near(maps, clicks, before)
    assert found[20, 10] < 0 < found[20, 50]
