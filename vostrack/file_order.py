"""The order of files, and the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["in_natural_order", "natural_order", "varying_digits"]

_NUMBERS = re.compile(r"(\d+)")
_DIGITS = re.compile(r"([0-9]+)")
_SIGNED = re.compile(r"(.*)([+-][0-9]{1,18})([^0-9].*|)")

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
    """Sort files by the ``natural_order`` of their paths; negative numbers come first.

    A minus is a sign only where the files of a folder differ in one number, and some of these
    numbers have a plus and the others a minus: ``f-01``, ``f+00``. In ``shot-01`` it separates.

    Args:
        paths: the files.
    """
    found = sorted(paths, key=lambda path: natural_order(str(path)))
    parts = [_SIGNED.fullmatch(path.name) for path in found]
    signed = [part for part in parts if part is not None]
    around = {(path.parent, part[1], part[3]) for path, part in zip(found, signed, strict=False)}
    if len(signed) < len(found) or len(around) != 1 or len({part[2][0] for part in signed}) < 2:
        return found
    numbers = {path: int(part[2]) for path, part in zip(found, signed, strict=True)}
    return sorted(found, key=lambda path: numbers[path])


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
