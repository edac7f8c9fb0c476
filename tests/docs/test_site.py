"""The page of commands names every option, and the check of the built site finds faults."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import vostrack

ROOT = Path(__file__).resolve().parents[2]
MENU = "nav:\n  - Home: index.md\n"


def test_the_reference_names_every_option() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_command_reference.py"))
    page: str = script["reference"]()
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n## ")[1:]}
    assert "vostrack track" in sections
    assert "vostrack davis run" in sections
    for words in script["commands"]():
        section = sections[f"vostrack {' '.join(words)}"]
        for flag in script["flags"](script["parser_of"](words)):
            assert f"`{flag}" in section, f"{words}: {flag}"
    for row in page.splitlines():
        if row.startswith("| `"):
            text = row.split(" | ", 1)[1].strip(" |")
            assert text, f"no help for {row}"


def test_the_python_page_holds_all_that_is_exported() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    missing = [name for name in vostrack.__all__ if f"vostrack.{name}" not in page]
    assert not missing


def test_all_pages_are_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in menu


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("", None),
        ('<a href="https://example.org">out</a> <img src="a.png">', None),
        ('<img src="missing.png">', "missing.png does not exist"),
        ('<a href="missing.html#part">x</a>', "missing.html#part does not exist"),
        ('<script src="https://example.org/x.js"></script>', "from the network"),
        ('<link rel="stylesheet" href="//fonts.example.org/x.css">', "from the network"),
    ],
)
def test_faults_of_the_built_site(tmp_path: Path, body: str, fault: str | None) -> None:
    check = runpy.run_path(str(ROOT / "scripts" / "check_site.py"))["troubles"]
    docs, site = tmp_path / "docs", tmp_path / "site"
    docs.mkdir()
    site.mkdir()
    (docs / "index.md").write_text("# Home\n")
    (site / "index.html").write_text(f"<html><body>{body}</body></html>")
    (site / "a.png").write_bytes(b"")
    found = check(site, docs, MENU)
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_pages_without_a_way_to_them(tmp_path: Path) -> None:
    check = runpy.run_path(str(ROOT / "scripts" / "check_site.py"))["troubles"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "lonely.md").write_text("# Lonely\n")
    found = check(tmp_path / "site", tmp_path / "docs", MENU)
    assert ["no entry of the menu" in found[0], "was not built" in found[1]] == [True, True]
