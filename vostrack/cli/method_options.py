"""Flags for the settings of every proposer, made from their options dataclasses."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, get_type_hints

import tyro

__all__ = ["attribute_help", "method_options_type", "options_of"]


def method_options_type() -> type[Any]:
    """Make a dataclass with one group of flags, ``--METHOD-FIELD``, for each method.

    It is made when the command line is parsed: the methods' modules are heavy.
    """
    from vostrack.proposers.registry import METHODS

    groups: list[Any] = []
    for name, method in METHODS.items():
        group = _prefixed(name, method.options)
        groups.append(
            (_slug(name), Annotated[group, tyro.conf.OmitArgPrefixes], field(default_factory=group))
        )
    return make_dataclass("MethodOptions", groups, frozen=True)


def options_of(parsed: Any, name: str, options: type[Any]) -> Any:
    """Take one method's options out of what was parsed.

    Args:
        parsed: an instance of what ``method_options_type`` made; None for all defaults.
        name: the method.
        options: its dataclass.
    """
    if parsed is None:
        return options()
    group = getattr(parsed, _slug(name))
    prefix = _slug(name)
    return options(**{f.name: getattr(group, f"{prefix}_{f.name}") for f in fields(options)})


def attribute_help(options: type[Any]) -> dict[str, str]:
    """The description of each field, from the docstring's Attributes section."""
    section = re.split(r"\n\s*Attributes:\n", options.__doc__ or "", maxsplit=1)[-1]
    entries = re.findall(
        r"^ +(\w+): (.*?)(?=^ +\w+: |^\s*$|\Z)", section, flags=re.MULTILINE | re.DOTALL
    )
    return {name: " ".join(text.split()) for name, text in entries}


def _prefixed(name: str, options: type[Any]) -> type[Any]:
    """A copy of the dataclass with the method's name before each field's."""
    hints, help_texts = get_type_hints(options), attribute_help(options)
    renamed: list[Any] = [
        (
            f"{_slug(name)}_{f.name}",
            Annotated[hints[f.name], tyro.conf.arg(help=help_texts.get(f.name, ""))],
            field(default=_default(f)),
        )
        for f in fields(options)
    ]
    group = make_dataclass(f"{options.__name__}Flags", renamed, frozen=True)
    group.__doc__ = f"With --method {name}."
    return group


def _default(entry: Field[Any]) -> Any:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default


def _slug(name: str) -> str:
    return name.replace("-", "_")
