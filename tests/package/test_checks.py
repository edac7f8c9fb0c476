"""The checks of settings that the trainings share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vostrack.checks import (
    demand_at_least,
    demand_finite,
    demand_multiple,
    demand_positive,
    demand_share,
    demand_some,
)
from vostrack.errors import InputError


def test_what_is_in_range_passes() -> None:
    demand_at_least(SimpleNamespace(batch=1, blur=0.0), {"batch": 1, "blur": 0})
    demand_positive(SimpleNamespace(rate=1e-9, other=None), "rate", "other")
    demand_some([0], "picture")
    demand_finite(SimpleNamespace(rate=-1e30, other=None), "rate", "other")
    demand_share(SimpleNamespace(least=0, most=1.0), "least", "most")
    demand_multiple(SimpleNamespace(side=32), "side", 16, least=32)


@pytest.mark.parametrize("value", [0.5, -1, float("nan")])
def test_the_first_that_is_too_low_is_named(value: float) -> None:
    settings = SimpleNamespace(fine=1, low=value, lower=-9)
    with pytest.raises(InputError, match=f"^recipe.low: expected at least 1, got {value}$"):
        demand_at_least(settings, {"fine": 1, "low": 1, "lower": 1}, prefix="recipe.")


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_zero_is_not_positive(value: float) -> None:
    with pytest.raises(InputError, match=f"^rate: expected a value above 0, got {value}$"):
        demand_positive(SimpleNamespace(fine=1, rate=value), "fine", "rate")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_infinity_is_no_number(value: float) -> None:
    with pytest.raises(InputError, match=f"^rate: expected a finite number, got {value}$"):
        demand_finite(SimpleNamespace(fine=1, rate=value), "fine", "rate")


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_none_and_all(value: float) -> None:
    with pytest.raises(InputError, match=rf"^part: expected 0 \.\. 1, got {value}$"):
        demand_share(SimpleNamespace(fine=1, part=value), "fine", "part")


@pytest.mark.parametrize("value", [0, -32, 16, 40])
def test_a_side_is_made_of_cells(value: int) -> None:
    expected = f"^side: expected a multiple of 16 of at least 32, got {value}$"
    with pytest.raises(InputError, match=expected):
        demand_multiple(SimpleNamespace(side=value), "side", 16, least=32)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(InputError, match=r"^training: expected at least one picture, got none$"):
        demand_some((), "picture")
