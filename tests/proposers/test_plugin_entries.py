"""Plug-ins whose entries are odd: they get flags, or a warning, and never stop a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stranger import stranger
from vostrack.cli.form import parse_form
from vostrack.cli.form_flags import flags_of
from vostrack.cli.track import TrackCommand
from vostrack.errors import InputError
from vostrack.refine.registry import REFINERS, RefinerEntry

HEAD = """
from dataclasses import dataclass, field
from vostrack.refine.registry import RefinerEntry

def build(options, device):
    return lambda image, scores: scores

"""
DESCRIBED = '''
@dataclass(frozen=True)
class Base:
    """What all have.

    Attributes:
        level (int): how much, in two
            lines: 0 to 9.
    """
    level: int = 3

@dataclass(frozen=True)
class Options(Base):
    wide: bool = False
    """Under the field."""
    bare: float = 0.5
    made: str = field(default_factory=lambda: "made")

def local():
    @dataclass(frozen=True)
    class Inner:
        deep: int = 1
        """In a function."""
    return Inner

GOOD = RefinerEntry(Options, build)
INNER = RefinerEntry(local(), build)
'''
UNFIT = {
    "no class": ("E = RefinerEntry(dict, build)", "expected a class with @dataclass, got dict"),
    "no default": (
        "@dataclass\nclass O:\n    a: int\nE = RefinerEntry(O, build)",
        "expected one for 'a' of O; give it one",
    ),
    "list": (
        "@dataclass\nclass O:\n    a: list[int] | None = None\nE = RefinerEntry(O, build)",
        "expected a number, bool, str, Path, Literal or None, got 'a'",
    ),
    "unknown type": (
        "@dataclass\nclass O:\n    a: 'Gone' = None\nE = RefinerEntry(O, build)",
        "types that cannot be looked up: NameError: name 'Gone' is not defined",
    ),
    "exit": ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3; repair or uninstall"),
}
WORDS = ["--video", "v.mp4", "--first-mask", "m.png"]


def test_options_are_described_in_either_way_or_not_at_all(tmp_path: Path) -> None:
    points = "[vostrack.refiners]\nodd = stranger_plugin:GOOD\nin = stranger_plugin:INNER\n"
    with stranger(tmp_path, HEAD + DESCRIBED, points):
        flags = {flag.name: flag for flag in flags_of(TrackCommand)}
        parsed = parse_form(TrackCommand, [*WORDS, "--refiner", "odd", "--odd-level", "4"], "track")
    texts = {name: flags[f"odd_{name}"].help for name in ("level", "wide", "bare", "made")}
    assert texts == {
        **{"level": "how much, in two lines: 0 to 9.", "wide": "Under the field."},
        **{"bare": "", "made": ""},
    }
    assert flags["odd_made"].default == "made"
    assert flags["in_deep"].help == "In a function."
    assert parsed.options.refiner_options == {"level": 4}


@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_entry_is_only_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    source, words = UNFIT[case]
    with stranger(tmp_path, HEAD + source, "[vostrack.refiners]\nodd = stranger_plugin:E\n"):
        assert parse_form(TrackCommand, WORDS, "track").options.refiner is None
        assert words in caplog.text
        with pytest.raises(InputError, match=r"refiner: the plug-in 'odd' \(stranger_plugin:E\)"):
            REFINERS.settings("odd", {})


def test_names_that_are_taken_or_cannot_be_flags_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = "".join(f"{name} = stranger_plugin:GOOD\n" for name in ("spn", "none", "a.b", "odd"))
    names += "odd = stranger_plugin:INNER\n"
    with stranger(tmp_path, HEAD + DESCRIBED, "[vostrack.refiners]\n" + names):
        assert parse_form(TrackCommand, [*WORDS, "--refiner", "odd"], "track")
        assert list(REFINERS)[3:] == ["a.b", "odd"]
    for words in (
        "'spn' (stranger_plugin:GOOD) is left out: the package has 'spn' itself; rename",
        "'none' (stranger_plugin:GOOD) is left out",
        "called 'odd'; stranger_plugin:GOOD is used, stranger_plugin:INNER is left out",
        "expected a name of letters, digits, - and _ that begins with a letter, got 'a.b'",
    ):
        assert words in caplog.text


def test_an_unfit_entry_is_not_registered() -> None:
    with pytest.raises(InputError, match=r"'odd' \(registered in this process\) has options"):
        REFINERS.register("odd", RefinerEntry(dict, lambda options, device: None))  # type: ignore[arg-type, return-value]
    assert "odd" not in REFINERS
