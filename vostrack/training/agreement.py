"""Whether a checkpoint is of the training that wants to continue it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vostrack.errors import InputError

__all__ = ["COMMAND", "GIVEN", "check_agreement", "flattened", "lacks_record", "start_again"]

GIVEN = "given"
"""The setting that maps the parameters a user gave to their values, or to what their files hold."""

COMMAND = "command"
"""The setting that names the command which trains, such as "train siseg"; need not be there."""

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
    remedy = start_again(path.parent)
    before, now = flattened(theirs), flattened(ours)
    writer, reader = before.pop(_PREFIX + COMMAND, None), now.pop(_PREFIX + COMMAND, None)
    # Earlier versions did not record it.
    if writer is not None and reader is not None and writer != reader:
        raise InputError(
            f"training: {path} was written by vostrack {writer}, and this is vostrack {reader}; "
            f"{remedy}"
        )
    names = dict.fromkeys([*sorted(now, key=_rank), *sorted(before)])
    if lacks_record(theirs, ours):
        names = dict.fromkeys(name for name in names if name in before and name in now)
    for name in names:
        if before.get(name) != now.get(name):
            raise InputError(
                f"training: {path} was written by another recipe ("
                f"{_difference(name, before, now)}); {remedy}"
            )


def start_again(folder: Path) -> str:
    """Return what to do about a checkpoint that is not to be continued."""
    return f"train into another folder, or delete all of {folder} to start again"


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


def _difference(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    was, now_is = (repr(side[name]) if name in side else "unknown" for side in (before, now))
    return f"{_shown(name)} was {was}, is {now_is}"


def _rank(name: str) -> bool:
    """What the user gave comes first, in its order: those names the user knows."""
    return not name.startswith(f"{_PREFIX}{GIVEN}.")


def _shown(name: str) -> str:
    """Spell a setting as a parameter, which the command line then spells as a flag."""
    *within, last = name.removeprefix(_PREFIX).removeprefix(f"{GIVEN}.").split(".")
    return f"`{last}`" + "".join(f" of {part}" for part in reversed(within))
