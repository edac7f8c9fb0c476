"""The order of file names that people expect."""

from __future__ import annotations

import random

import pytest

from vostrack.files import natural_order


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png", "10.png"],
        ["00009", "10", "x"],
        ["frame2", "Frame3", "frame10", "frame10a"],
        ["a2/1", "a2/12", "a10/0"],
        ["01", "1", "001b"],
        ["A", "a", "b"],
    ],
)
def test_names_are_ordered_by_their_numbers(names: list[str]) -> None:
    shuffled = names.copy()
    random.Random(0).shuffle(shuffled)
    assert sorted(shuffled, key=natural_order) == names
