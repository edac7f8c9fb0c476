"""Checks of settings that many dataclasses share."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sized
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

from vostrack.errors import InputError

__all__ = [
    "OptionValue",
    "checked_options",
    "demand_at_least",
    "demand_finite",
    "demand_multiple",
    "demand_positive",
    "demand_share",
    "demand_some",
]

OptionValue = str | int | float | bool | Path | None
"""What an option of a part (a refiner, a proposer) may be."""

Options = TypeVar("Options")


def checked_options(kind: type[Options], given: Mapping[str, OptionValue], part: str) -> Options:
    """Make a part's options out of those that are not left at their defaults.

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
    hints = get_type_hints(kind)
    values = {
        name: Path(value) if isinstance(value, str) and Path in get_args(hints[name]) else value
        for name, value in given.items()
    }
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{part}: {error}") from None


def demand_at_least(settings: object, least: Mapping[str, float], *, prefix: str = "") -> None:
    """Refuse settings under their least values, and those that are not a number.

    Args:
        settings: what has the attributes.
        least: the lowest value allowed, by name of the attribute.
        prefix: what the message says before that name.

    Raises:
        InputError: names the first that is too low.
    """
    for name, low in least.items():
        value = getattr(settings, name)
        if not value >= low:
            raise InputError(f"{prefix}{name}: expected at least {low}, got {value}")


def demand_positive(settings: object, *names: str) -> None:
    """Refuse settings that are neither None nor over 0.

    Raises:
        InputError: names the first.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise InputError(f"{name}: expected over 0, got {value}")


def demand_finite(settings: object, *names: str) -> None:
    """Refuse settings that are infinite or not a number; None passes.

    Raises:
        InputError: names the first.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not math.isfinite(value):
            raise InputError(f"{name}: expected a finite number, got {value}")


def demand_share(settings: object, *names: str) -> None:
    """Refuse shares and probabilities outside [0, 1].

    Raises:
        InputError: names the first.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value <= 1:
            raise InputError(f"{name}: expected 0 .. 1, got {value}")


def demand_multiple(settings: object, name: str, of: int, *, least: int) -> None:
    """Refuse a side that a network's cells do not divide.

    Args:
        settings: what has the attribute.
        name: of the attribute, in pixels.
        of: side of the coarsest cells, pixels.
        least: the lowest value allowed.

    Raises:
        InputError: ``settings.name`` is lower, or no multiple.
    """
    value = getattr(settings, name)
    if value < least or value % of:
        raise InputError(f"{name}: expected a multiple of {of} of at least {least}, got {value}")


def demand_some(items: Sized, what: str) -> None:
    """Refuse to train on nothing.

    Raises:
        InputError: ``items`` is empty; ``what`` names one of them.
    """
    if not len(items):
        raise InputError(f"training: expected at least one {what}, got none")
