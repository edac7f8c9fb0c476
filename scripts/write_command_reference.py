"""Write the page of all commands and their options, from the commands themselves.

Run from the repository's root: ``python scripts/write_command_reference.py``. ``make docs`` does so
before it builds the site; the page is not kept in git, so it cannot fall behind the code.
"""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tyro

from vostrack.cli import COMMANDS, main

PAGE = Path("docs/reference/commands.md")
HEAD = """# Command line

Every command, with every option and its default. `vostrack COMMAND --help` shows the same text.
`python -m vostrack` works like `vostrack`.
"""


class _CapturedError(Exception):
    """Stops the command line once the command's type is known."""


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, such as ("davis", "run")."""
    for name, command in COMMANDS.items():
        if isinstance(command, Mapping):
            yield from ((name, inner) for inner in command)
        else:
            yield (name,)


def parser_of(words: tuple[str, ...]) -> Any:
    """Return the parser that the command line uses for a command."""
    caught: dict[str, Any] = {}

    def catch(command: Any, **settings: Any) -> None:
        caught.update(settings, f=command)
        raise _CapturedError

    with patch.object(tyro, "cli", catch), contextlib.suppress(_CapturedError):
        main([*words, "--help"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        caught.pop("args", None)
        return tyro.extras.get_parser(caught.pop("f"), **caught)


def flags(parser: Any) -> list[str]:
    """Return every flag of a command, but for --help."""
    return [
        flag
        for action in parser._actions
        for flag in action.option_strings
        if flag not in ("-h", "--help")
    ]


def reference() -> str:
    """Return the page."""
    parts = [HEAD]
    for words in commands():
        parser = parser_of(words)
        title = f"vostrack {' '.join(words)}"
        parts.append(f"## {title}\n\n{_description(parser)}\n")
        for group in parser._action_groups:
            actions = [a for a in group._group_actions if a.dest != "help"]
            if not actions:
                continue
            if group.description:
                parts.append(f"**{_escaped(group.description)}**\n")
            rows = ["| option | what it does |", "|---|---|", *map(_row, actions)]
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _description(parser: Any) -> str:
    """Set the description's example as code and the rest as paragraphs."""
    lines = []
    for paragraph in (parser.description or "").split("\n\n"):
        text = " ".join(paragraph.split())
        if text.startswith("Example: "):
            command = text.removeprefix("Example: ").replace(" -- ", " ")
            lines.append(f"```text\n{command}\n```")
        else:
            lines.append(_escaped(text))
    return "\n\n".join(lines)


def _row(action: argparse.Action) -> str:
    name = action.option_strings[0] if action.option_strings else action.dest.upper()
    if len(action.option_strings) > 1:
        name = f"{name}`, `{action.option_strings[1]}"
    kind = ""
    if action.nargs != 0 and action.option_strings:
        metavar = action.metavar
        kind = f" {metavar}" if isinstance(metavar, str) else ""
        kind = kind.replace("|", "\\|")
    text = _escaped(" ".join((action.help or "").split()))
    return f"| `{name}{kind}` | {text} |"


def _escaped(text: str) -> str:
    for character in ("\\", "|", "<", "*", "_", "`"):
        text = text.replace(character, f"\\{character}" if character != "<" else "&lt;")
    return text


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
    print(PAGE)
