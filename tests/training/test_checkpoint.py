"""Checkpoints: damaged ones, those of other settings and earlier versions, and a full disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.errors import InputError
from vostrack.training.loop import LoopConfig, train

CONFIG = LoopConfig(steps=6, checkpoint_every=2, precision="fp32")


class Line:
    """A line through random points."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.network.parameters(), "lr": 0.05}]

    def draw(self, generator: Generator, step: int) -> Tensor:
        return torch.randn(4, 3, generator=generator)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"fit": (self.network(batch) - batch.sum(1, keepdim=True)).square().mean()}


def build(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, outputs)


def run(folder: Path, config: LoopConfig = CONFIG, **options: Any) -> dict[str, Tensor]:
    network = build()
    train(network, Line(network), config, folder, **options)
    return network.state_dict()


def refused(folder: Path, words: str, **options: Any) -> None:
    """Expect one line, and a folder that is left as it was."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=words) as caught:
        run(folder, **options)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def stored(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00", slice(500), slice(-300)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | slice) -> None:
    run(tmp_path, stop_after=2)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[content] if isinstance(content, slice) else content)
    refused(
        tmp_path, r"checkpoint\.pt cannot be read \(\w+\); train into another folder, or delete"
    )


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.pop(name)


def _with(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("settings"), "no checkpoint of this version"),
        (
            _without("optimizer"),
            "expected 'optimizer' to be of type dict, got an object of type NoneType",
        ),
        (
            _without("network"),
            "expected 'network' to be of type dict, got an object of type NoneType",
        ),
        (_without("step"), "expected 'step' to be of type int, got an object of type NoneType"),
        (
            _with("settings", [1, 2]),
            "expected 'settings' to be of type dict, got an object of type list",
        ),
        (_with("step", 9), "expected 0 to 6 steps, got 9"),
        (_with("step", -1), "expected 0 to 6 steps, got -1"),
        (_with("validation", 3), "expected 'validation' to be of type list, got 3"),
        (_with("optimizer", {"state": {}}), "are not those of this network and optimizer"),
        (_with("network", build(2).state_dict()), "are not those of this network and optimizer"),
        (_without("average"), "are not those of this network and optimizer"),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    config = replace(CONFIG, average=0.5)
    run(tmp_path, config, stop_after=2)
    state = stored(tmp_path)
    change(state)
    torch.save(state, tmp_path / "checkpoint.pt")
    refused(tmp_path, f"checkpoint.pt .*{words}.*; train into another folder", config=config)


def test_what_the_user_gave_is_named_first(tmp_path: Path) -> None:
    given = {"exclude": ["bear"], "root": "12 files, digest ab"}
    settings = {"batch": 2, "scenes": {"side": 64}}
    run(tmp_path, stop_after=2, settings={**settings, "given": given})
    other = {**settings, "batch": 3, "given": {**given, "exclude": ["boat"], "root": "9 files"}}
    refused(tmp_path, r"recipe \(`exclude` was \['bear'\], is \['boat'\]\)", settings=other)
    other = {**settings, "scenes": {"side": 80}, "given": given}
    refused(tmp_path, r"\(`side` of scenes was 64, is 80\)", settings=other)
    refused(tmp_path, r"`exclude` was \['bear'\], is unknown", settings=settings)
    fewer = replace(CONFIG, steps=1)
    refused(tmp_path, "`steps` was 6, is 1", config=fewer, settings={**settings, "given": given})
    run(tmp_path, settings={**settings, "given": given})


def test_a_checkpoint_that_did_not_record_what_was_given_goes_on_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, stop_after=2, settings={"batch": 2, "images": 6})
    given = {"exclude": ["bear"]}
    refused(tmp_path, "`batch` was 2, is 3", settings={"batch": 3, "given": given})
    with caplog.at_level(logging.WARNING):
        run(tmp_path, stop_after=2, settings={"batch": 2, "given": given})
    assert "did not record the data and all options" in caplog.text
    caplog.clear()
    run(tmp_path, settings={"batch": 2, "given": given})
    assert not caplog.text


@pytest.mark.parametrize("error", [OSError("no space left"), RuntimeError("no space left\nat")])
def test_a_checkpoint_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run(tmp_path, stop_after=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fail(state: object, file: BinaryIO) -> None:
        file.write(b"half of it")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail)
        with pytest.raises(OSError, match=r"checkpoint\.pt cannot be written \(no space left\)"):
            run(tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    names = {"checkpoint.pt", "curves.json", "log.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == names
    whole = run(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in run(tmp_path).items())


@pytest.mark.parametrize("name", ["log.jsonl", "curves.json"])
def test_a_log_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(content: object) -> str:
        if ("step" in content) == (name == "log.jsonl"):  # type: ignore[operator]
            raise OSError("no space left")
        return "{}"

    monkeypatch.setattr("vostrack.training.record.json.dumps", fail)
    with pytest.raises(OSError, match=rf"{name} cannot be written \(no space left\); make room"):
        run(tmp_path)


def test_what_is_no_line_of_the_log_is_dropped(tmp_path: Path) -> None:
    run(tmp_path, stop_after=2)
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n" + b"[" * 100_000 + b"\n7\n")
    run(tmp_path)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("every", "kept"), [(1, [1, 2, 3, 4, 5, 6]), (4, [4]), (5, [5])])
def test_what_is_kept_for_good_is_the_state_of_its_step(
    tmp_path: Path, every: int, kept: list[int]
) -> None:
    run(tmp_path / "kept", replace(CONFIG, keep_every=every, checkpoint_every=3))
    paths = sorted((tmp_path / "kept").glob("checkpoint-*.pt"))
    assert [path.name for path in paths] == [f"checkpoint-{step:06d}.pt" for step in kept]
    for step, path in zip(kept, paths, strict=True):
        state = torch.load(path, weights_only=True)
        assert state["step"] == step
        run(tmp_path / f"to{step}", stop_after=step)
        wanted = stored(tmp_path / f"to{step}")["network"]
        assert all(torch.equal(value, wanted[name]) for name, value in state["network"].items())


def test_a_checkpoint_of_another_command_is_refused(tmp_path: Path) -> None:
    given = {"exclude": ["bear"]}
    run(tmp_path, stop_after=2, settings={"command": "train siseg", "given": given})
    words = (
        "checkpoint.pt was written by vostrack train siseg, and this is vostrack train fcrn; "
        f"train into another folder, or delete all of {tmp_path} to start again"
    )
    refused(tmp_path, words, settings={"command": "train fcrn", "given": {"keep": 3}})
    run(tmp_path, settings={"command": "train siseg", "given": given})


def test_a_checkpoint_that_names_no_command_goes_on(tmp_path: Path) -> None:
    given = {"exclude": ["bear"]}
    run(tmp_path, stop_after=2, settings={"given": given})
    other = {"command": "train siseg", "given": {**given, "background_ids": []}}
    refused(tmp_path, r"recipe \(`background_ids` was unknown, is \[\]\)", settings=other)
    run(tmp_path, settings={"command": "train siseg", "given": given})
