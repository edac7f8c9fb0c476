"""Whether a checkpoint is of the training that wants to continue it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vostrack.errors import InputError

__all__ = ["GIVEN", "check_agreement", "flattened", "lacks_record"]

GIVEN = "given"
"""The setting that maps the parameters a user gave to their values, or to what their files hold."""

_PREFIX = "recipe."


def check_agreement(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another training.

    Earlier versions did not record what was given. Of their checkpoints, only the settings that
    both have are compared.

    Args:
        path: of the checkpoint, for messages.
        theirs: its settings.
        ours: those of the training that wants to continue it.

    Raises:
        InputError: they differ; names the first difference, of what was given where there is one.
    """
    before, now = flattened(theirs), flattened(ours)
    names = dict.fromkeys([*sorted(now, key=_rank), *sorted(before)])
    if lacks_record(theirs, ours):
        names = dict.fromkeys(name for name in names if name in before and name in now)
    for name in names:
        if before.get(name) != now.get(name):
            raise InputError(
                f"training: {path} was written by another recipe ({_shown(name)} was "
                f"{before.get(name)!r}, is {now.get(name)!r}); train into another folder, "
                "or delete it to start again"
            )


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings with a dotted name for each value of a mapping inside them."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def lacks_record(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Tell whether a checkpoint is of an earlier version, which did not record what was given."""
    return f"{_PREFIX}{GIVEN}" in ours and f"{_PREFIX}{GIVEN}" not in theirs


def _rank(name: str) -> bool:
    """What the user gave comes first, in its order: those names the user knows."""
    return not name.startswith(f"{_PREFIX}{GIVEN}.")


def _shown(name: str) -> str:
    """Spell a setting as a parameter, which the command line then spells as a flag."""
    *within, last = name.removeprefix(_PREFIX).removeprefix(f"{GIVEN}.").split(".")
    return f"`{last}`" + "".join(f" of {part}" for part in reversed(within))
