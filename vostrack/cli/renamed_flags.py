"""Flags of earlier versions, which are refused with the new spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vostrack.errors import InputError

__all__ = ["refuse_renamed_flags"]


def refuse_renamed_flags(arguments: Sequence[str], renamed: Mapping[str, str]) -> None:
    """Refuse the first flag that has another name now.

    Args:
        arguments: of the command line, after the name of the command.
        renamed: new spelling, by old spelling; both as ``--learning-rate``.

    Raises:
        InputError: an old spelling was used.
    """
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        flag = argument.partition("=")[0].replace("_", "-")
        if flag in renamed:
            raise InputError(f"{flag}: this flag is now {renamed[flag]}; use the new spelling")
