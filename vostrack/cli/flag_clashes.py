"""Flags of plug-ins' options that are flags of the command, or of another part, already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vostrack.cli.form_flags import Flag, bare, part_of
from vostrack.errors import InputError

__all__ = ["Clash", "refuse_clash", "without_clashes"]


@dataclass(frozen=True)
class Clash:
    """An option of a part that cannot have the flag that it would have."""

    flag: Flag
    """The flag."""

    owner: str | None
    """The part that has the flag; None for the command itself."""


def without_clashes(flags: Sequence[Flag]) -> tuple[list[Flag], list[Clash]]:
    """Separate the flags that are taken, so that none is meant for two.

    A command's own flags go before those of parts, and parts in the order in which they are listed:
    those of the package come first.

    Args:
        flags: every flag that a command would have.

    Returns:
        Those that it can have, in their order; and the others, which are of parts only.
    """
    taken: dict[str, str | None] = {}
    clashes: list[Clash] = []
    for flag in sorted(flags, key=lambda flag: part_of(flag) is not None):
        spellings, part = _spellings(flag), part_of(flag)
        found = next((name for name in spellings if name in taken), None)
        if found is not None and part is not None:
            clashes.append(Clash(flag, taken[found]))
        else:
            taken |= dict.fromkeys(spellings, None if part is None else _kind(flag))
    refused = {clash.flag.path for clash in clashes}
    return [flag for flag in flags if flag.path not in refused], clashes


def refuse_clash(clashes: Sequence[Clash], values: Mapping[str, Any]) -> None:
    """Refuse to build a part with an option that the command line cannot set.

    Args:
        clashes: of the command.
        values: of its flags.

    Raises:
        InputError: such a part is chosen.
    """
    for clash in clashes:
        kind, part = _chooser(clash.flag), part_of(clash.flag)
        if values.get(kind) != part:
            continue
        spelled = f"--{clash.flag.name}".replace("_", "-")
        owner = "the command itself" if clash.owner is None else f"the {clash.owner}"
        raise InputError(
            f"{kind}: the option {clash.flag.path[-1]!r} of {part} would be the flag {spelled}, "
            f"which {owner} has already; rename that option or the entry point of {part}, or "
            f"choose another {kind}"
        )


def _spellings(flag: Flag) -> tuple[str, ...]:
    """Return what the parser takes for a flag: of a switch, also what turns it off."""
    name = flag.name.replace("-", "_")
    return (name, f"no_{name}") if bare(flag.type) is bool else (name,)


def _chooser(flag: Flag) -> str:
    return flag.path[-3].removesuffix("_options")


def _kind(flag: Flag) -> str:
    return f"{_chooser(flag)} {part_of(flag)}"
