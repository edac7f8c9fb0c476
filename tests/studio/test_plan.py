"""In which order frames are tracked."""

from __future__ import annotations

from typing import Any

import pytest

from vostrack.errors import InputError
from vostrack.studio.plan import Leg, plan_legs


@pytest.mark.parametrize(
    ("frame", "direction", "corrected", "expected"),
    [
        (0, "forward", [0], [Leg(0, 9)]),
        (4, "forward", [0, 4, 6], [Leg(4, 9)]),
        (4, "backward", [4], [Leg(4, 0)]),
        (4, "both", [4], [Leg(4, 9), Leg(4, 0)]),
        (0, "both", [0], [Leg(0, 9)]),
        (3, "between", [1, 6], [Leg(1, 3), Leg(6, 4)]),
        (1, "between", [1, 3], [Leg(1, 2)]),
        (6, "between", [1, 6], [Leg(1, 3), Leg(6, 4)]),
    ],
)
def test_legs(frame: int, direction: Any, corrected: list[int], expected: list[Leg]) -> None:
    assert list(plan_legs(frame, direction, corrected, 10)) == expected


def test_tracking_goes_on_from_a_tracked_frame() -> None:
    assert plan_legs(5, "forward", [0], 10, {4, 5}) == (Leg(5, 9),)


def test_a_gap_is_filled_once_and_its_ends_are_not_touched() -> None:
    for low, high in [(0, 9), (2, 7), (3, 5)]:
        legs = plan_legs(low, "between", [low, high], 10)
        assert sorted(k for leg in legs for k in leg.frames) == list(range(low + 1, high))


def test_a_leg_backwards_goes_down() -> None:
    assert list(Leg(4, 1).frames) == [3, 2, 1]


@pytest.mark.parametrize(
    ("frame", "direction", "corrected", "message"),
    [
        (0, "forward", [], "no frame has a mask"),
        (5, "forward", [0, 7], "frame 5 has no mask.* such as 7"),
        (9, "forward", [9], "no frame to track that way"),
        (5, "between", [0], "a drawn frame on both sides"),
        (1, "between", [1, 2], "no frame to track"),
        (1, "sideways", [1], "direction: expected one of forward"),
    ],
)
def test_what_cannot_be_tracked(
    frame: int, direction: Any, corrected: list[int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan_legs(frame, direction, corrected, 10)
