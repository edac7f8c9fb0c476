"""The checks of values that many config classes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from vostrack.checks import (
    check_at_least,
    check_finite,
    check_fraction,
    check_multiple,
    check_not_empty,
    check_positive,
    check_types,
    checked_options,
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


@dataclass
class Options:
    steps: int | None = None
    share: float = 0.5
    on: bool = True
    kind: Literal["a", "b"] | None = None
    name: str = "x"
    more: Mapping[str, int] | None = None
    path: Path | None = None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": "3"}, "steps: expected a whole number, got '3'"),
        ({"steps": 1.5}, "steps: expected a whole number, got 1.5"),
        ({"steps": True}, "steps: expected a whole number, got True"),
        ({"share": "half"}, "share: expected a number, got 'half'"),
        ({"share": None}, "share: expected a number, got None"),
        ({"on": "yes"}, "on: expected True or False, got 'yes'"),
        ({"kind": "c"}, "kind: expected one of a, b, got 'c'"),
        ({"kind": 5}, "kind: expected one of a, b, got 5"),
        ({"name": 5}, "name: expected text, got 5"),
        ({"more": 5}, "more: expected values by name, got 5"),
    ],
)
def test_values_of_another_type_are_named(given: dict[str, Any], words: str) -> None:
    numbers: dict[str, Any] = {"steps": np.int64(3), "share": np.float32(0.5)}
    check_types(Options(**numbers, on=False, kind="a", more={}))
    check_types(Options(share=1))
    with pytest.raises(InputError, match=f"^{words}$"):
        check_types(Options(**given))
    with pytest.raises(InputError, match=f"^part: {words}$"):
        checked_options(Options, given, "part")
