"""What the training commands share: flags that reach the loop, and one progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vostrack.cli import COMMANDS, progress
from vostrack.cli.train_command import MixedPrecisionTrainCommand, TrainCommand
from vostrack.training.loop import LoopConfig


class Bar:
    """Stands in for tqdm."""

    made: list[Bar]

    def __init__(self, **options: Any) -> None:
        self.options, self.n, self.text = options, 0, ""
        self.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.options["closed"] = True

    def update(self, steps: int) -> None:
        self.n += steps

    def set_postfix_str(self, text: str) -> None:
        self.text = text


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    monkeypatch.setattr(progress, "tqdm", Bar)
    return Bar.made


def test_every_training_is_one_of_them() -> None:
    commands = COMMANDS["train"]
    assert isinstance(commands, dict)
    assert len(commands) == 8
    assert all(issubclass(command.load(), TrainCommand) for command in commands.values())


def test_flags_reach_the_loop() -> None:
    flags: dict[str, Any] = {"steps": 7, "seed": 3, "tensorboard": True}
    assert TrainCommand(output=Path(), **flags).loop() == LoopConfig(**flags)
    command = MixedPrecisionTrainCommand(output=Path(), **flags, precision="bf16")
    assert command.loop() == LoopConfig(**flags, precision="bf16")


def test_the_bar_stands_where_the_training_does(bars: list[Bar]) -> None:
    command = TrainCommand(output=Path(), steps=40)
    with command.progress() as show:
        show(12, 0.12345)  # a training that is resumed begins late
        show(13, 0.98765)
    (bar,) = bars
    assert (bar.n, bar.text) == (13, "loss 0.988")
    assert bar.options == {"total": 40, "unit": "step", "disable": None, "closed": True}
    with command.progress(5, "picture", decimals=4) as show:
        show(2)
        assert bars[1].text == ""
        show(3, 0.12345)
    assert (bars[1].n, bars[1].text) == (3, "loss 0.1235")
    assert (bars[1].options["total"], bars[1].options["unit"]) == (5, "picture")


@pytest.mark.parametrize(("quiet", "rank"), [(True, "0"), (False, "1")])
def test_no_bar_where_none_is_wanted(
    bars: list[Bar], monkeypatch: pytest.MonkeyPatch, quiet: bool, rank: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    with TrainCommand(output=Path(), steps=1, quiet=quiet).progress() as show:
        show(1, 0.5)
    assert bars[0].options["disable"] is True
