"""The flags of a command, made from the fields of its dataclasses.

Dataclasses of options know nothing of the command line. The text under a field is the flag's help.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from dataclasses import fields as fields_of
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from vostrack.cli.command_options import CommandOptions
from vostrack.cli.field_help import first_line, help_texts, option_texts
from vostrack.registry import usable

__all__ = [
    "PRESET",
    "Flag",
    "bare",
    "flags_of",
    "hints_of",
    "part_of",
    "registry_of",
    "without_none",
]

PRESET = "preset"
"""The word that leaves a choice to the preset."""


@dataclass(frozen=True)
class Flag:
    """A flag of a command."""

    name: str
    """Spelling with underscores and without dashes: also the attribute of the parsed form."""

    path: tuple[str, ...]
    """Where its value goes: fields from the command downwards; (..., MAPPING, PART, OPTION) for an
    option of a part."""

    type: Any
    """Annotation for the parser."""

    default: Any
    """MISSING where the flag is required."""

    help: str
    """Help text."""

    group: str
    """Name of its group; empty for the flags of every command."""

    about: str
    """What the group is about."""

    switch: bool = False
    """Whether it is spelled ``--name on`` and ``--name off``."""


def flags_of(command: type[Any]) -> list[Flag]:
    """Return every flag of a command, in the order of its help; those of parts may clash."""
    return _fields(command, command, ())


def _fields(command: type[Any], owner: type[Any], path: tuple[str, ...]) -> list[Flag]:
    hints, later = hints_of(owner), []
    found: list[Flag] = []
    entries = {entry.name: entry for entry in fields_of(owner)}
    for base in reversed(owner.__mro__):
        texts = help_texts(base) if is_dataclass(base) else {}
        for name in texts:
            if name not in entries:  # a class variable
                continue
            hint, here = hints[name], (*path, name)
            registry = registry_of(name)
            if registry is not None:
                later += _part_flags(registry, here)
            elif is_dataclass(hint):
                later += _fields(command, hint, here)  # type: ignore[arg-type]
            else:
                nested = bool(path)
                found.append(
                    Flag(
                        name,
                        here,
                        _spoken(hint, texts[name], nested),
                        _spoken_default(entries[name], hint, nested),
                        texts[name],
                        *_group_of(command, base),
                        without_none(bare(hint)) is bool,
                    )
                )
    return found + later


def _part_flags(registry: Mapping[str, Any], path: tuple[str, ...]) -> list[Flag]:
    chooser = path[-1].removesuffix("_options")
    found = []
    for part, entry in registry.items():
        hints, texts = get_type_hints(entry.options), option_texts(entry.options)
        for option in fields_of(entry.options):
            found.append(
                Flag(
                    f"{part.replace('-', '_')}_{option.name}",
                    (*path, part, option.name),
                    _spoken(hints[option.name], texts[option.name], nested=False),
                    _default(option),
                    texts[option.name],
                    part,
                    f"Only with --{chooser} {part}.",
                )
            )
    return found


def part_of(flag: Flag) -> str | None:
    """Return the part whose option a flag is, if it is one."""
    return flag.path[-2] if len(flag.path) > 2 and flag.path[-3].endswith("_options") else None


def hints_of(owner: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields; a field that chooses a part lists the parts."""
    hints = get_type_hints(owner, include_extras=True)
    for name in ("refiner", "proposer"):
        parts = registry_of(f"{name}_options") if f"{name}_options" in hints else None
        if parts is not None and name in hints:
            hints[name] = Literal[("none", *parts)] | None
    return hints


def registry_of(name: str) -> Mapping[str, Any] | None:
    """Return the parts whose options a mapping of that name holds."""
    if name == "refiner_options":
        from vostrack.refine.registry import REFINERS

        return dict(usable(REFINERS))
    if name == "proposer_options":
        from vostrack.proposers.registry import PROPOSERS

        return dict(usable(PROPOSERS))
    if name == "method_options":
        from vostrack.proposers.registry import image_proposers

        return image_proposers()
    return None


def _group_of(command: type[Any], base: type[Any]) -> tuple[str, str]:
    """Return the name of a group and what it is about, from a docstring like "Input: frames."."""
    if base in (command, CommandOptions):
        return "", ""
    name, colon, about = first_line(base).partition(": ")
    assert colon, f"{base.__name__}: expected a docstring that begins with the name of the group"
    return name.lower(), about[:1].upper() + about[1:]


def bare(hint: Any) -> Any:
    """Return a type without its annotations."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def without_none(hint: Any) -> Any:
    """Return T of ``T | None``, else None."""
    arguments = get_args(hint)
    if get_origin(hint) not in (Union, types.UnionType) or type(None) not in arguments:
        return None
    return Union[tuple(a for a in arguments if a is not type(None))]  # noqa: UP007 - at run time


def _spoken(hint: Any, text: str, nested: bool) -> Any:
    """Return what the parser takes for a field: words for switches and for the preset's choice."""
    some = without_none(bare(hint))
    extras = list(get_args(hint)[1:]) if get_origin(hint) is Annotated else []
    hint = bare(hint)
    config: dict[str, Any] = {"help": text}
    if some is bool:
        hint = Literal["preset", "on", "off"]
    elif nested and get_origin(some) is Literal:
        hint = Literal[(PRESET, *get_args(some))]
    elif some is not None:
        config["help_behavior_hint"] = ""
    return Annotated[(hint, tyro.conf.arg(**config), *extras)]


def _spoken_default(entry: Any, hint: Any, nested: bool) -> Any:
    some = without_none(bare(hint))
    if some is bool or (nested and get_origin(some) is Literal):
        return PRESET
    return _default(entry)


def _default(entry: Any) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()
