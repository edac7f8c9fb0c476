"""Messages of the library become messages of the command line."""

from __future__ import annotations

import pytest

from vostrack.cli.commands import COMMANDS, CommandEntry
from vostrack.cli.dataset import DatasetRunCommand, DatasetSubmitCommand
from vostrack.cli.error_text import Spelling, to_flags
from vostrack.cli.form import spelling_of
from vostrack.cli.track import TrackCommand

SPELLING = Spelling(
    {"overwrite": "--overwrite", "overlay": "--overlay", "craf": "--craf", "subset": "--set"},
    frozenset({"craf"}),
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`overwrite=True` replaces them", "--overwrite replaces them"),
        ("leave it out with `overlay=False`", "leave it out with --no-overlay"),
        ("switch it on with `craf=True`", "switch it on with --craf on"),
        ("switch it off with `craf=False`", "switch it off with --craf off"),
        ('choose `subset="val"`, or `subset`', "choose --set val, or --set"),
        ("overwrite: no", "--overwrite: no"),
        ("video x.mp4: overwrite: no", "video x.mp4: overwrite: no"),
        ("other: see `other=3` and `other`", "other: see `other=3` and `other`"),
        ("refiner_options: dense-crf: two_words: no", "--dense-crf-two-words: no"),
    ],
)
def test_parameters_are_named_as_flags(message: str, expected: str) -> None:
    assert to_flags(message, SPELLING) == expected


def test_the_spelling_of_commands() -> None:
    track = spelling_of(TrackCommand, grouped=True)
    assert track.flags["first_mask"] == "--first-mask"
    assert track.flags["object_steps"] == "--object-steps"
    support = {"identity", "let_go", "reacquire", "support"}
    others = {"craf", "adapt", "flow", "mirror", "per_video", "second_pass"}
    assert support | others == track.switches
    assert spelling_of(DatasetRunCommand, grouped=True).flags["subset"] == "--set"
    assert spelling_of(DatasetSubmitCommand, grouped=False).flags["subset"] == "--set"


def test_every_command_can_be_loaded_and_summed_up() -> None:
    entries = [e for e in COMMANDS.values() if isinstance(e, CommandEntry)]
    for group in COMMANDS.values():
        entries += [] if isinstance(group, CommandEntry) else list(group.values())
    for entry in entries:
        assert entry.summary() == (entry.load().__doc__ or "").splitlines()[0]
        assert spelling_of(entry.load(), grouped=entry.grouped).flags["quiet"] == "--quiet"
