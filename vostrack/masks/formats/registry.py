"""Finding formats by their names; see ``vostrack.masks.formats.catalogue``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.util import find_spec

from vostrack.errors import InputError
from vostrack.masks.formats.catalogue import FORMATS
from vostrack.masks.formats.extras import optional
from vostrack.masks.formats.format import Alpha, Format

__all__ = ["check_alpha", "check_writable", "find_format", "writable_formats"]


def find_format(name: str, parameter: str = "format") -> Format:
    """Return a format.

    Args:
        name: its name.
        parameter: name of the parameter that it was given as, for the message.

    Raises:
        InputError: there is none of that name.
    """
    found = FORMATS.get(name.lower().replace("_", "-"))
    if found is not None:
        return found
    near = difflib.get_close_matches(name.lower(), FORMATS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    expected = ", ".join(writable_formats())
    raise InputError(f"{parameter}: expected one of {expected}, got {name!r}{hint}")


def check_writable(name: str, parameter: str = "format") -> Format:
    """Return a format that is written.

    Args:
        name: its name.
        parameter: name of the parameter that it was given as, for the message.

    Raises:
        InputError: there is none of that name, or it is only read.
    """
    found = find_format(name, parameter)
    if found.requires and find_spec(found.requires) is None:
        optional(found.requires, found.extra, found.title)
    if found.in_python:
        raise InputError(
            f"{parameter}: {found.name} is an object of Python; call vostrack.masks.to_detections, "
            f"or use one of {', '.join(writable_formats())}"
        )
    if not found.writes:
        raise InputError(
            f"{parameter}: {found.name} is read but not written; expected one of "
            f"{', '.join(writable_formats())}"
        )
    return found


def writable_formats() -> list[str]:
    """Return the names of the formats that are written."""
    return [entry.name for entry in FORMATS.values() if entry.writes and not entry.in_python]


def check_alpha(alpha: Alpha, formats: Sequence[str]) -> None:
    """Check the kind of alpha of exports.

    Args:
        alpha: "straight" or "premultiplied".
        formats: names of the formats that are written.

    Raises:
        InputError: none of the formats can have that kind, or there is no such kind.
    """
    kinds = Alpha.__args__  # type: ignore[attr-defined]
    if alpha not in kinds:
        raise InputError(f"alpha: expected one of {', '.join(kinds)}, got {alpha!r}")
    able = [entry.name for entry in FORMATS.values() if entry.premultiplies]
    if alpha == "premultiplied" and not any(find_format(name).premultiplies for name in formats):
        came = ", ".join(formats) or "no export"
        raise InputError(
            f"alpha: premultiplied colours are written to {', '.join(able)} only, got {came}; "
            "leave `alpha` out"
        )
