"""Options are declared once: what Python takes, the command line takes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import pytest

from vostrack.cli import form, main
from vostrack.cli.commands import COMMANDS, CommandEntry
from vostrack.cli.convert import ConvertCommand
from vostrack.cli.dataset import DatasetRunCommand
from vostrack.cli.field_help import help_texts
from vostrack.cli.form import parse_form, parse_plain
from vostrack.cli.form_flags import flags_of
from vostrack.cli.propose import ProposeCommand
from vostrack.cli.track import TrackCommand
from vostrack.errors import InputError
from vostrack.presets.options import TrackerOptions
from vostrack.refine.registry import REFINERS
from vostrack.runs.request import ClipRequest, MethodOptions

NEEDED = ["--video", "v.mp4", "--first-mask", "a.png", "b.png"]


def test_defaults_are_those_of_python() -> None:
    parsed = parse_form(TrackCommand, NEEDED, "vostrack track")
    request = ClipRequest(video="v.mp4", first_mask=("a.png", "b.png"))
    for entry in fields(ClipRequest):
        assert getattr(parsed, entry.name) == getattr(request, entry.name)
    assert parsed.options == TrackerOptions()


def test_flags_reach_the_options() -> None:
    given = ["--craf", "on", "--adapt", "off", "--gate", "none", "--refiner", "spn"]
    given += ["--spn-weights", "f.pt", "--proposer", "hough", "--hough-localizer", "none"]
    given += ["--hough-save-votes", "votes", "--max-size", "64", "--threads", "2", "--no-overlay"]
    parsed = parse_form(TrackCommand, [*NEEDED, *given], "vostrack track")
    assert parsed.options == TrackerOptions(
        craf=True,
        adapt=False,
        gate="none",
        refiner="spn",
        refiner_options={"weights": "f.pt"},
        proposer="hough",
        proposer_options={"localizer": "none", "save_votes": Path("votes")},
        max_size=64,
    )
    assert (parsed.threads, parsed.overlay) == (2, False)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (
            TrackCommand,
            [*NEEDED, "--no-overlay", "--range=full", "--resume", "--alpha", "straight"],
        ),
        (TrackCommand, [*NEEDED, "--export", "coco", "--max-size=64", "--craf", "off", "--quiet"]),
        (TrackCommand, [*NEEDED, "--refiner", "spn", "--spn-weights", "f.pt", "--output", "o"]),
        (DatasetRunCommand, ["--root", "r", "--year", "2017", "--sequences", "a", "b"]),
        (DatasetRunCommand, ["--root", "r", "--sequences", "a", "--year", "2017"]),
        (ProposeCommand, ["--output", "o", "--method", "hough", "--hough-floor", "0.2"]),
    ],
)
def test_a_parser_of_few_flags_says_the_same(
    command: type[object], given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a user would see them
        quickly = parse_form(command, given, "vostrack")
    assert form._values_of_few(command, flags_of(command), given) is not None
    monkeypatch.setattr(form, "_values_of_few", lambda *_: None)
    assert parse_form(command, given, "vostrack") == quickly


def test_one_word_is_parsed_as_one_word() -> None:
    flags = [flag for flag in flags_of(TrackCommand) if flag.name == "first_mask"]
    for given in (["--first-mask", "a.png"], ["--first-mask", "a.png", "--quiet"]):
        assert list(form._with_one_word(flags, given)) == ["first_mask"]
    for given in (
        ["--first-mask", "a.png", "b.png"],
        ["--first-mask", "a.png", "--first-mask", "b.png"],
        ["--first-mask"],
        ["--first-mask", "--quiet"],
        ["--first-mask=a.png"],
    ):
        assert form._with_one_word(flags, given) == {}


@pytest.mark.parametrize(
    "given", [["--help"], [], [*NEEDED, "--threads", "two"], [*NEEDED, "--sped", "1"], ["-h"]]
)
def test_the_parser_of_all_flags_has_words_for_help_and_errors(given: list[str]) -> None:
    assert form._values_of_few(TrackCommand, flags_of(TrackCommand), given) is None


def test_davis_run_takes_every_option_of_the_method() -> None:
    track = {flag.path: flag for flag in flags_of(TrackCommand)}
    run = {flag.path: flag for flag in flags_of(DatasetRunCommand)}
    wanted = {entry.name for entry in fields(MethodOptions)}
    shared = [path for path in track if path[0] in wanted]
    assert len(shared) > 30
    for path in shared:
        assert (run[path].name, run[path].help) == (track[path].name, track[path].help)


@pytest.mark.parametrize("command", [TrackCommand, DatasetRunCommand, ProposeCommand])
def test_every_flag_has_a_help_text_and_a_name_of_its_own(command: type[object]) -> None:
    flags = flags_of(command)
    assert all(flag.help for flag in flags)
    assert len({flag.name for flag in flags}) == len(flags)
    described = {flag.path[0] for flag in flags}
    assert described == {entry.name for entry in fields(command)}  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [TrackerOptions, *(REFINERS[n].options for n in REFINERS)])
def test_every_option_has_a_text_under_it(options: type[object]) -> None:
    assert list(help_texts(options)) == [e.name for e in fields(options)]  # type: ignore[arg-type]


def test_options_of_a_part_that_is_not_chosen_are_refused() -> None:
    with pytest.raises(InputError, match="--spn-weights is an option of the refiner spn"):
        parse_form(TrackCommand, [*NEEDED, "--spn-weights", "f.pt"], "vostrack track")


HELP = """
import contextlib, io, sys
from vostrack.cli import main

HEAVY = {"torch", "torchvision", "cv2", "av", "scipy", "numba", "ray"}
for name in ["", *sys.argv[1:]]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*filter(None, [name]), "--help"])
    loaded = HEAVY & set(sys.modules)
    if not name:  # the overview loads no command
        loaded |= {m for m in sys.modules if m.startswith(("vostrack.cli.t", "tyro", "numpy"))}
    assert not loaded, (name, loaded)
"""


def test_help_loads_nothing_heavy() -> None:
    commands = [name for name, entry in COMMANDS.items() if isinstance(entry, CommandEntry)]
    run = [sys.executable, "-c", HELP, *commands]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command() -> None:
    argv = [sys.executable, "-m", "vostrack", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: vostrack COMMAND")


def _plain() -> dict[str, CommandEntry]:
    """Return the commands with one group of flags, by what is typed."""
    found: dict[str, CommandEntry] = {}
    for name, entry in COMMANDS.items():
        members = {name: entry} if isinstance(entry, CommandEntry) else entry
        words = {w if w == name else f"{name} {w}": one for w, one in members.items()}
        found |= {w: one for w, one in words.items() if not one.grouped}
    return found


@pytest.mark.parametrize("name", _plain())
def test_help_is_wrapped_and_says_nothing_of_none(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    said = capsys.readouterr().out
    assert "None" not in said
    assert max(map(len, said.splitlines())) <= 80
    about = said.partition("╭")[0].splitlines()
    assert not [line for line in about if line.endswith("-")]


def test_a_plain_command_is_made_of_its_flags() -> None:
    given = ["out", "--to", "coco", "--size", "4", "3"]
    parsed = parse_plain(ConvertCommand, given, "vostrack convert")
    assert type(parsed) is ConvertCommand
    assert parsed == ConvertCommand(Path("out"), "coco", size=(4, 3))
    with pytest.raises(SystemExit):
        parse_plain(ConvertCommand, [*given, "--output", "None", "None"], "vostrack convert")
    named = parse_plain(ConvertCommand, [*given, "--output", "None"], "vostrack convert")
    assert named.output == Path("None")
