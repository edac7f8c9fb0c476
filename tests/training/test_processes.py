"""The training loop in two processes, as torchrun starts them, on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vostrack.errors import InputError
from vostrack.training.processes import is_first_process, training_device

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from torch import nn
from vostrack.errors import InputError
from vostrack.training.loop import LoopConfig, step_generator, train

folder = Path(sys.argv[1])
rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
plain = LoopConfig(1, "sgd", 0.0, 0.0, "poly", 0, clip_norm=None, precision="fp32")


class Fit:
    poison = False

    def __init__(self, network):
        self.network = network

    def parameter_groups(self):
        return [{"params": self.network.parameters(), "lr": 1.0 if poison_free else 0.01}]

    def draw(self, generator, step):
        if count == 2:
            x = torch.randn(5, 4, generator=generator)
        else:  # the same pictures, in one process
            generators = (step_generator(plain.seed, step, r) for r in (0, 1))
            x = torch.cat([torch.randn(5, 4, generator=g) for g in generators])
        if self.poison and rank == 1:
            x[0] = float("nan")
        return x

    def losses(self, x):
        return {"fit": (self.network(x) - x.sin()).square().mean()}


def build(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4))
    network.spare = nn.Parameter(torch.ones(1))  # no batch needs it
    return network


poison_free = True
# Another start in each process: that of the first counts.
network = build(rank)
train(network, Fit(network), plain, folder / "one")
state = torch.cat([p.detach().flatten() for p in network.parameters()])
torch.save(state, folder / f"gradient{rank}.pt")
report = {}
if count == 2:
    poison_free = False
    longer = LoopConfig(4, checkpoint_every=2, precision="fp32")
    whole, seen = build(0), []
    train(whole, Fit(whole), longer, folder / "whole")
    for seed in (0, 1):
        parts = build(seed)  # the second time, the checkpoint decides
        train(parts, Fit(parts), longer, folder / "parts", stop_after=2,
              on_step=lambda step, loss: seen.append(step))
    pairs = zip(whole.parameters(), parts.parameters())
    report = {"resumed": all(torch.equal(a, b) for a, b in pairs), "seen": seen}
    Fit.poison = True
    try:
        train(whole, Fit(whole), longer, folder / "poisoned")
    except InputError as error:
        report["error"] = str(error)
(folder / f"report{rank}.json").write_text(json.dumps(report))
"""


def _run(folder: Path, *launcher: str) -> None:
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, *launcher, str(script), str(folder)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=280)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun then ends its own processes, which kill() would orphan
        _, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    _run(tmp_path / "two", *launcher)
    _run(tmp_path / "alone")
    states = [torch.load(tmp_path / "two" / f"gradient{r}.pt") for r in (0, 1)]
    assert torch.equal(*states)
    # One step of plain gradient descent at rate 1: equal weights are equal gradients.
    expected = torch.load(tmp_path / "alone" / "gradient0.pt")
    torch.testing.assert_close(states[0], expected, rtol=1e-5, atol=1e-6)
    logs = [json.loads((tmp_path / n / "one" / "log.jsonl").read_text()) for n in ("two", "alone")]
    assert logs[0]["fit"] == pytest.approx(logs[1]["fit"], rel=1e-4)
    assert logs[0]["gradient"] == pytest.approx(logs[1]["gradient"], rel=1e-4)
    first, second = (json.loads((tmp_path / "two" / f"report{r}.json").read_text()) for r in (0, 1))
    assert first["resumed"]
    assert second["resumed"]
    assert (first["seen"], second["seen"]) == ([1, 2, 3, 4], [])
    # A bad picture of one process stops both, in the same step.
    assert first["error"] == second["error"]
    assert "fit is nan at step 1" in first["error"]
    lines = (tmp_path / "two" / "parts" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_the_first_process_is_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert training_device("auto") == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert training_device("auto") == torch.device("cuda:1")
    assert training_device("cuda") == torch.device("cuda:1")
    assert training_device("cuda:0") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="cuda:2"):
        training_device("auto")
