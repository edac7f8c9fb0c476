"""Mean weights, accumulated gradients, validation and a budget of hours in the training loop."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.errors import InputError
from vostrack.training.averaging import WeightAverage
from vostrack.training.loop import LoopConfig, train
from vostrack.training.validation import Validation

CONFIG = LoopConfig(
    steps=6, checkpoint_every=2, precision="fp32", average=0.5, accumulate=2, keep_every=3
)


@dataclass
class Fit:
    """Least squares on 4 samples."""

    network: nn.Module

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.network.parameters(), "lr": 0.05}]

    def draw(self, generator: Generator, step: int) -> Tensor:
        return torch.randn(4, 3, generator=generator)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"fit": (self.network(batch)[:, 0] - batch.sum(1)).square().mean()}


def build(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def weights(network: nn.Module) -> list[float]:
    return [float(x) for p in network.parameters() for x in p.detach().flatten()]


def validation(kept: list[list[float]], every: int = 2) -> Validation:
    # A figure that rises and falls again.
    def judge(network: nn.Module) -> dict[str, float]:
        assert not network.training
        return {"figure": -abs(weights(network)[0] - 0.2)}

    return Validation(every, judge, lambda network: kept.append(weights(network)), "figure")


def test_the_mean_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    mean = WeightAverage(network, 0.15)
    expected = 0.0
    for step, value in enumerate((1.0, 3.0, -2.0)):
        network.weight.data.fill_(value)
        mean.update(network, step)
        decay = min(0.15, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with mean.applied(network):
        assert network.weight.item() == pytest.approx(expected)
    assert network.weight.item() == -2.0


def test_it_resumes_bit_for_bit_with_mean_weights_and_the_best(tmp_path: Path) -> None:
    whole, kept_whole = build(), list[list[float]]()
    train(whole, Fit(whole), CONFIG, tmp_path / "whole", validation=validation(kept_whole))
    kept: list[list[float]] = []
    for seed, limit, expected in ((0, 3, 3), (1, 2, 5), (2, 2, 6)):
        parts = build(seed)
        done = train(
            parts,
            Fit(parts),
            CONFIG,
            tmp_path / "parts",
            stop_after=limit,
            validation=validation(kept),
        )
        assert done == expected
    assert weights(whole) == weights(parts)
    assert kept == kept_whole
    curves = [json.loads((tmp_path / f / "curves.json").read_text()) for f in ("whole", "parts")]
    assert curves[0]["validation"] == curves[1]["validation"]
    assert [entry["step"] for entry in curves[0]["validation"]] == [2, 4, 6]
    assert curves[0]["training"]["fit"] == curves[1]["training"]["fit"]
    assert len(curves[0]["training"]["loss"]) == 6
    names = sorted(path.name for path in (tmp_path / "whole").glob("checkpoint*"))
    assert names == ["checkpoint-000003.pt", "checkpoint-000006.pt", "checkpoint.pt"]


def test_the_network_has_the_mean_weights_in_the_end(tmp_path: Path) -> None:
    mean, newest = build(), build()
    train(mean, Fit(mean), CONFIG, tmp_path / "mean")
    train(newest, Fit(newest), replace(CONFIG, average=None), tmp_path / "newest")
    assert weights(mean) != weights(newest)
    state = torch.load(tmp_path / "mean" / "checkpoint.pt", weights_only=True)
    assert torch.equal(state["average"]["weight"], mean.state_dict()["weight"])
    assert torch.equal(state["network"]["weight"], newest.state_dict()["weight"])


def test_the_best_is_kept_and_no_later_one(tmp_path: Path) -> None:
    network, kept = build(), list[list[float]]()
    train(
        network, Fit(network), replace(CONFIG, steps=40), tmp_path, validation=validation(kept, 1)
    )
    entries = json.loads((tmp_path / "curves.json").read_text())["validation"]
    figures = [entry["figure"] for entry in entries]
    best = max(figures)
    assert 0 < figures.index(best) < len(figures) - 1
    assert -abs(kept[-1][0] - 0.2) == best
    rises = sum(f > max(figures[:i], default=-math.inf) for i, f in enumerate(figures))
    assert len(kept) == rises


def test_batches_of_a_step_are_one_large_batch(tmp_path: Path) -> None:
    fixed = torch.randn(8, 3, generator=Generator().manual_seed(4))

    @dataclass
    class Whole(Fit):
        def draw(self, generator: Generator, step: int) -> Tensor:
            return fixed

    @dataclass
    class Halves(Fit):
        calls: int = 0

        def draw(self, generator: Generator, step: int) -> Tensor:
            self.calls += 1
            return fixed[:4] if self.calls % 2 else fixed[4:]

    one, two = build(), build()
    config = LoopConfig(steps=5, precision="fp32")
    train(one, Whole(one), config, tmp_path / "one")
    train(two, Halves(two), replace(config, accumulate=2), tmp_path / "two")
    assert weights(two) == pytest.approx(weights(one), rel=1e-5)


@pytest.mark.parametrize("ahead", [1, 3])
def test_drawing_ahead_does_not_change_the_order(tmp_path: Path, ahead: int) -> None:
    now, before = build(), build()
    train(now, Fit(now), CONFIG, tmp_path / "now")
    train(before, Fit(before), replace(CONFIG, ahead=ahead), tmp_path / "before")
    assert weights(now) == weights(before)


def test_a_budget_of_hours_stops_with_a_checkpoint(tmp_path: Path) -> None:
    whole, parts = build(), build()
    train(whole, Fit(whole), CONFIG, tmp_path / "whole")
    assert train(parts, Fit(parts), CONFIG, tmp_path / "parts", hours=1e-9) == 1
    assert train(parts, Fit(parts), CONFIG, tmp_path / "parts", hours=1.0) == 6
    assert weights(whole) == weights(parts)
    with pytest.raises(InputError, match="hours"):
        train(parts, Fit(parts), CONFIG, tmp_path / "parts", hours=0)


def test_a_judge_without_its_figure_is_an_error(tmp_path: Path) -> None:
    network = build()
    wrong = Validation(2, lambda _: {"other": 1.0}, lambda _: None, "figure")
    with pytest.raises(InputError, match="'figure'"):
        train(network, Fit(network), CONFIG, tmp_path, validation=wrong)
    with pytest.raises(InputError, match="at least 1 step"):
        replace(wrong, every=0)
