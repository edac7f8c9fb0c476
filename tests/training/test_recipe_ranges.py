"""What the settings of each training refuse, where they are made in code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.errors import InputError
from vostrack.online_finetune.target.recipe import TargetRecipe
from vostrack.online_finetune.target.video_clips import VideoClipConfig
from vostrack.proposers.detection_crf.recipe import DetectionCrfRecipe
from vostrack.proposers.displacement.recipe import SisegRecipe
from vostrack.proposers.displacement.scenes import SceneConfig
from vostrack.training.foreground import ForegroundRecipe
from vostrack.training.loop import LoopConfig, train

INFINITE = float("inf")
REFUSED: list[tuple[Callable[..., Any], dict[str, tuple[Any, ...]]]] = [
    (
        ForegroundRecipe,
        {
            "batch": (0,),
            "side": (31,),
            "on_object": (-0.1, 1.1),
            "learning_rate": (-1, INFINITE),
            "head_learning_rate": (0, INFINITE),
        },
    ),
    (
        TargetRecipe,
        {
            "batch": (0,),
            "learning_rate": (0, INFINITE),
            "scalar_share": (-1, INFINITE),
            "rivals_weight": (-1, INFINITE),
            "classifier_weight": (-1, INFINITE),
            "presence_weight": (-1, INFINITE),
            "confirmed_weight": (-1, INFINITE),
            "truth_share": (-1, 2),
            "recent_share": (-1, 2),
            "pixels": ((1023,), (4096, 64), ()),
        },
    ),
    (
        VideoClipConfig,
        {
            "objects": (0,),
            "lost": (2,),
            "resumed": (2,),
            "paste": (2,),
            "twin": (2,),
            "follow_pasted": (2,),
            "absent": (2,),
            "rotation": (-1,),
            "zoom": (-1,),
            "growth": (-1,),
        },
    ),
    (SceneConfig, {"side": (0, 40), "pieces": (-1,), "flip": (2,), "outline": (2,), "merge": (2,)}),
    (SisegRecipe, {"batch": (0,), "learning_rate": (0, INFINITE), "centre": (-1, INFINITE)}),
    (
        DetectionCrfRecipe,
        {
            "learning_rate": (-1, INFINITE),
            "potential_learning_rate": (-1, INFINITE),
            "class_weight": (-1, INFINITE),
            "instance_weight": (-1, INFINITE),
            "jitter": (-1, INFINITE),
            "min_score": (2,),
            "max_overlap": (2,),
        },
    ),
]
CASES = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{value}")
    for kind, names in REFUSED
    for name, values in names.items()
    for value in values
]


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_a_number_out_of_range_is_named(kind: Callable[..., Any], name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("seed", -1), ("warmup", -1), ("weight_decay", -1), ("checkpoint_every", 0)],
)
def test_a_number_of_the_loop_out_of_range_is_named(name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected"):
        replace(LoopConfig(1), **{name: value})  # type: ignore[arg-type]  # its fields


class Line:
    """A number that is to be 0, in two groups."""

    def __init__(self, *rates: float) -> None:
        self.network = nn.ParameterList(torch.ones(1) for _ in rates)
        self.rates = rates

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [p], "lr": r} for p, r in zip(self.network, self.rates, strict=True)]

    def draw(self, generator: Generator, step: int) -> Tensor:
        return torch.ones(1)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        return {"size": torch.stack([p.square().sum() for p in self.network]).sum()}


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.1, -0.1), (0.1, INFINITE), (float("nan"), 0.1)])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_loop_refuses_rates_that_teach_nothing(
    rates: tuple[float, ...], optimizer: Any, tmp_path: Path
) -> None:
    line = Line(*rates)
    with pytest.raises(InputError, match=r"^learning rate: expected finite numbers"):
        train(line.network, line, LoopConfig(1, optimizer=optimizer), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_part_may_stand_still(tmp_path: Path) -> None:
    line = Line(0.1, 0.0)
    train(line.network, line, LoopConfig(1, weight_decay=0), tmp_path)
    assert [p.item() for p in line.network] == [pytest.approx(0.9), 1]
