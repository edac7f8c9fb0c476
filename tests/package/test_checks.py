"""The checks of values that many config classes share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vostrack.checks import (
    check_at_least,
    check_finite,
    check_fraction,
    check_multiple,
    check_not_empty,
    check_positive,
)
from vostrack.errors import InputError


def test_what_is_in_range_passes() -> None:
    check_at_least(SimpleNamespace(batch=1, blur=0.0), {"batch": 1, "blur": 0})
    check_positive(SimpleNamespace(rate=1e-9, other=None), "rate", "other")
    check_not_empty([0], "picture")
    check_finite(SimpleNamespace(rate=-1e30, other=None), "rate", "other")
    check_fraction(SimpleNamespace(least=0, most=1.0), "least", "most")
    check_multiple(SimpleNamespace(side=32), "side", 16, least=32)


@pytest.mark.parametrize("value", [0.5, -1, float("nan")])
def test_the_first_that_is_too_low_is_named(value: float) -> None:
    config = SimpleNamespace(fine=1, low=value, lower=-9)
    with pytest.raises(InputError, match=f"^recipe.low: expected at least 1, got {value}$"):
        check_at_least(config, {"fine": 1, "low": 1, "lower": 1}, prefix="recipe.")


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_zero_is_not_positive(value: float) -> None:
    with pytest.raises(InputError, match=f"^rate: expected a value above 0, got {value}$"):
        check_positive(SimpleNamespace(fine=1, rate=value), "fine", "rate")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_infinity_is_no_number(value: float) -> None:
    with pytest.raises(InputError, match=f"^rate: expected a finite number, got {value}$"):
        check_finite(SimpleNamespace(fine=1, rate=value), "fine", "rate")


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_none_and_all(value: float) -> None:
    with pytest.raises(InputError, match=rf"^part: expected 0 \.\. 1, got {value}$"):
        check_fraction(SimpleNamespace(fine=1, part=value), "fine", "part")


@pytest.mark.parametrize("value", [0, -32, 16, 40])
def test_a_side_is_made_of_cells(value: int) -> None:
    expected = f"^side: expected a multiple of 16 of at least 32, got {value}$"
    with pytest.raises(InputError, match=expected):
        check_multiple(SimpleNamespace(side=value), "side", 16, least=32)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(InputError, match=r"^training: expected at least one picture, got none$"):
        check_not_empty((), "picture")
