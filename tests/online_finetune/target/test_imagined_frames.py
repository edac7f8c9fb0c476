"""Frames in which objects are imagined elsewhere, to search them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.imagined_frames import Origin, free_places
from vostrack.online_finetune.target.window import WindowConfig

WINDOW = WindowConfig(pixels=128 * 128, magnify=1.0)
CONFIG = TargetModelConfig(
    window=WINDOW, finetune=TargetFinetuneConfig(steps=0), precision="fp32", imagined=2
)


def frame() -> tuple[Tensor, Tensor]:
    """Two plain squares on noise: image (3, 96, 128), masks (2, 96, 128)."""
    image = np.random.default_rng(0).uniform(0.3, 0.5, (96, 128, 3)).astype(np.float32)
    masks = np.zeros((2, 96, 128), np.float32)
    for number, (x, y) in enumerate([(0, 0), (64, 32)]):
        image[y : y + 32, x : x + 32] = (1 - number, 0.1, number)
        masks[number, y : y + 32, x : x + 32] = 1
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(masks)


def test_objects_move_to_where_nothing_was_the_farthest_first() -> None:
    taken = np.zeros((60, 60), bool)
    taken[:20, :20] = True
    assert free_places(taken, [(0, 0, 20, 20)]) == [(40.0, 40.0)]
    taken[:, 30:] = True
    (x, y), (a, b) = free_places(taken, [(0, 0, 20, 20), (40, 0, 60, 20)])
    assert (x, y) == (7.0, 40.0)
    assert (40 + a, b) == (0.0, 20.0)  # below the first of the two is no room


def test_every_memory_shows_the_objects_elsewhere_and_is_made_once(
    target_network: TargetNet,
) -> None:
    image, masks = frame()
    begun = Origin.of(image, masks, WINDOW)
    with torch.inference_mode():
        origin = begun.remembered(target_network, (96, 128), WINDOW, 2, "fp32")
    assert origin.imagined is not None
    assert len(origin.imagined) == 2
    assert origin.remembered(target_network, (96, 128), WINDOW, 2, "fp32") is origin
    given = torch.nn.functional.avg_pool2d(masks[:, None], 16).flatten(2)
    for memory in origin.imagined:
        assert (memory.mask.sum(2) > 3).all()
        assert (memory.mask * given.amax(0)).sum() < 0.2 * given.sum()
    part = origin.part(torch.tensor([1]), [1])
    assert part.imagined is not None
    assert part.imagined[0].mask.equal(origin.imagined[0].mask[1:])
    again = Origin.from_state(part.state_dict())
    with torch.inference_mode():
        later = again.remembered(target_network, (96, 128), WINDOW, 2, "fp32").imagined
    assert later is not None
    assert later[1].values.equal(part.imagined[1].values)
    assert later[0].statistics.gram.equal(part.imagined[0].statistics.gram)


def test_objects_too_small_to_search_are_not_imagined(target_network: TargetNet) -> None:
    image, masks = frame()
    masks[1, 34:] = 0
    masks[1, :, 70:] = 0
    with torch.inference_mode():
        origin = Origin.of(image, masks, WINDOW).remembered(
            target_network, (96, 128), WINDOW, 2, "fp32"
        )
    assert origin.imagined == ()


@pytest.mark.parametrize("edited", [False, True])
def test_a_lost_object_is_searched_with_them_also_after_loading(
    target_network: TargetNet, edited: bool
) -> None:
    image, masks = frame()
    labels = (masks[0] + 2 * masks[1]).long()
    adapter = TargetModelAdapter(target_network, CONFIG)
    adapter.start(image, labels * (labels < 2) if edited else labels)
    if edited:
        adapter.add_objects(image, labels)
    adapter.scores(image)
    adapter.commit(torch.zeros_like(masks), torch.zeros_like(labels, dtype=torch.uint8))
    other = TargetModelAdapter(target_network, CONFIG)
    other.load_state_dict(adapter.state_dict())
    other.load_running_state(adapter.running_state())
    scores = adapter.scores(image)[0]
    assert scores.equal(other.scores(image)[0])
    plain = TargetModelAdapter(target_network, replace(CONFIG, imagined=0))
    plain.load_state_dict(adapter.state_dict())
    plain.load_running_state(adapter.running_state())
    plain.scores(image)
    assert adapter._pending is not None
    assert plain._pending is not None
    assert not plain._pending.segmentation.logits.equal(adapter._pending.segmentation.logits)
