"""The checks of settings that the trainings share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vostrack.errors import InputError
from vostrack.ranges import demand_at_least, demand_positive, demand_some


def test_what_is_in_range_passes() -> None:
    demand_at_least(SimpleNamespace(batch=1, blur=0.0), {"batch": 1, "blur": 0})
    demand_positive(SimpleNamespace(rate=1e-9, other=None), "rate", "other")
    demand_some([0], "picture")


@pytest.mark.parametrize("value", [0.5, -1, float("nan")])
def test_the_first_that_is_too_low_is_named(value: float) -> None:
    settings = SimpleNamespace(fine=1, low=value, lower=-9)
    with pytest.raises(InputError, match=f"^recipe.low: expected at least 1, got {value}$"):
        demand_at_least(settings, {"fine": 1, "low": 1, "lower": 1}, prefix="recipe.")


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_zero_is_not_positive(value: float) -> None:
    with pytest.raises(InputError, match=f"^rate: expected over 0, got {value}$"):
        demand_positive(SimpleNamespace(fine=1, rate=value), "fine", "rate")


def test_nothing_to_learn_from() -> None:
    with pytest.raises(InputError, match=r"^training: expected at least one picture, got none$"):
        demand_some((), "picture")
