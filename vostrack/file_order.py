"""The order of files, and the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

__all__ = ["in_natural_order", "natural_order", "varying_digits"]

_NUMBERS = re.compile(r"(\d+)")
_DIGITS = re.compile(r"([0-9]+)")
_SIGNED = re.compile(r"(.*)([+-][0-9]{1,18})([^0-9].*|)")
# Not the last two of three numbers: these are a version.
_DECIMAL = re.compile(r"((?:.*[^0-9.]|)\.?)([0-9]+)\.([0-9]+)([^0-9]*)")
_SEPARATORS = (".", "_", " ")

NaturalOrder = tuple[tuple[tuple[int, int, str], ...], str]


def natural_order(name: str) -> NaturalOrder:
    """Sort key that puts ``frame2`` before ``frame10``: runs of digits compare as numbers.

    Numbers come before letters. The case of letters matters only between names that are otherwise
    equal, and so do leading zeros.

    Args:
        name: the name of a file or folder, or a whole path.
    """
    parts = _NUMBERS.split(name.lower())
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
    return key, name


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort files by the ``natural_order`` of their paths, or by the one number that they differ in.

    A minus before this number is a sign at the start of the name, after another separator
    (``f.-01``), and where some of the numbers have a plus and the others a minus: ``f-01``,
    ``f+00``. In ``shot-01`` it separates.

    Two numbers with a point between them are one decimal number where they can hardly be anything
    else: ``0.95``, ``1.05``, ``1.1``. See ``_as_decimals``.

    Args:
        paths: the files.
    """
    found = sorted(paths, key=lambda path: natural_order(str(path)))
    if len({path.parent for path in found}) != 1:
        return found
    names = [path.name for path in found]
    values = _as_signed(names) or _as_decimals([path.stem for path in found])
    if values is None:
        return found
    ordered = sorted(zip(values, range(len(found)), strict=True))
    return [found[place] for _, place in ordered]


def _as_signed(names: Sequence[str]) -> list[Fraction] | None:
    """Return the signed numbers in which names differ; None if there are no such numbers."""
    signed = [part for part in map(_SIGNED.fullmatch, names) if part is not None]
    around = {(part[1], part[3]) for part in signed}
    if len(around) != 1:
        return None
    ((before, after),) = around
    numbers = [name[len(before) : len(name) - len(after)] for name in names]
    whole = re.compile(rf"{re.escape(before)}[+-]?[0-9]{{1,18}}{re.escape(after)}")
    if not all(map(whole.fullmatch, names)):
        return None
    both = len(signed) == len(names) and len({part[2][0] for part in signed}) == 2
    if not (both or not before or before.endswith(_SEPARATORS)):
        return None
    return [Fraction(int(number)) for number in numbers]


def _as_decimals(stems: Sequence[str]) -> list[Fraction] | None:
    """Return the decimal numbers in which names differ; None if they may be two numbers each.

    Such as 1.9 and 1.10, which are versions, or takes and their frames. Numbers are decimal if
    they have unlike many digits after the point, and a zero leads longer digits than others
    (nobody counts ``1.05``, ``1.1``), or three or more of them are equally far apart.

    Args:
        stems: the names, without suffixes.
    """
    parts = [part for part in map(_DECIMAL.fullmatch, stems) if part is not None]
    digits = [part[3] for part in parts]
    lengths = {len(one) for one in digits}
    one_place = len({(part[1], part[4]) for part in parts}) == 1
    if len(parts) < len(stems) or not one_place or len(lengths) < 2:
        return None
    values = [Fraction(f"{part[2]}.{part[3]}") for part in parts]
    ordered = sorted(values)
    steps = [after - before for before, after in pairwise(ordered)]
    led = any(one[0] == "0" and len(one) > min(lengths) for one in digits)
    # Times are rounded.
    even = len(steps) > 1 and max(steps) - min(steps) <= Fraction(2, 10 ** max(lengths))
    return values if min(steps) > 0 and (led or even) else None


def varying_digits(stems: Sequence[str]) -> list[str] | None:
    """Return the only digits in which names differ; None if there are no such digits.

    Of a single name, or of equal ones, they are the last digits, if these end it.

    Args:
        stems: the names, without suffixes.
    """
    parts = [_DIGITS.split(stem) for stem in stems]
    if not parts or any(len(part) != len(parts[0]) for part in parts):
        return None
    varying = [k for k, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    if not varying and len(parts[0]) > 1 and not parts[0][-1]:
        varying = [len(parts[0]) - 2]
    if len(varying) != 1 or varying[0] % 2 == 0:
        return None
    return [part[varying[0]] for part in parts]
