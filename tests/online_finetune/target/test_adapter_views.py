"""The target model adapter: where it looks, and the mirrored second look."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.online_finetune.target.small_adapter import start
from vostrack.models.target_net import Segmentation, TargetNet
from vostrack.online_finetune.target import frame_steps, view
from vostrack.online_finetune.target.window import WindowConfig


@pytest.fixture
def network(target_network: TargetNet) -> TargetNet:
    return target_network


def test_scores_are_of_the_frame_and_zero_outside_the_window(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    labels[labels == 2] = 0
    adapter = start(network, images[0], labels, window=WindowConfig(pixels=64 * 64, margin=0))
    scores, _ = adapter.scores(images[1])
    assert scores.shape == (1, 96, 128)
    assert 0 <= float(scores.min()) <= float(scores.max()) <= 1
    assert (scores[0, 20:50, 30:60] > 0).all()
    assert (scores[0, :, 120:] == 0).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_objects_far_apart_are_decoded_apart(network: TargetNet, mirror: bool) -> None:
    images = torch.rand(2, 3, 96, 384, generator=torch.Generator().manual_seed(2))
    labels = torch.zeros(96, 384, dtype=torch.int64)
    labels[30:60, 10:40], labels[30:60, 330:350] = 1, 2
    window = WindowConfig(pixels=96 * 384, margin=0, smallest=32, magnify=1.0)
    adapter = start(network, images[0], labels, window=window, mirror=mirror)
    scores, _ = adapter.scores(images[1])
    # A logit of -10 where an object is not looked for, in both views of the frame.
    assert float(scores[0, :, 128:].max()) < 1e-4
    assert float(scores[1, :, :256].max()) < 1e-4
    assert float(scores[0, 30:60, 10:40].max()) > 1e-2
    assert float(scores[1, 30:60, 330:350].max()) > 1e-2


def test_the_window_is_laid_around_the_objects_that_are_seen(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    labels[labels == 2] = 0
    labels[90:93, 120:123] = 2  # fewer pixels than an object that is not lost
    window = WindowConfig(pixels=64 * 64, margin=0, smallest=32)
    adapter = start(network, images[0], labels, window=window)
    scores, _ = adapter.scores(images[1])
    assert (scores[:, :, 110:] == 0).all()
    assert (scores[0, 20:50, 30:60] > 0).all()


def test_what_lies_apart_is_dropped_unless_asked_for(
    network: TargetNet, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels[labels == 2] = 0
    drawn = torch.full((1, 1, 48, 64), -4.0)
    drawn[..., 10:25, 15:30], drawn[..., 30:40, 50:60] = 4, 4
    found, look = {}, frame_steps._look
    for continuity in (None, 0.15, 2.0):
        window = WindowConfig(pixels=96 * 128, magnify=1.0, grow=9)
        adapter = start(network, images[0], labels, window=window, continuity=continuity)
        found_here = Segmentation(drawn, torch.zeros(1), torch.zeros(0))
        monkeypatch.setattr(frame_steps, "_look", lambda *a, f=found_here: (look(*a)[0], f))
        scores, _ = adapter.scores(images[1])
        found[continuity] = float(scores[0, 62:78, 102:118].max()) > 0.5
        assert float(scores[0, 25:45, 35:55].min()) > 0.5
    # 0.15 of a side of 30, and 5 pixels, are not as far as the second piece; twice the side is.
    assert found == {None: True, 0.15: False, 2.0: True}


def test_a_mirrored_look_is_the_mean_of_both_sides(network: TargetNet, images: Tensor) -> None:
    labels = torch.zeros(96, 128, dtype=torch.int64)
    labels[30:60, 49:79] = 1  # in the middle, so that its window is its own mirror image
    whole = WindowConfig(pixels=96 * 128, grow=9, magnify=1)
    plain, both = (
        start(network, images[0], labels, window=whole, mirror=mirror) for mirror in (False, True)
    )
    one, two = plain.scores(images[1])[0], both.scores(images[1])[0]
    assert one.shape == two.shape
    assert float((one - two).abs().max()) > 1e-5
    # The mirror image of the frame has the mirror image of the answer.
    flipped = start(network, images[0], labels, window=whole, mirror=True)
    other = flipped.scores(images[1].flip(-1))[0].flip(-1)
    assert float((two - other).abs().max()) < float((one - two).abs().max())


@pytest.mark.parametrize("smallest", [20, 200])
def test_a_mirrored_look_may_have_another_size(
    network: TargetNet,
    images: Tensor,
    labels: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    smallest: int,
) -> None:
    """Unless an object is small in the window."""
    original, seen = TargetNet.features, []

    def spy(self: TargetNet, image: Tensor) -> Any:
        seen.append(image)
        return original(self, image)

    monkeypatch.setattr(view, "_SMALL", smallest)
    config = {"window": WindowConfig(pixels=128 * 128, step=16), "mirror": True}
    plain, half = (start(network, images[0], labels, **config, mirror_scale=k) for k in (1.0, 0.5))
    monkeypatch.setattr(TargetNet, "features", spy)
    found = half.scores(images[1])[0]
    (first, second), size = seen, labels.shape
    share = 2 if smallest == 20 else 1
    sides = (16 * round(side / 16 / share) for side in first.shape[-2:])
    assert second.shape[-2:] == tuple(sides)
    assert found.shape == (2, *size)
    assert torch.equal(found, plain.scores(images[1])[0]) == (smallest == 200)


def test_mirrored_are_image_places_and_previous_mask(
    network: TargetNet, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = start(network, images[0], labels, mirror=True)
    original, calls = TargetNet.forward, []

    def spy(self: TargetNet, features: Any, places: Tensor, *rest: Any, **named: Any) -> Any:
        calls.append((places, rest[2]))
        return original(self, features, places, *rest, **named)

    monkeypatch.setattr(TargetNet, "forward", spy)
    adapter.scores(images[1])
    (places, before), (mirrored_places, mirrored_before) = calls
    assert torch.equal(mirrored_places, places.flip(-1))
    assert torch.equal(mirrored_before, before.flip(-1))
    assert not torch.equal(mirrored_before, before)
