"""The folder of a training command: not that of its data, nor of another training's results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_train_resume import NAMES, TINY
from tests.cli.test_train_target import small_network
from vostrack.cli import main
from vostrack.cli.commands import COMMANDS
from vostrack.cli.train_command import TrainCommand
from vostrack.cli.train_siseg import TrainSisegCommand
from vostrack.training.loop import LoopConfig


def results_of(name: str) -> tuple[str, ...]:
    commands = COMMANDS["train"]
    assert isinstance(commands, dict)
    command: Any = commands[name].load()
    assert issubclass(command, TrainCommand)
    assert command.command_name() == f"train {name}"
    results: tuple[str, ...] = command.results
    return results


@pytest.mark.parametrize("name", NAMES.split())
def test_each_command_knows_its_name_and_its_results(name: str) -> None:
    results = results_of(name)
    assert results
    assert all(result.endswith(".safetensors") for result in results)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_trained_network_is_not_replaced(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"target": "--data", "mask-localizer": "--masks", "siseg": "--masks", "spn": "--davis"}
    value = f"davis:{tmp_path / 'nowhere'}" if name == "target" else str(tmp_path / "nowhere")
    path = tmp_path / "runs" / results_of(name)[-1]
    path.parent.mkdir()
    path.touch()
    argv = ["train", name, flags.get(name, "--root"), value, "--output", str(tmp_path / "runs")]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"error: --output: {tmp_path / 'runs'} holds {path.name}, which this training" in said
    assert "give another folder as --output" in said
    assert list(path.parent.iterdir()) == [path]


def test_a_training_does_not_write_among_its_data(
    davis: Path, matted_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv, output, flag in (
        (["foreground", "--root", str(davis)], davis, "--root"),
        (["spn", "--photos", str(matted_photos)], matted_photos, "--photos"),
        (["siseg", "--masks", "x", str(davis / "Annotations")], davis / "Annotations", "--masks"),
        (["target", "--data", f"photos:{matted_photos}:2"], matted_photos, "--data"),
    ):
        before = sorted(output.iterdir())
        place = output / ".." / output.name
        assert main(["train", *argv, "--output", str(place)]) == 2
        said = capsys.readouterr().err
        assert f"error: --output: {place} is the folder of {flag}, which is read" in said
        assert sorted(output.iterdir()) == before


def test_a_checkpoint_knows_its_command(tmp_path: Path) -> None:
    settings = TrainSisegCommand(output=tmp_path, drawn=2).agreed(LoopConfig(1), {})
    assert settings["command"] == "train siseg"


def test_windows_that_are_too_small_are_refused_before_anything_is_written(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_network(tmp_path / "start.safetensors")
    argv = ["train", "target", "--data", f"davis:{davis}", "--pixels", "64", *TINY]
    argv += ["--weights", str(tmp_path / "start.safetensors"), "--output", str(tmp_path / "runs")]
    assert main(argv) == 2
    assert "error: --pixels: expected at least 1024, got 64" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
