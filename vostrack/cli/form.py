"""Command lines made from dataclasses that know nothing of the command line.

A command that derives from dataclasses of options gets a group of flags for each of them, a group
for each nested dataclass, and a group for each part (refiner, proposer, method) whose options it
takes as a mapping. The text under a field is the flag's help.
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, is_dataclass, make_dataclass, replace
from dataclasses import fields as fields_of
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

from vostrack.cli.command_options import CommandOptions
from vostrack.cli.error_text import Spelling
from vostrack.cli.field_help import first_line, help_texts
from vostrack.errors import InputError
from vostrack.registry import usable

__all__ = ["Flag", "flags_of", "parse_form", "spelling_of"]

Command = TypeVar("Command")

_SWITCH = {"preset": None, "on": True, "off": False}
_PRESET = "preset"


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


def parse_form(command: type[Command], arguments: Sequence[str], prog: str) -> Command:
    """Parse a command line into a command.

    Raises:
        InputError: a value is out of its range, or an option belongs to a part that is not chosen.
        SystemExit: a flag is unknown or its value has the wrong form, or help was asked for.
    """
    flags = flags_of(command)
    values = _values_of_few(command, flags, arguments) or _values(
        _form(command, flags),
        prog=prog,
        args=arguments,
        description=_description(command),
        config=(tyro.conf.DisallowNone,),
    )
    return _assemble(command, flags, values, _spelled_out(arguments))


def _values_of_few(
    command: type[Any], flags: Sequence[Flag], arguments: Sequence[str]
) -> dict[str, Any] | None:
    """Parse by the flags that are spelled out alone, in a tenth of the time.

    Returns:
        A value for every flag; None where anything is unknown or wrong, or help was asked for: the
        parser of all flags has words for that.
    """
    spelled = _spelled_out(arguments)
    few = [f for f in flags if f.default is MISSING or spelled & {f.name, f"no_{f.name}"}]
    known = {f"--{word}".replace("_", "-") for f in few for word in (f.name, f"no_{f.name}")}
    if not {word.split("=")[0] for word in arguments if word.startswith("-")} <= known:
        return None
    alone = _with_one_word(few, arguments)
    # They are given, so their defaults, which are tuples, are not needed.
    plain = [replace(f, type=alone[f.name], default=MISSING) if f.name in alone else f for f in few]
    try:
        found = _values(
            _form(command, plain),
            args=arguments,
            config=(tyro.conf.DisallowNone,),
            console_outputs=False,
        )
    except SystemExit:
        return None
    found |= {name: (found[name],) for name in alone}
    return {flag.name: flag.default for flag in flags} | found


def _with_one_word(flags: Sequence[Flag], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the type of each flag that takes several words and is given one: that of the word.

    For the type of several words tyro imports typeguard, which takes as long as all of the parsing.
    """
    found = {}
    for flag in flags:
        spelling = f"--{flag.name}".replace("_", "-")
        if _bare(flag.type) != tuple[str, ...] or arguments.count(spelling) != 1:
            continue
        word, *rest = [*arguments, ""][arguments.index(spelling) + 1 :]
        if word and not word.startswith("-") and rest[0][:1] in ("", "-"):
            found[flag.name] = Annotated[(str, *get_args(flag.type)[1:])]
    return found


def _values(form: type[Any], **settings: Any) -> dict[str, Any]:
    """Return the values of all groups of a form."""
    parsed = tyro.cli(form, **settings)
    return {
        name: value
        for group in fields_of(parsed)
        for name, value in vars(getattr(parsed, group.name)).items()
    }


def _description(command: type[Any]) -> str:
    """Return the docstring, wrapped; the parser keeps line breaks before a space only."""
    width = min(100, shutil.get_terminal_size().columns)
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(textwrap.fill(p, width, subsequent_indent="  ") for p in paragraphs)


def flags_of(command: type[Any]) -> list[Flag]:
    """Return every flag of a command, in the order of its help."""
    return _fields(command, command, ())


def spelling_of(command: type[Any], *, grouped: bool) -> Spelling:
    """Return how the parameters of a command are spelled as flags."""
    hints = get_type_hints(command, include_extras=True)
    flags = flags_of(command) if grouped else []
    names = {flag.path[-1]: flag.name for flag in flags if _part_of(flag) is None}
    names = names or {entry.name: entry.name for entry in fields_of(command)}
    for name in names:
        for extra in get_args(hints.get(name))[1:]:
            names[name] = getattr(extra, "name", None) or names[name]
    return Spelling(
        {name: f"--{spelled}".replace("_", "-") for name, spelled in names.items()},
        frozenset(flag.path[-1] for flag in flags if flag.switch),
    )


def _fields(command: type[Any], owner: type[Any], path: tuple[str, ...]) -> list[Flag]:
    hints, later = _hints(owner), []
    found: list[Flag] = []
    entries = {entry.name: entry for entry in fields_of(owner)}
    for base in reversed(owner.__mro__):
        texts = help_texts(base) if is_dataclass(base) else {}
        for name in texts:
            if name not in entries:  # a class variable
                continue
            hint, here = hints[name], (*path, name)
            registry = _registry(name)
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
                        _without_none(_bare(hint)) is bool,
                    )
                )
    return found + later


