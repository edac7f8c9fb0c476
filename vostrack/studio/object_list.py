"""The list of objects: what it may hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from vostrack.errors import InputError
from vostrack.studio.journal import StudioObject
from vostrack.studio.plain_text import is_name

__all__ = ["LONGEST_NAME", "check_shown", "checked_objects"]

LONGEST_NAME = 80
"""Characters of the name of an object, and of the words for undo."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MOST_OBJECTS = 254


def checked_objects(objects: Sequence[StudioObject]) -> tuple[StudioObject, ...]:
    """Return the objects by ascending id, without blanks around their names.

    Raises:
        InputError: an id, a name or a colour cannot be used.
    """
    named = [replace(one, name=one.name.strip()) for one in objects]
    ordered = tuple(sorted(named, key=lambda one: one.id))
    if len({one.id for one in ordered}) != len(ordered):
        raise InputError("objects: two of them have the same id")
    for one in ordered:
        if not 1 <= one.id <= _MOST_OBJECTS:
            raise InputError(f"objects: expected ids in 1..{_MOST_OBJECTS}, got {one.id}")
        if not _COLOUR.fullmatch(one.colour):
            raise InputError(f"objects: expected a colour like #3366cc, got {one.colour!r}")
        if len(one.name) > LONGEST_NAME or not is_name(one.name):
            raise InputError(
                f"objects: expected a name of 1..{LONGEST_NAME} characters that can be seen, "
                "without line breaks and marks that turn the direction of text"
            )
    return ordered


def check_shown(objects: Sequence[StudioObject], frame: int, ids: Collection[int]) -> None:
    """Check that objects can be drawn in a frame.

    Args:
        objects: all that there are.
        frame: its number.
        ids: of those that are drawn.

    Raises:
        InputError: one of them does not exist, or has ended.
    """
    known = {one.id: one for one in objects}
    strange = sorted(set(ids) - known.keys())
    if strange:
        raise InputError(f"mask: no object has the id {strange[0]}; add the object first")
    ended = [known[number] for number in sorted(ids) if known[number].ended(frame)]
    if ended:
        raise InputError(
            f"mask: {ended[0].name} ends with frame {ended[0].last}, so it cannot be drawn in "
            f"frame {frame}; press Go on beside it first"
        )
