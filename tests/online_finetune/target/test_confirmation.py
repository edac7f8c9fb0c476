"""An object is in sight, is learned and is found again only where trusted memories confirm it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_target_net
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.confirmation import confirmed_presence
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_steps import (
    begin_objects,
    find_objects,
    learn_objects,
)
from vostrack.online_finetune.target.window import WindowConfig

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=128 * 128),
    finetune=TargetFinetuneConfig(steps=0),
    precision="fp32",
    remember_every=2,
)


@pytest.fixture(scope="module")
def shipped() -> TargetNet:
    return load_target_net(None)


RED, WHITE = (1.0, 0.1, 0.1), (1.0, 1.0, 1.0)


def scene(*corners: tuple[int, int], colour: Sequence[float] = RED) -> tuple[Tensor, Tensor]:
    """A striped square at each corner (x, y) on gray noise: image (3, 96, 128) and mask."""
    image = np.random.default_rng(0).uniform(0.3, 0.5, (96, 128, 3)).astype(np.float32)
    mask = np.zeros((96, 128), np.int64)
    stripes = (0.3 + 0.7 * (np.arange(32) // 5 % 2))[:, None] * np.array(colour)
    for x, y in corners:
        image[y : y + 32, x : x + 32] = stripes
        mask[y : y + 32, x : x + 32] = 1
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)


def commit(adapter: TargetModelAdapter, mask: Tensor) -> None:
    adapter.commit(mask[None].float(), mask.byte())


def test_a_place_without_the_object_is_not_learned(shipped: TargetNet) -> None:
    adapter = TargetModelAdapter(shipped, CONFIG)
    adapter.start(*scene((16, 16)))
    empty = scene()[0]
    wrong = scene((20, 20))[1]  # what the tracker goes on with, though the object has gone
    for _ in range(8):
        adapter.scores(empty)
        presence = adapter.presence()
        assert presence is not None
        assert presence < 0.5
        commit(adapter, wrong)
    state = adapter.running_state()["cohorts"][0]
    assert not state["kept"]
    there, mask = scene((40, 24))
    scores = adapter.scores(there)[0]
    presence = adapter.presence()
    assert presence is not None
    assert presence > 0.5
    overlap = ((scores[0] > 0.5) & (mask == 1)).sum() / ((scores[0] > 0.5) | (mask == 1)).sum()
    assert overlap > 0.8


def test_a_lost_object_is_not_found_where_it_is_not(shipped: TargetNet) -> None:
    adapter = TargetModelAdapter(shipped, CONFIG)
    adapter.start(*scene((16, 16)))
    adapter.forget_places()
    assert adapter.scores(scene()[0])[0].max() == 0
    adapter.commit(torch.zeros(1, 96, 128), torch.zeros(96, 128, dtype=torch.uint8))
    assert (adapter.scores(scene((90, 50))[0])[0] > 0.5).sum() > 500


@torch.inference_mode()
def test_a_tracker_that_learned_a_wrong_place_is_not_believed(shipped: TargetNet) -> None:
    config = replace(CONFIG, remember_every=0)
    image, mask = scene((16, 16))
    now = begin_objects(shipped, image, mask[None].float(), config)
    other, wrong = scene((20, 20), colour=WHITE)
    told = []
    for _ in range(3):
        finding = find_objects(shipped, other, now, config)
        now = learn_objects(shipped, finding, (wrong[None].float(), wrong.byte()), now, config)
        told.append(confirmed_presence(shipped, finding, now, config))
    torch.testing.assert_close(told[1], told[2])
    assert told[2] < finding.segmentation.presence - 2


@torch.inference_mode()
def test_the_answer_is_that_of_a_lost_object(shipped: TargetNet) -> None:
    adapter = TargetModelAdapter(shipped, replace(CONFIG, imagined=0))
    adapter.start(*scene((16, 16)))
    adapter.forget_places()
    adapter.scores(scene((40, 24))[0])
    assert adapter._pending is not None
    assert adapter._now is not None
    whole = adapter._pending.segmentation.presence
    torch.testing.assert_close(
        confirmed_presence(shipped, adapter._pending, adapter._now, CONFIG), whole
    )


@torch.inference_mode()
def test_memories_are_read_once_for_both_answers(
    shipped: TargetNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, mask = scene((16, 16))
    now = begin_objects(shipped, image, mask[None].float(), CONFIG)
    finding = find_objects(shipped, scene((20, 18))[0], now, CONFIG)
    shared = confirmed_presence(shipped, finding, now, CONFIG)
    ask = TargetNet.presence
    monkeypatch.setattr(TargetNet, "presence", lambda *given: ask(*given[:-1]))  # reads again
    assert shared.equal(confirmed_presence(shipped, finding, now, CONFIG))
    monkeypatch.undo()
    monkeypatch.setattr(shipped.first_reader, "forward", pytest.fail)
    assert shared.equal(confirmed_presence(shipped, finding, now, CONFIG))
