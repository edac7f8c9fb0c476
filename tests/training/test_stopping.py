"""Trainings that are stopped: by Ctrl-C, by SIGTERM, by a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.training.loop import LoopConfig, train
from vostrack.training.stopping import StopRequest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


class Line:
    """Fits a line; ``at`` is called with each step."""

    def __init__(self, network: nn.Linear, at: object = None) -> None:
        self.network, self.at = network, at

    def parameter_groups(self) -> list[dict[str, object]]:
        return [{"params": self.network.parameters(), "lr": 0.1}]

    def draw(self, generator: Generator, step: int) -> Tensor:
        return torch.rand(4, 1, generator=generator)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        if callable(self.at):
            self.at()
        return {"square": (self.network(batch) - 2 * batch).square().mean()}


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(1, 1)


def pressed_at(call: int, times: int = 1) -> object:
    """Return what presses Ctrl-C in the n-th step."""
    calls: list[int] = []

    def press() -> None:
        calls.append(1)
        if len(calls) == call:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return press


@pytest.fixture(autouse=True)
def default_interrupt() -> object:
    """A parent may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_step_under_way_is_finished_and_kept(tmp_path: Path) -> None:
    config = LoopConfig(9, average=0.5)
    whole, cut = network(), network()
    assert train(whole, Line(whole), config, tmp_path / "whole") == 9
    with pytest.raises(KeyboardInterrupt, match=r"stopped after step 4 of 9, with a checkpoint"):
        train(cut, Line(cut, pressed_at(4)), config, tmp_path / "cut")
    assert len((tmp_path / "cut" / "log.jsonl").read_text().splitlines()) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = network()
    assert train(again, Line(again), config, tmp_path / "cut") == 9
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    cut = network()
    with pytest.raises(KeyboardInterrupt) as stop:
        train(cut, Line(cut, pressed_at(4, times=2)), LoopConfig(9), tmp_path / "cut")
    assert not str(stop.value)
    assert not (tmp_path / "cut" / "checkpoint.pt").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_complete_was_not_stopped(tmp_path: Path) -> None:
    cut = network()
    assert train(cut, Line(cut, pressed_at(3)), LoopConfig(3), tmp_path / "cut") == 3


def test_signals_that_are_ignored_stay_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest(enabled=True) as request:
        signal.raise_signal(signal.SIGINT)
    assert request.asked is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_take_no_signals() -> None:
    found = []

    def enter() -> None:
        with StopRequest(enabled=True):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


TERMINATED = """
import os, signal, sys
from vostrack.cli import main
from vostrack.training import record
add, calls = record.Record.add, []
def third(self, *values):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    add(self, *values)
record.Record.add = third
sys.exit(main())
"""


def test_a_scheduler_loses_no_step(tmp_path: Path) -> None:
    command = ["train", "spn", "--synthetic", "2", "--steps", "5", "--batch", "1", "--side", "64"]
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, *command, "--output", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 143, done.stderr
    assert "stopped after step 3 of 5" in done.stderr
    assert (tmp_path / "runs" / "checkpoint.pt").is_file()
    assert not list((tmp_path / "runs").glob("*.lock"))


def test_a_full_disk_promises_no_checkpoint_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    line = network()
    train(line, Line(line), LoopConfig(9), tmp_path / "begun", stop_after=2)
    monkeypatch.setattr(torch, "save", full)
    for folder, again in (("begun", "go on from the checkpoint before"), ("new", "begin anew")):
        with pytest.raises(OSError, match=rf"No space left .* the same command to {again}$"):
            train(network(), Line(network()), LoopConfig(9), tmp_path / folder, stop_after=2)
