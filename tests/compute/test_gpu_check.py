"""The check of a GPU, run without one; and the emulation of bfloat16 units against torch's own."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import benchmarks as a script of their folder would."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def gpu_check(benchmarks: None) -> ModuleType:
    return importlib.import_module("gpu_check")


@pytest.mark.slow
def test_every_part_runs_and_is_in_the_record(
    gpu_check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "check.json"
    arguments = ["gpu_check.py", "--device", "cpu", "--quick", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert gpu_check.main() == 0
    record = json.loads(file.read_text())
    assert record["failed"] == []
    assert record["fast"]["same_as_cpu"] == 1.0
    assert record["fast"]["bf16_as_fp32"] > 0.9
    assert record["fast"]["2_objects"]["frame_s"] > 0
    for name in ("target training", "foreground training", "spn training"):
        assert len(record[name]["losses"]) == 3, name
    (kernel,) = (v for v in record["propagation"].values() if isinstance(v, dict))
    assert {"forward", "backward"} <= set(kernel)


def test_a_part_that_fails_is_said(
    gpu_check: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no kernel image is available\nfor execution")

    monkeypatch.setattr(gpu_check, "parts", lambda *_, **__: {"fast": broken, "best": dict})
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--device", "cpu", "--quick"])
    assert gpu_check.main() == 1
    record = json.loads(capsys.readouterr().out)
    assert record["failed"] == ["fast"]
    assert record["fast"]["failed"] == "RuntimeError: no kernel image is available"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_refuses(
    gpu_check: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (([], "torch sees no CUDA device"), (["--device", "cpu"], "--quick")):
        monkeypatch.setattr(sys, "argv", ["gpu_check.py", *arguments])
        assert gpu_check.main() == 2
        assert words in capsys.readouterr().err


def results(network: nn.Module, x: Tensor) -> list[Tensor]:
    """Values and gradients under autocast of what is lowered, and of what is not."""
    network.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = network(x)
        z = y @ torch.linspace(-1, 1, 15).view(5, 3)
        a = torch.bmm(z[None], z.mT[None]) + torch.nn.functional.softmax(y, 1).sum()
    torch.autograd.backward(a.float().square().sum())
    return [y, z, a, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


def test_emulated_bfloat16_is_that_of_torch(benchmarks: None) -> None:
    emulated = importlib.import_module("emulated_bf16")
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(8 * 4 * 4, 5))
    x = torch.randn(2, 3, 6, 6)
    expected = results(network, x)
    with emulated.EmulatedBf16():
        actual = results(network, x)
    assert [t.dtype for t in actual] == [t.dtype for t in expected]
    for one, other in zip(actual, expected, strict=True):
        # Sums in another order are rounded to a neighbour here and there; gradients several times.
        assert (one.float() - other.float()).norm() <= 2**-6 * other.float().norm()
    assert torch.equal(actual[0], expected[0])
    plain = network(x)
    with emulated.EmulatedBf16():
        assert torch.equal(network(x), plain)  # nothing happens outside autocast
    assert not torch.equal(plain, expected[0].float())
