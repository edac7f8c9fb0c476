"""The table of formats says what the registry says."""

from __future__ import annotations

import re
from pathlib import Path

from vostrack.cli.convert import ConvertCommand
from vostrack.cli.field_help import help_texts
from vostrack.masks import FORMATS, Format

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


def _row(entry: Format) -> str:
    cells = [entry.title, entry.reads or "no", entry.writes or "no", entry.library]
    cells += [entry.checked, entry.lost]
    return f"| `{entry.name}` | {' | '.join(cells)} |"


def test_the_table_is_that_of_the_registry() -> None:
    rows = re.findall(r"^\| `.*\|$", PAGE.read_text(), flags=re.MULTILINE)
    expected = [_row(entry) for entry in FORMATS.values()]
    assert rows == expected, "\n".join(["the table in docs/formats.md should be", *expected])


def test_the_help_lists_every_format() -> None:
    names = re.findall(r"[a-z]+(?:-[a-z]+)*", help_texts(ConvertCommand)["to"].split(": ", 1)[1])
    written = [name for name, entry in FORMATS.items() if entry.writes and not entry.in_python]
    assert [name for name in names if name != "or"] == written
