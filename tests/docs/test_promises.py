"""Every row of the page of promises names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


def test_there_are_promises() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_promise_is_held_by_a_test(row: list[str]) -> None:
    promise, tests = row
    assert promise.endswith(".")
    files = re.findall(r"`([^`]+)`", tests)
    assert files
    for file in files:
        assert file.startswith("tests/")
        assert (ROOT / file).is_file(), file
