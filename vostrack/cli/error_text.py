"""Messages of the library in the words of the command line.

The library names parameters as Python does: in backticks (`overwrite=True`), or as "name: " at the
start of a message. The command line names flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Spelling", "to_flags"]

_QUOTED = re.compile(r"`(?P<name>[a-z]\w*)(?:=(?P<value>[^`]*))?`")
_LEADING = re.compile(r"^(?P<name>[a-z]\w*): ")
_PART = re.compile(r"^(?P<mapping>\w+)_options: (?P<part>[\w-]+): (?P<option>\w+): ")


@dataclass(frozen=True)
class Spelling:
    """How the parameters of a command are spelled as flags."""

    flags: Mapping[str, str]
    """The flag of each parameter, such as ``--first-mask`` of ``first_mask``."""

    switches: frozenset[str] = frozenset()
    """The parameters that are spelled ``--name on`` and ``--name off``."""


def to_flags(message: str, spelling: Spelling, *, subject: bool = True) -> str:
    """Return a message with the names of parameters as flags.

    Args:
        message: of an ``InputError``.
        spelling: of the parameters of the command that runs; other names stay as they are.
        subject: whether the name at the start of the message is one, too.
    """
    flags = spelling.flags

    def quoted(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if name not in flags:
            return match[0]
        if value is None:
            return flags[name]
        return _with_value(flags[name], value, switch=name in spelling.switches)

    def leading(match: re.Match[str]) -> str:
        return f"{flags[match['name']]}: " if match["name"] in flags else match[0]

    def part(match: re.Match[str]) -> str:
        return f"--{match['part']}-{match['option']}: ".replace("_", "-")

    if subject:
        message = _LEADING.sub(leading, _PART.sub(part, message))
    return _QUOTED.sub(quoted, message)


def _with_value(flag: str, value: str, *, switch: bool) -> str:
    if value in ("True", "False"):
        if switch:
            return f"{flag} {'on' if value == 'True' else 'off'}"
        return flag if value == "True" else flag.replace("--", "--no-", 1)
    bare = value.strip("\"'")
    return f"{flag} {bare}"
