"""Help and error messages in terminals that are too narrow for them."""

from __future__ import annotations

import os
import shutil

import pytest

from vostrack.cli import main
from vostrack.cli.width import NARROWEST, wide_enough


@pytest.mark.parametrize("argv", [["convert", "--help"], ["track", "--help"], ["track", "--sped"]])
def test_text_is_as_in_the_narrowest_terminal_that_has_room(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    # In one of a single column the parser would not end.
    for columns in (12, NARROWEST):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit):
            main(argv)
        assert os.environ["COLUMNS"] == str(columns)
        shown.append(capsys.readouterr())
    assert shown[0] == shown[1]


@pytest.mark.parametrize(("given", "laid_out"), [("1", 40), ("39", 40), ("40", 40), ("77", 77)])
def test_the_width_has_a_lower_bound(
    given: str, laid_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", given)
    with wide_enough():
        assert shutil.get_terminal_size().columns == laid_out
    assert os.environ["COLUMNS"] == given


def test_a_terminal_that_says_its_width_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((3, 24)))
    with wide_enough():
        assert shutil.get_terminal_size().columns == NARROWEST
    assert "COLUMNS" not in os.environ
