"""The target model adapter: state between frames, with a small network of random weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.models.target_net import Segmentation, TargetNet
from vostrack.online_finetune.first_frame_augmentation import FirstFrameAugmenter
from vostrack.online_finetune.target import frame_steps, view
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import WindowConfig

NONE = TargetFinetuneConfig(steps=0)
CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=64 * 64), finetune=NONE, remember_every=2, precision="fp32"
)


@pytest.fixture
def network(target_network: TargetNet) -> TargetNet:
    return target_network


def truth(labels: Tensor) -> Tensor:
    return torch.stack([(labels == k).float() for k in (1, 2)])


def start(network: TargetNet, image: Tensor, labels: Tensor, **changes: Any) -> TargetModelAdapter:
    adapter = TargetModelAdapter(network, replace(CONFIG, **changes))
    adapter.start(image, labels)
    return adapter


def follow(adapter: TargetModelAdapter, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Step through the images as a tracker does, the first labels taken for the result."""
    found = []
    for image in images:
        scores, foreground = adapter.scores(image)
        assert foreground is not None
        torch.testing.assert_close(foreground, torch.maximum(scores[0], scores[1]))
        found.append(scores)
        adapter.commit(0.7123 * truth(labels), labels.byte())
    return found


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


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


def test_what_is_committed_changes_the_next_frame(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    results = []
    for other in (labels, labels.roll(15, 1)):
        adapter = start(network, images[0], labels)
        adapter.scores(images[1])
        adapter.commit(truth(other), other.byte())
        results.append(adapter.scores(images[2])[0])
    assert float((results[0] - results[1]).abs().max()) > 1e-4


def test_pixels_that_another_object_won_are_not_learnt(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    results = []
    for loser in (0.0, 0.9):
        adapter = start(network, images[0], labels)
        adapter.scores(images[1])
        scores = truth(labels)
        scores[0][labels == 2] = loser
        adapter.commit(scores, labels.byte())
        results.append(adapter.scores(images[2])[0])
    assert torch.equal(*results)


def test_what_nobody_won_is_learnt_as_it_was_scored(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    results = []
    for unsure in (0.0, 0.45):
        adapter = start(network, images[0], labels)
        adapter.scores(images[1])
        scores = truth(labels)
        scores[0, 60:90, 20:60] = unsure
        adapter.commit(scores, labels.byte())
        results.append(adapter.scores(images[2])[0])
    assert not torch.equal(*results)


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
    found = {}
    for continuity in (None, 0.15, 2.0):
        window = WindowConfig(pixels=96 * 128, magnify=1.0, grow=9)
        adapter = start(network, images[0], labels, window=window, continuity=continuity)
        found_here = Segmentation(drawn, torch.zeros(1), torch.zeros(0))
        monkeypatch.setattr(frame_steps, "_look", lambda *_, f=found_here: (None, f))
        scores, _ = adapter.scores(images[1])
        found[continuity] = float(scores[0, 62:78, 102:118].max()) > 0.5
        assert float(scores[0, 25:45, 35:55].min()) > 0.5
    # 0.15 of a side of 30, and 5 pixels, are not as far as the second piece; twice the side is.
    assert found == {None: True, 0.15: False, 2.0: True}


def test_a_saved_state_goes_on_the_same(network: TargetNet, images: Tensor, labels: Tensor) -> None:
    adapter = start(network, images[0], labels)
    follow(adapter, images[1:6], labels)
    learnt, running = copy.deepcopy((adapter.state_dict(), adapter.running_state()))
    other = TargetModelAdapter(network, CONFIG)
    other.load_state_dict(learnt)
    other.load_running_state(running)
    assert same(follow(adapter, images[6:], labels), follow(other, images[6:], labels))


def test_rewinding_forgets_all_but_the_first_frame(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(network, images[0], labels)
    first = follow(adapter, images[1:5], labels)
    changed = follow(adapter, images[1:5], labels)
    assert not same(first, changed)
    adapter.seek_start()
    assert same(first, follow(adapter, images[1:5], labels))


def test_memory_is_bounded(network: TargetNet, images: Tensor, labels: Tensor) -> None:
    adapter = start(network, images[0], labels, memories=2)
    follow(adapter, images[1:], labels)
    state = adapter.running_state()["cohorts"][0]
    assert len(state["kept"]) == 2
    assert state["frames"] == 11


def test_a_lost_object_is_not_learnt_and_looked_for_everywhere(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(network, images[0], labels)
    adapter.scores(images[1])
    adapter.commit(torch.zeros(2, 96, 128), torch.zeros(96, 128, dtype=torch.uint8))
    before = adapter.running_state()["cohorts"][0]
    gram = adapter.state_dict()["first"]["first"]["gram"]
    assert torch.equal(before["later"][0], gram)
    scores, _ = adapter.scores(images[2])
    assert (scores > 0).all()  # the window is the whole frame


def test_one_lost_object_does_not_stop_the_other(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = start(network, images[0], labels)
    adapter.scores(images[1])
    one = truth(labels)
    one[1] = 0
    adapter.commit(one, (labels == 1).byte())
    scores, _ = adapter.scores(images[2])
    assert scores.shape == (2, 96, 128)
    assert torch.isfinite(scores).all()
    later, first = (
        adapter.running_state()["cohorts"][0]["later"],
        adapter.state_dict()["first"]["first"],
    )
    assert not torch.equal(later[0][0], first["gram"][0])
    assert torch.equal(later[0][1], first["gram"][1])


def test_adaptation_can_be_switched_off_and_made_careful(
    network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    grams = {}
    for adapt in ("all", "confident", "off"):
        adapter = start(network, images[0], labels, adapt=adapt)
        follow(adapter, images[1:3], labels)
        grams[adapt] = adapter.running_state()["cohorts"][0]["later"][0]
    first = adapter.state_dict()["first"]["first"]["gram"]
    assert torch.equal(grams["off"], first)
    assert not torch.allclose(grams["all"], grams["confident"], rtol=1e-3)
    assert not torch.allclose(grams["all"], first, rtol=1e-3)


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

    def spy(self: TargetNet, features: Any, places: Tensor, *rest: Any) -> Any:
        calls.append((places, rest[2]))
        return original(self, features, places, *rest)

    monkeypatch.setattr(TargetNet, "forward", spy)
    adapter.scores(images[1])
    (places, before), (mirrored_places, mirrored_before) = calls
    assert torch.equal(mirrored_places, places.flip(-1))
    assert torch.equal(mirrored_before, before.flip(-1))
    assert not torch.equal(mirrored_before, before)


def test_void_is_no_object(network: TargetNet, images: Tensor, labels: Tensor) -> None:
    labels[:5] = 255
    adapter = start(network, images[0], labels)
    assert adapter.scores(images[1])[0].shape == (2, 96, 128)


def test_fine_tuning_fits_a_copy(network: TargetNet, images: Tensor, labels: Tensor) -> None:
    before = copy.deepcopy(network.state_dict())
    reports: list[Any] = []
    tuned = replace(
        CONFIG,
        finetune=TargetFinetuneConfig(steps=2, batch=1, learning_rate=1e-2, pixels=64 * 64),
    )
    adapter = TargetModelAdapter(network, tuned, on_progress=lambda *r: reports.append(r))
    adapter.start(images[0], labels)
    assert reports == [("objects", 1, 2), ("objects", 2, 2)]
    after = network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    fitted = adapter.state_dict()["network"]
    moved = {k for k in before if not torch.equal(before[k], fitted[k])}
    assert "decoder.fine.weight" in moved
    assert not any(k.startswith(("backbone.layers.conv1", "backbone.layers.layer1")) for k in moved)
    other = TargetModelAdapter(network, tuned)
    other.load_state_dict(copy.deepcopy(adapter.state_dict()))
    assert torch.equal(other.scores(images[1])[0], adapter.scores(images[1])[0])
    again = TargetModelAdapter(network, tuned)
    again.start(images[0], labels)
    assert torch.equal(again.scores(images[1])[0], adapter.scores(images[1])[0])


def test_fine_tuning_uses_later_frames(
    network: TargetNet, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []
    apply = FirstFrameAugmenter.apply

    def noted(self: FirstFrameAugmenter, params: Any) -> Any:
        drawn.append(torch.from_numpy(self.frame))
        return apply(self, params)

    monkeypatch.setattr(FirstFrameAugmenter, "apply", noted)
    finetune = TargetFinetuneConfig(steps=4, references=1, learning_rate=1e-2, pixels=64 * 64)
    later = [(image, labels.roll(k, 1)) for k, image in enumerate(images[1:3])]
    pixels = [(image * 255).round().byte().permute(1, 2, 0) for image in images[:3]]
    states = []
    for frames, share in (((), 0.5), (later, 0.0), (later, 1.0)):
        drawn.clear()
        config = replace(CONFIG, finetune=replace(finetune, later_share=share))
        adapter = TargetModelAdapter(network, config)
        adapter.start_with(images[0], labels, frames)
        counts = [sum(torch.equal(frame, one) for frame in drawn) for one in pixels]
        states.append((adapter.scores(images[3])[0], counts))
    (once, of_once), (memories, of_memories), (shared, of_shared) = states
    assert of_once == of_memories == [len(drawn), 0, 0]
    assert of_shared[0] == 0
    assert of_shared[1] > 0
    assert of_shared[2] > 0
    assert not torch.equal(once, memories)
    assert not torch.equal(memories, shared)
    alone = TargetModelAdapter(network, replace(CONFIG, finetune=finetune))
    alone.start(images[0], labels)
    assert torch.equal(alone.scores(images[3])[0], once)


def test_nothing_before_start(network: TargetNet, images: Tensor) -> None:
    adapter = TargetModelAdapter(network, CONFIG)
    for call in (lambda: adapter.scores(images[0]), adapter.state_dict, adapter.running_state):
        with pytest.raises(RuntimeError, match="before start"):
            call()
