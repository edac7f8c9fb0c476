"""Regions are compared with the given masks: an object matches itself best, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import WindowConfig

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=192 * 192),
    finetune=TargetFinetuneConfig(steps=0),
    precision="fp32",
)
PLACES = {1: (20, 20), 2: (90, 70)}


@pytest.fixture(scope="module")
def shipped() -> TargetNet:
    return load_target_net(None)


def scene(places: dict[int, tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """A striped square and a spotted one on noise: image (3, 128, 160) and labels (128, 160)."""
    image = np.random.default_rng(0).uniform(0.3, 0.5, (128, 160, 3)).astype(np.float32)
    labels = np.zeros((128, 160), np.int64)
    y, x = np.mgrid[:40, :40]
    looks = {1: (x // 5 % 2, (1.0, 0.1, 0.1)), 2: (y // 8 % 2 * (x // 8 % 2), (0.1, 0.2, 1.0))}
    for number, (left, top) in places.items():
        pattern, colour = looks[number]
        image[top : top + 40, left : left + 40] = (0.3 + 0.7 * pattern[..., None]) * colour
        labels[top : top + 40, left : left + 40] = number
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(labels)


def test_an_object_matches_itself_best_also_elsewhere(shipped: TargetNet) -> None:
    image, labels = scene(PLACES)
    adapter = TargetModelAdapter(shipped, CONFIG)
    adapter.start(image, labels)
    moved, now = scene({1: (100, 10), 2: (30, 75)})
    regions = torch.stack([now == 1, now == 2, (now == 0)])
    assert adapter.likeness(regions) is None
    adapter.look_everywhere()
    adapter.scores(moved)
    told = adapter.likeness(regions)
    assert told is not None
    assert told.shape == (2, 3, 2)
    match, classes = told
    assert match[0, 0] > max(match[0, 1], match[1, 0], match[2, 0])
    assert match[1, 1] > max(match[0, 1], match[1, 0], match[2, 1])
    assert classes.argmax(0).tolist() == [0, 1]
    adapter.commit(torch.stack([now == 1, now == 2]).float(), now.byte())
    assert adapter.likeness(regions) is None


def test_what_lies_outside_the_window_is_unknown_unless_all_is_looked_at(
    shipped: TargetNet,
) -> None:
    close = WindowConfig(pixels=64 * 64, margin=0, smallest=32, grow=1.0)
    image, labels = scene({1: (0, 0)})
    adapter = TargetModelAdapter(
        shipped,
        TargetModelConfig(
            window=close, finetune=TargetFinetuneConfig(steps=0), precision="fp32", search_every=50
        ),
    )
    adapter.start(image, labels)
    corner = torch.zeros(1, 128, 160)
    corner[:, 100:, 130:] = 1
    adapter.scores(image)
    near = adapter.likeness(corner)
    assert near is not None
    assert near.isnan().all()
    adapter.look_everywhere()
    adapter.scores(image)
    everywhere = adapter.likeness(corner)
    assert everywhere is not None
    assert everywhere.isfinite().all()
    adapter.scores(image)
    again = adapter.likeness(corner)
    assert again is not None
    assert again.isnan().all()
