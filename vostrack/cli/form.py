"""Command lines made from dataclasses that know nothing of the command line.

A command that derives from dataclasses of options gets a group of flags for each of them, a group
for each nested dataclass, and a group for each part (refiner, proposer, method) whose options it
takes as a mapping. The text under a field is the flag's help.
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, field, is_dataclass, make_dataclass, replace
from dataclasses import fields as fields_of
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from vostrack.cli.error_text import Spelling
from vostrack.cli.field_help import help_texts
from vostrack.cli.flag_clashes import refuse_clash, without_clashes
from vostrack.cli.form_flags import (
    PRESET,
    Flag,
    bare,
    flags_of,
    hints_of,
    part_of,
    registry_of,
    without_none,
)
from vostrack.errors import InputError

__all__ = ["parse_form", "parse_plain", "spelling_of"]

Command = TypeVar("Command")

_SWITCH = {PRESET: None, "on": True, "off": False}


def parse_form(command: type[Command], arguments: Sequence[str], prog: str) -> Command:
    """Parse a command line into a command.

    Raises:
        InputError: a value is out of its range, an option belongs to a part that is not chosen, or
            one of the part that is chosen would have a flag that is taken.
        SystemExit: a flag is unknown or its value has the wrong form, or help was asked for.
    """
    flags, clashes = without_clashes(flags_of(command))
    values = _values_of_few(command, flags, arguments) or _values(
        _form(command, flags),
        prog=prog,
        args=arguments,
        description=_description(command),
        config=(tyro.conf.DisallowNone,),
    )
    refuse_clash(clashes, values)
    return _assemble(command, flags, values, _spelled_out(arguments))


def parse_plain(command: type[Command], arguments: Sequence[str], prog: str) -> Command:
    """Parse a command line into a command whose fields are its flags, in one group.

    Raises:
        InputError: a value is out of its range.
        SystemExit: a flag is unknown or its value has the wrong form, or help was asked for.
    """
    parsed = tyro.cli(
        _without_none(command),
        prog=prog,
        args=arguments,
        description=_description(command),
        config=(tyro.conf.DisallowNone,),
    )
    return command(**vars(parsed))


def _without_none(command: type[Command]) -> type[Command]:
    """Make a command whose help says nothing of None: who leaves a flag out gives that."""
    hints = get_type_hints(command, include_extras=True)
    texts = {k: text for base in reversed(command.__mro__) for k, text in _texts(base).items()}
    shown: dict[str, Any] = {}
    for entry in fields_of(command):  # type: ignore[arg-type]  # commands are dataclasses
        hint = hints[entry.name]
        extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        config: dict[str, Any] = {"help": texts[entry.name]} if entry.name in texts else {}
        if entry.default is None:
            config["help_behavior_hint"] = ""
        shown[entry.name] = Annotated[(bare(hint), tyro.conf.arg(**config), *extras)]
    return type(command.__name__, (command,), {"__annotations__": shown})


def _texts(base: type[Any]) -> dict[str, str]:
    return help_texts(base) if is_dataclass(base) else {}


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
        if bare(flag.type) != tuple[str, ...] or arguments.count(spelling) != 1:
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
    # Flags stay whole.
    lines = textwrap.TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False)
    return "\n\n".join(map(lines.fill, paragraphs))


def spelling_of(command: type[Any], *, grouped: bool) -> Spelling:
    """Return how the parameters of a command are spelled as flags."""
    hints = get_type_hints(command, include_extras=True)
    flags = flags_of(command) if grouped else []
    names = {flag.path[-1]: flag.name for flag in flags if part_of(flag) is None}
    names = names or {entry.name: entry.name for entry in fields_of(command)}
    for name in names:
        for extra in get_args(hints.get(name))[1:]:
            names[name] = getattr(extra, "name", None) or names[name]
    return Spelling(
        {name: f"--{spelled}".replace("_", "-") for name, spelled in names.items()},
        frozenset(flag.path[-1] for flag in flags if flag.switch),
    )


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
        value, parts = values[flag.name], part_of(flag)
        named = spelled_out & {flag.name, f"no_{flag.name}"}
        if parts is not None and value == flag.default and not named:
            continue
        node = tree
        for key in flag.path[:-1]:
            node = node.setdefault(key, {})
        node[flag.path[-1]] = value
    return _build(command, tree)  # type: ignore[no-any-return]


def _build(owner: type[Any], tree: dict[str, Any]) -> Any:
    hints = hints_of(owner)
    values: dict[str, Any] = {}
    for name, value in tree.items():
        hint = bare(hints[name])
        if registry_of(name) is not None:
            values[name] = _chosen_options(name, value, tree)
        elif is_dataclass(hint):
            values[name] = _build(hint, value)  # type: ignore[arg-type]
        elif without_none(hint) is bool:
            values[name] = _SWITCH[value]
        elif value == PRESET and get_origin(without_none(hint)) is Literal:
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