def _hints(owner: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields; a field that chooses a part lists the parts."""
    hints = get_type_hints(owner, include_extras=True)
    for name in ("refiner", "proposer"):
        parts = _registry(f"{name}_options") if f"{name}_options" in hints else None
        if parts is not None and name in hints:
            hints[name] = Literal[("none", *parts)] | None
    return hints


def _registry(name: str) -> Mapping[str, Any] | None:
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


def _part_flags(registry: Mapping[str, Any], path: tuple[str, ...]) -> list[Flag]:
    chooser = path[-1].removesuffix("_options")
    found = []
    for part, entry in registry.items():
        hints, texts = get_type_hints(entry.options), help_texts(entry.options)
        for option in fields_of(entry.options):
            found.append(
                Flag(
                    f"{part.replace('-', '_')}_{option.name}",
                    (*path, part, option.name),
                    _spoken(hints[option.name], texts[option.name], nested=False),
                    option.default,
                    texts[option.name],
                    part,
                    f"Only with --{chooser} {part}.",
                )
            )
    return found


def _group_of(command: type[Any], base: type[Any]) -> tuple[str, str]:
    """Return the name of a group and what it is about, from a docstring like "Input: frames."."""
    if base in (command, CommandOptions):
        return "", ""
    name, colon, about = first_line(base).partition(": ")
    assert colon, f"{base.__name__}: expected a docstring that begins with the name of the group"
    return name.lower(), about[:1].upper() + about[1:]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _without_none(hint: Any) -> Any:
    """Return T of ``T | None``, else None."""
    arguments = get_args(hint)
    if get_origin(hint) not in (Union, types.UnionType) or type(None) not in arguments:
        return None
    return Union[tuple(a for a in arguments if a is not type(None))]  # noqa: UP007 - at run time


def _spoken(hint: Any, text: str, nested: bool) -> Any:
    """Return what the parser takes for a field: words for switches and for the preset's choice."""
    some = _without_none(_bare(hint))
    extras = list(get_args(hint)[1:]) if get_origin(hint) is Annotated else []
    hint = _bare(hint)
    config: dict[str, Any] = {"help": text}
    if some is bool:
        hint = Literal["preset", "on", "off"]
    elif nested and get_origin(some) is Literal:
        hint = Literal[(_PRESET, *get_args(some))]
    elif some is not None:
        config["help_behavior_hint"] = ""
    return Annotated[(hint, tyro.conf.arg(**config), *extras)]


def _spoken_default(entry: Any, hint: Any, nested: bool) -> Any:
    some = _without_none(_bare(hint))
    if some is bool or (nested and get_origin(some) is Literal):
        return _PRESET
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default


def _form(command: type[Any], flags: list[Flag]) -> type[Any]:
    """Make a dataclass with a nested one for each group; nothing in it checks a value."""
    groups: dict[str, list[Flag]] = {}
    for flag in flags:
        groups.setdefault(flag.group, []).append(flag)
    members: list[Any] = []
    for number, (name, entries) in enumerate(groups.items()):
        made: Any = make_dataclass(f"Group{number}", map(_member, entries), kw_only=True)
        about = tyro.conf.arg(name=name, help=entries[0].about)
        kind = Annotated[made, tyro.conf.OmitArgPrefixes, about]
        members.append((f"group{number}", kind))
    form = make_dataclass(f"{command.__name__}Form", members)
    form.__doc__ = command.__doc__
    return form


def _member(flag: Flag) -> tuple[Any, ...]:
    if flag.default is MISSING:
        return (flag.name, flag.type)
    return (flag.name, flag.type, field(default_factory=lambda: flag.default))


def _spelled_out(arguments: Sequence[str]) -> frozenset[str]:
    """Return the names of the flags on a command line, with underscores."""
    words = (word.split("=")[0] for word in arguments if word.startswith("--"))
    return frozenset(word[2:].replace("-", "_") for word in words)


def _assemble(
    command: type[Command],
    flags: list[Flag],
    values: Mapping[str, Any],
    spelled_out: frozenset[str],
) -> Command:
    """Make the command out of the values of its flags.

    An option of a part is passed on if it is not at its default, or was spelled out: the part may
    have another value for it in one of its settings.
    """
    tree: dict[str, Any] = {}
    for flag in flags:
        value, parts = values[flag.name], _part_of(flag)
        named = spelled_out & {flag.name, f"no_{flag.name}"}
        if parts is not None and value == flag.default and not named:
            continue
        node = tree
        for key in flag.path[:-1]:
            node = node.setdefault(key, {})
        node[flag.path[-1]] = value
    return _build(command, tree)  # type: ignore[no-any-return]


def _part_of(flag: Flag) -> str | None:
    return flag.path[-2] if len(flag.path) > 2 and flag.path[-3].endswith("_options") else None


def _build(owner: type[Any], tree: dict[str, Any]) -> Any:
    hints = _hints(owner)
    values: dict[str, Any] = {}
    for name, value in tree.items():
        hint = _bare(hints[name])
        if _registry(name) is not None:
            values[name] = _chosen_options(name, value, tree)
        elif is_dataclass(hint):
            values[name] = _build(hint, value)  # type: ignore[arg-type]
        elif _without_none(hint) is bool:
            values[name] = _SWITCH[value]
        elif value == _PRESET and get_origin(_without_none(hint)) is Literal:
            values[name] = None
        else:
            values[name] = value
    return owner(**values)


def _chosen_options(
    name: str, given: Mapping[str, Mapping[str, Any]], tree: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the options of the part that is chosen; refuse those of others."""
    chooser = name.removesuffix("_options")
    chosen = tree[chooser]
    for part, options in given.items():
        if part == chosen:
            continue
        flag = f"--{part}-{next(iter(options))}".replace("_", "-")
        raise InputError(
            f"{flag} is an option of the {chooser} {part}; choose that with --{chooser} {part}, or "
            f"leave {flag} out"
        )
    return given.get(chosen, {})
