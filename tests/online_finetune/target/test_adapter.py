"""The target model adapter: state between frames, with a small network of random weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.online_finetune.target.small_adapter import CONFIG, follow, same, start, truth
from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet
from vostrack.models.weights_digest import weights_digest
from vostrack.online_finetune.first_frame_augmentation import FirstFrameAugmenter
from vostrack.online_finetune.target.adapter import TargetModelAdapter
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig


@pytest.fixture
def network(target_network: TargetNet) -> TargetNet:
    return target_network


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


def test_a_saved_state_goes_on_the_same(network: TargetNet, images: Tensor, labels: Tensor) -> None:
    adapter = start(network, images[0], labels)
    follow(adapter, images[1:6], labels)
    learnt, running = copy.deepcopy((adapter.state_dict(), adapter.running_state()))
    other = TargetModelAdapter(network, CONFIG)
    other.load_state_dict(learnt)
    other.load_running_state(running)
    assert same(follow(adapter, images[6:], labels), follow(other, images[6:], labels))
    changed = copy.deepcopy(network)
    with torch.inference_mode():
        unversioned = copy.deepcopy(network)
    digests = {weights_digest(one) for one in (network, changed, unversioned)}
    assert len(digests) == 1  # known before it changes
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    with pytest.raises(InputError, match="saved with other weights"):
        TargetModelAdapter(changed, CONFIG).load_state_dict(learnt)


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
