"""What the training commands share: flags that reach the loop, and one progress bar."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from vostrack.cli import COMMANDS, main, progress
from vostrack.cli.renamed_flags import refuse_renamed_flags
from vostrack.cli.train_command import MixedPrecisionTrainCommand, TrainCommand
from vostrack.training.loop import LoopConfig


class Bar:
    """Stands in for a bar, or for its lines in a log."""

    made: list[Bar]

    def __init__(self, total: int, unit: str, name: str, *, quiet: bool) -> None:
        self.options = {"total": total, "unit": unit, "quiet": quiet}
        self.n, self.text = 0, ""
        self.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.options["closed"] = True

    def update(self, steps: int) -> None:
        self.n += steps

    def set_postfix(self, text: str) -> None:
        self.text = text


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    monkeypatch.setattr(progress, "open_progress", Bar)
    return Bar.made


def test_every_training_is_one_of_them() -> None:
    commands = COMMANDS["train"]
    assert isinstance(commands, dict)
    assert len(commands) == 8
    assert all(issubclass(command.load(), TrainCommand) for command in commands.values())


def test_the_help_begins_with_what_is_needed() -> None:
    commands = COMMANDS["train"]
    assert isinstance(commands, dict)
    for command in commands.values():
        first, *_ = fields(command.load())
        assert first.name in ("root", "output")


def test_flags_reach_the_loop() -> None:
    flags: dict[str, Any] = {"steps": 7, "seed": 3, "tensorboard": True}
    assert TrainCommand(output=Path(), **flags).loop() == LoopConfig(**flags)
    fixed = TrainCommand(output=Path(), **flags).loop(warmup=5)
    assert fixed == LoopConfig(**flags, warmup=5)
    command = MixedPrecisionTrainCommand(output=Path(), **flags, precision="bf16")
    assert command.loop() == LoopConfig(**flags, precision="bf16")


def test_the_bar_stands_where_the_training_does(bars: list[Bar]) -> None:
    command = TrainCommand(output=Path(), steps=40)
    with command.progress() as show:
        show(12, 0.12345)  # a training that is resumed begins late
        show(13, 0.98765)
    (bar,) = bars
    assert (bar.n, bar.text) == (13, "loss 0.988")
    assert bar.options == {"total": 40, "unit": "step", "quiet": False, "closed": True}
    with command.progress(5, "scene", decimals=4) as show:
        show(2)
        assert bars[1].text == ""
        show(3, 0.12345)
    assert (bars[1].n, bars[1].text) == (3, "loss 0.1235")
    assert (bars[1].options["total"], bars[1].options["unit"]) == (5, "scene")


@pytest.mark.parametrize(("quiet", "rank"), [(True, "0"), (False, "1")])
def test_no_bar_where_none_is_wanted(
    bars: list[Bar], monkeypatch: pytest.MonkeyPatch, quiet: bool, rank: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    with TrainCommand(output=Path(), steps=1, quiet=quiet).progress() as show:
        show(1, 0.5)
    assert bars[0].options["quiet"] is True


OLD_SPELLINGS = {
    "foreground": {"--crop": "--side", "--leave-out": "--exclude"},
    "target": {"--leave-out": "--exclude"},
    "spn": {
        "--crop": "--side",
        "--leave_out": "--exclude",
        "--features": "--weights",
        "--encoder": "--weights",
    },
    "siseg": {"--crop": "--side", "--rate": "--learning-rate", "--davis-year": "--year"},
    "fcrn": {"--crop": "--side", "--workers": "--ahead"},
    "localizer": {"--size": "--side", "--trunk": "--backbone", "--leave-out": "--exclude"},
    "detection-crf": {
        "--rate": "--learning-rate",
        "--potential-rate": "--potential-learning-rate",
        "--subset": "--set",
    },
}


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [(command, *pair) for command, pairs in OLD_SPELLINGS.items() for pair in pairs.items()],
)
@pytest.mark.parametrize("form", ["{} 1", "{}=1"])
def test_an_old_spelling_is_refused_with_the_new_one(
    command: str, old: str, new: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", command, "--output", "/nowhere", *form.format(old).split()]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"{old.replace('_', '-')}: this flag is now {new}" in said
    with pytest.raises(SystemExit):
        main(["train", command, "--help"])
    assert new in capsys.readouterr().out


def test_values_that_look_like_old_flags_are_left_alone() -> None:
    refuse_renamed_flags(["--side", "crop", "-crop"], {"--crop": "--side"})
