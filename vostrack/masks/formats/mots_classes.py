"""The classes of MOTS, and the values of its label maps: class x 1000 + instance."""

from __future__ import annotations

from collections.abc import Sequence

from vostrack.errors import InputError

__all__ = ["IGNORED", "class_name", "class_numbers"]

IGNORED = 10
"""The class of regions to ignore. Their value is 10000."""

_KNOWN = {"car": 1, "pedestrian": 2}
_MOST = 65


def class_name(number: int) -> str:
    """Return the name of a class."""
    return next((name for name, n in _KNOWN.items() if n == number), f"class {number}")


def class_numbers(names: Sequence[str]) -> dict[str, int]:
    """Number classes: car is 1, pedestrian and person are 2, others follow from 3.

    Raises:
        InputError: there are more classes than 16-bit values hold.
    """
    numbers = {name: n for name in names if (n := _stated(name)) is not None}
    free = (n for n in range(3, _MOST) if n != IGNORED and n not in numbers.values())
    for name in names:
        numbers.setdefault(name, next(free, 0) if name not in numbers else 0)
    if 0 in numbers.values():
        raise InputError(
            f"classes: MOTS holds {_MOST - 2}, got {len(names)}; export in another format"
        )
    return numbers


def _stated(name: str) -> int | None:
    """Return the number of a class of MOTS, or of one that ``class_name`` named."""
    number = _KNOWN.get({"person": "pedestrian"}.get(name, name))
    stated = name.removeprefix("class ")
    if number is None and name.startswith("class ") and stated.isdecimal() and len(stated) < 4:
        return int(stated) if 0 < int(stated) < _MOST and int(stated) != IGNORED else None
    return number
