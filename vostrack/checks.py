"""Checks of values that many config classes share."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sized
from dataclasses import fields
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vostrack.errors import InputError

__all__ = [
    "OptionValue",
    "check_argument",
    "check_at_least",
    "check_finite",
    "check_fraction",
    "check_multiple",
    "check_not_empty",
    "check_positive",
    "check_types",
    "checked_options",
]

_NONE = type(None)
_WORDS = {
    bool: "True or False",
    int: "a whole number",
    Integral: "a whole number",
    float: "a number",
    Real: "a number",
    str: "text",
    Mapping: "values by name",
}
# Numbers of numpy are numbers, too.
_ABSTRACT: dict[type, type] = {int: Integral, float: Real}

OptionValue = str | int | float | bool | Path | None
"""What an option of a part (a refiner, a proposer) may be."""

Options = TypeVar("Options")


def checked_options(kind: type[Options], given: Mapping[str, OptionValue], part: str) -> Options:
    """Make a part's options out of those that are not left at their defaults.

    Options with a field ``setting`` have named sets of values in ``SETTINGS``, by the name of the
    set. Values that are given replace those of the set.

    Args:
        kind: the dataclass of its options, every field with a default.
        given: their values, by field; a path may be a string.
        part: its name, for the message.

    Raises:
        InputError: it has no option of that name, or a value is out of its range.
    """
    known = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]}?" if near else ";"
            raise InputError(
                f"{part} has no option {name!r}{hint} expected one of {', '.join(known) or 'none'}"
            )
    sets = getattr(kind, "SETTINGS", {})
    if sets:
        chosen = given.get("setting", "default")
        if chosen not in sets:
            raise InputError(f"{part}: setting: expected {', '.join(sets)}, got {chosen!r}")
        given = {**sets[chosen], **given}
    hints = get_type_hints(kind)
    values = {
        name: Path(value) if isinstance(value, str) and Path in get_args(hints[name]) else value
        for name, value in given.items()
    }
    try:
        for name, value in values.items():
            _check_type(kind, name, value)
        return kind(**values)
    except InputError as error:
        raise InputError(f"{part}: {error}") from None


def check_types(config: object) -> None:
    """Check that the fields of a dataclass that are texts, numbers, choices or mappings are such.

    Without this, a wrong type would be noticed late and far away, or never: ``"yes"`` is true.

    Raises:
        InputError: names the first field of another type, or a choice that there is not.
    """
    kind: Any = type(config)
    for name in _simple_fields(kind):
        _check_type(kind, name, getattr(config, name))


def _check_type(config: Any, name: str, value: object) -> None:
    kinds, choices = _simple_fields(config).get(name, ((object,), ()))
    fits = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    if fits and (not choices or value is None or value in choices):
        return
    words = " or ".join(_WORDS[kind] for kind in kinds if kind in _WORDS)
    expected = f"one of {', '.join(choices)}" if choices else words
    raise InputError(f"{name}: expected {expected}, got {value!r}")


@lru_cache
def _simple_fields(config: Any) -> dict[str, tuple[tuple[type, ...], tuple[str, ...]]]:
    """Return the types that each simple field takes, and its choices, if it has any, by name."""
    hints = get_type_hints(config)
    found = {}
    for entry in fields(config):
        hint = hints[entry.name]
        parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        choices = tuple(c for p in parts if get_origin(p) is Literal for c in get_args(p))
        kinds = tuple(str if get_origin(p) is Literal else get_origin(p) or p for p in parts)
        if all(kind in (*_WORDS, _NONE) for kind in kinds):
            found[entry.name] = tuple(_ABSTRACT.get(kind, kind) for kind in kinds), choices
    return found


def check_argument(
    name: str, value: object, expected: str, within: Callable[[Any], bool], *, whole: bool = False
) -> None:
    """Check that an argument of a call is a number in its range; True and "3" are none.

    Args:
        name: of the argument, for the message.
        value: what was given.
        expected: the range in words, for the message.
        within: tells whether a number is in the range.
        whole: whether it must be a whole number.

    Raises:
        InputError: it is not.
    """
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not number or not within(value):
        raise InputError(f"{name}: expected {expected}, got {value!r}")


def check_at_least(config: object, least: Mapping[str, float], *, prefix: str = "") -> None:
    """Check that attributes are not below their minimum. NaN is rejected.

    Args:
        config: the object with the attributes.
        least: the minimum of each attribute, by name.
        prefix: text before the attribute's name in the message.

    Raises:
        InputError: a value is too low; the message names the first one.
    """
    for name, low in least.items():
        value = getattr(config, name)
        if not value >= low:
            raise InputError(f"{prefix}{name}: expected at least {low}, got {value}")


def check_positive(config: object, *names: str) -> None:
    """Check that attributes are above 0 or None. NaN is rejected.

    Raises:
        InputError: a value is 0 or less; the message names the first one.
    """
    _check_each(config, names, lambda value: value is None or value > 0, "a value above 0")


def check_finite(config: object, *names: str) -> None:
    """Check that attributes are finite or None.

    Raises:
        InputError: a value is infinite or NaN; the message names the first one.
    """
    _check_each(
        config, names, lambda value: value is None or math.isfinite(value), "a finite number"
    )


def check_fraction(config: object, *names: str) -> None:
    """Check that attributes are fractions or probabilities in [0, 1].

    Raises:
        InputError: a value is outside [0, 1]; the message names the first one.
    """
    _check_each(config, names, lambda value: 0 <= value <= 1, "0 .. 1")


def check_multiple(config: object, name: str, of: int, *, least: int) -> None:
    """Check that an image side is a multiple of a network's stride.

    Args:
        config: the object with the attribute.
        name: name of the attribute, a length in pixels.
        of: the network's largest stride, in pixels.
        least: the minimum, in pixels.

    Raises:
        InputError: the value is below ``least`` or not a multiple of ``of``.
    """
    value = getattr(config, name)
    if value < least or value % of:
        raise InputError(f"{name}: expected a multiple of {of} of at least {least}, got {value}")


def check_not_empty(items: Sized, what: str) -> None:
    """Check that there is something to train on.

    Args:
        items: the training items.
        what: what one item is called in the message.

    Raises:
        InputError: ``items`` is empty.
    """
    if not len(items):
        raise InputError(f"training: expected at least one {what}, got none")


def _check_each(
    config: object, names: tuple[str, ...], accepts: Callable[..., bool], expected: str
) -> None:
    for name in names:
        value = getattr(config, name)
        if not accepts(value):
            raise InputError(f"{name}: expected {expected}, got {value}")
