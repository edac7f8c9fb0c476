"""The training loop in one process, on networks of a few numbers."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.errors import InputError
from vostrack.training.loop import LoopConfig, step_generator, train

CONFIG = LoopConfig(steps=6, warmup=2, weight_decay=0.1, checkpoint_every=2, precision="fp32")


@dataclass
class Regression:
    """Two losses; dropout, so that the random state of a step counts."""

    network: nn.Module
    rate: float = 0.05
    poison: tuple[str, int] = ("", -1)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.network.parameters(), "lr": self.rate}]

    def draw(self, generator: Generator, step: int) -> dict[str, Any]:
        x = torch.randn(4, 3, generator=generator)
        if self.poison == ("loss", step):
            x[0, 0] = math.nan
        return {"x": x, "nested": [(x.sum(1, keepdim=True),), "words"], "step": step}

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        y = self.network(batch["x"])
        ((target,), _) = batch["nested"]
        size = torch.stack([p.square().sum() for p in self.network.parameters()]).sum()
        if self.poison == ("gradient", batch["step"]):
            size = (size * 0).sqrt()  # 0, with an infinite slope
        return {"fit": (y - target).square().mean(), "size": 0.01 * size}


def build(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))


def run(folder: Path, config: LoopConfig = CONFIG, **options: Any) -> nn.Module:
    network = build()
    train(network, Regression(network), config, folder, **options)
    return network


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, optimizer: Any
) -> None:
    config = replace(CONFIG, optimizer=optimizer)
    whole = run(tmp_path / "whole", config)
    for seed, limit, expected in ((0, 3, 3), (1, 2, 5), (2, 2, 6), (3, 2, 6)):
        network = build(seed)  # after the first, the checkpoint decides
        done = train(network, Regression(network), config, tmp_path / "parts", stop_after=limit)
        assert done == expected
    assert same(whole, network)
    assert not same(whole, build())
    assert not network.training
    untimed = [[{**line, "seconds": 0} for line in log(tmp_path / n)] for n in ("whole", "parts")]
    assert untimed[0] == untimed[1]


def test_the_log_forgets_what_an_interrupted_run_did_after_its_checkpoint(tmp_path: Path) -> None:
    def interrupt(step: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_step=interrupt)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # cut off in the middle
    assert len(log_lines := (tmp_path / "log.jsonl").read_text().splitlines()) == 6, log_lines
    seen: list[int] = []
    run(tmp_path, on_step=lambda step, loss: seen.append(step))
    assert seen == [5, 6]
    lines = log(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    for line in lines:
        assert line["loss"] == pytest.approx(line["fit"] + line["size"], rel=1e-4)


def test_batches_drawn_ahead_are_the_same_batches(tmp_path: Path) -> None:
    assert same(
        run(tmp_path / "a"), run(tmp_path / "b", replace(CONFIG, ahead=3, checkpoint_every=5))
    )
    drawn: list[int] = []

    class Counting(Regression):
        def draw(self, generator: Generator, step: int) -> dict[str, Any]:
            drawn.append(step)
            return super().draw(generator, step)

    network = build()
    train(network, Counting(network), replace(CONFIG, ahead=9), tmp_path / "c", stop_after=2)
    assert sorted(drawn) == [0, 1]


def test_seed_step_and_process_each_change_the_draw() -> None:
    def draw(*numbers: int) -> Tensor:
        return torch.rand(4, generator=step_generator(*numbers))

    assert torch.equal(draw(1, 2, 3), draw(1, 2, 3))
    draws = [draw(s, k, r) for s in (0, 1) for k in (0, 1) for r in (0, 1)]
    assert len({tuple(d.tolist()) for d in draws}) == 8


def test_the_callers_random_state_is_left_alone(tmp_path: Path) -> None:
    network = build()
    before = torch.get_rng_state()
    train(network, Regression(network), CONFIG, tmp_path)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "`seed` was 0, is 1"), ({"steps": 7}, "`steps` was 6, is 7")],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    run(tmp_path, stop_after=2, settings={"crop": 32})
    with pytest.raises(InputError, match=f"another recipe .*{named}"):
        run(tmp_path, replace(CONFIG, **change), settings={"crop": 32})
    with pytest.raises(InputError, match="`crop` was 32, is 48"):
        run(tmp_path, settings={"crop": 48})
    # What does not change the result may change.
    run(tmp_path, replace(CONFIG, ahead=1, checkpoint_every=1), settings={"crop": 32})


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_training_and_keeps_the_checkpoint(
    tmp_path: Path, kind: str
) -> None:
    network = build()
    with pytest.raises(InputError, match=f"{'fit' if kind == 'loss' else kind} is .* at step 4"):
        train(network, Regression(network, poison=(kind, 3)), CONFIG, tmp_path)
    assert all(p.isfinite().all() for p in network.parameters())
    assert len(log(tmp_path)) == 3
    assert same(run(tmp_path), run(tmp_path / "whole"))


def test_rates_are_those_of_torch_schedulers() -> None:
    steps = 10

    def follow(scheduler: Any, **options: Any) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = scheduler(optimizer, **options)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    def ours(**options: Any) -> list[float]:
        config = LoopConfig(steps, **options)
        return [config.rate_factor(k) for k in range(steps)]

    schedulers = torch.optim.lr_scheduler
    assert ours() == pytest.approx(follow(schedulers.CosineAnnealingLR, T_max=steps))
    poly = follow(schedulers.PolynomialLR, total_iters=steps, power=0.5)
    assert ours(schedule="poly", power=0.5) == pytest.approx(poly)
    assert ours(schedule="poly", power=0) == [1.0] * steps
    assert ours(schedule="poly", power=0, warmup=4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_one_step_of_sgd_is_the_clipped_gradient_at_each_groups_own_rate(tmp_path: Path) -> None:
    class TwoGroups(Regression):
        def parameter_groups(self) -> list[dict[str, Any]]:
            first, *_, last = self.network.children()
            return [{"params": first.parameters(), "lr": 0.5}, {"params": [last.weight], "lr": 2.0}]

    start = build()
    config = LoopConfig(
        1,
        "sgd",
        momentum=0,
        weight_decay=0,
        schedule="poly",
        power=0,
        clip_norm=None,
        seed=3,
        precision="fp32",
    )

    def steps(clip: float | None) -> list[Tensor]:
        network = build()
        folder = tmp_path / str(clip)
        train(network, TwoGroups(network), replace(config, clip_norm=clip), folder)
        pairs = zip(network.parameters(), start.parameters(), strict=True)
        moved = [(b - a).detach() for a, b in pairs]
        assert torch.equal(moved[3], torch.zeros(1))  # in no group
        return [moved[0] / 0.5, moved[1] / 0.5, moved[2] / 2.0]

    gradient = steps(None)
    norm = math.sqrt(sum(float(g.square().sum()) for g in gradient))
    assert log(tmp_path / "None")[0]["gradient"] == pytest.approx(norm, rel=1e-4)
    assert norm > 0.1
    for clipped, whole in zip(steps(norm / 4), gradient, strict=True):
        torch.testing.assert_close(clipped, whole / 4, rtol=1e-3, atol=1e-6)
    for clipped, whole in zip(steps(norm * 4), gradient, strict=True):
        torch.testing.assert_close(clipped, whole)


def test_bfloat16_is_what_the_network_computes_in(tmp_path: Path) -> None:
    seen: list[torch.dtype] = []
    network = build()
    network.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    for precision in ("bf16", "fp32"):
        config = replace(CONFIG, precision=precision, steps=1)
        train(network, Regression(network), config, tmp_path / precision)
    assert seen == [torch.bfloat16, torch.float32]
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_tensorboard_has_the_numbers_of_the_log(tmp_path: Path) -> None:
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    config = replace(CONFIG, tensorboard=True)

    def interrupt(step: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    # What came after the checkpoint is in the first file of events, and has to go.
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, on_step=interrupt)
    run(tmp_path, config)
    curves = accumulators.EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    for name in ("loss", "fit", "rate", "gradient"):
        events = curves.Scalars(name)
        assert [e.step for e in events] == [1, 2, 3, 4, 5, 6]
        assert [e.value for e in events] == pytest.approx([x[name] for x in log(tmp_path)], 1e-4)


def test_tensorboard_that_is_absent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'vostrack\[train\]'"):
        run(tmp_path, replace(CONFIG, tensorboard=True))
    run(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam"}, "optimizer: expected adamw or sgd, got 'adam'"),
        ({"schedule": "step"}, "schedule: expected cosine or poly"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"seed": -1}, "seed"),
        ({"ahead": -1}, "ahead"),
        ({"power": float("inf")}, "power: expected a finite number"),
        ({"momentum": -0.1}, "momentum: expected at least 0"),
        ({"weight_decay": -1e-4}, "weight_decay: expected at least 0"),
        ({"weight_decay": float("inf")}, "weight_decay: expected a finite number"),
        ({"clip_norm": 0.0}, "clip_norm: expected over 0, or None"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **change)


def test_it_goes_on_where_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run(Path("out"), on_step=lambda *_: monkeypatch.chdir(tmp_path / "elsewhere"))
    assert not list((tmp_path / "elsewhere").iterdir())
    assert len(log(tmp_path / "out")) == CONFIG.steps
