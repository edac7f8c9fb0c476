"""Fine-tuning again after masks were added or corrected."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_pairs import FramePairs
from vostrack.online_finetune.target.given_frames import GivenFrame, with_given, without_given
from vostrack.online_finetune.target.window import WindowConfig

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=64 * 64),
    finetune=TargetFinetuneConfig(steps=3, frames=2, references=2, pixels=64 * 64),
    precision="fp32",
)


def started(network: TargetNet, image: Tensor, labels: Tensor) -> TargetModelAdapter:
    adapter = TargetModelAdapter(network, CONFIG)
    adapter.start(image, labels)
    return adapter


def only(labels: Tensor, slot: int) -> Tensor:
    return torch.where(labels == slot, 1, 0)


def follow(adapter: Any, images: Tensor, labels: Tensor) -> list[Tensor]:
    found = []
    for image in images:
        found.append(adapter.scores(image).objects)
        adapter.commit(found[-1], labels.byte())
    return found


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_added_in_the_first_frame_is_as_if_it_had_been_in_the_first_mask(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    images = (images * 255).round() / 255  # as frames are
    together = started(target_network, images[0], labels)
    apart = started(target_network, images[0], only(labels, 1))
    apart.add_objects(images[0], labels)
    apart.refit(images[0])
    assert same(follow(apart, images[1:4], labels), follow(together, images[1:4], labels))


def test_a_corrected_frame_is_fine_tuned_on_and_a_later_one_with_a_new_object(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = started(target_network, images[0], only(labels, 1))
    follow(adapter, images[1:3], only(labels, 1))
    adapter.add_objects(images[2], labels)
    before = adapter._fitted
    adapter.refit(images[2])
    assert adapter._fitted is not before
    adapter.correct_objects(images[2], labels.roll(4, 1), [2])  # the same frame again
    adapter.correct_objects(images[3], labels * (labels == 1), [1, 2])  # 2 is absent
    adapter.refit(images[3])
    assert [frame.slots for frame in adapter._given] == [(1,), (2,), (1, 2)]
    assert adapter._given[-1].visible == (1,)
    assert len(adapter._now.cohorts) == 2  # type: ignore[union-attr]
    found = adapter.scores(images[4]).objects
    assert found.shape[0] == 2
    assert torch.isfinite(found).all()


def test_the_state_holds_all_of_it(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = started(target_network, images[0], only(labels, 1))
    follow(adapter, images[1:2], only(labels, 1))
    adapter.add_objects(images[1], labels)
    adapter.refit(images[1])
    saved = io.BytesIO()
    torch.save((adapter.state_dict(), adapter.running_state()), saved)
    saved.seek(0)
    start, running = torch.load(saved, weights_only=True)
    assert 0 < len(running["fitted"]["network"]) < len(start["network"])
    other = TargetModelAdapter(target_network, CONFIG)
    other.load_state_dict(start)
    other.load_running_state(running)
    # What comes is learned alike, and going back to the start returns to its network.
    for each in (adapter, other):
        each.correct_objects(images[1], labels, [1])
        each.refit(images[1])
    assert same(follow(adapter, images[2:4], labels), follow(other, images[2:4], labels))
    adapter.seek_start()
    assert "fitted" not in adapter.running_state()
    first = follow(adapter, images[1:2], only(labels, 1))
    alone = started(target_network, images[0], only(labels, 1))
    assert same(first, follow(alone, images[1:2], only(labels, 1)))


def test_pairs_are_of_objects_that_both_frames_have(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = replace(CONFIG.finetune, frames=4)
    pairs = FramePairs(target_network, config, "fp32")
    frames = [(images[0], only(labels, 1)), (images[1], only(labels, 2)), (images[2], labels)]
    pairs.prepare(frames, [(1,), (2,), (1, 2)], Generator().manual_seed(0))
    one, two, both = pairs.originals
    assert pairs._comparable(both, one) == (one, (1,))
    assert pairs._comparable(one, two) == (one, (1,))
    assert pairs._comparable(two, both) == (both, (2,))
    assert {frame.objects for frame in pairs.frames[1:]} == {(1,), (2,), (1, 2)}
    assert torch.isfinite(pairs.loss(Generator().manual_seed(1)))


def given(value: int, *slots: int) -> GivenFrame:
    labels = torch.tensor([[0, *slots]])
    return GivenFrame.of(torch.full((3, 1, 1 + len(slots)), value / 255), labels, slots)


def test_frames_in_which_an_object_begins_are_kept_and_others_are_bounded() -> None:
    frames: tuple[GivenFrame, ...] = ()
    for new in (given(0, 1), given(1, 1), given(2, 2), given(3, 1, 2), given(4, 2), given(5, 1)):
        frames = with_given(frames, new, 2)
    assert [int(frame.image.flatten()[0]) for frame in frames] == [0, 2, 4, 5]
    left = without_given(frames, [1], 2)
    assert [(int(f.image.flatten()[0]), f.slots) for f in left] == [(2, (1,)), (4, (1,))]
    assert left[0].labels.tolist() == [[0, 1]]


def test_what_is_given_stays_when_the_same_picture_comes_again() -> None:
    first = given(0, 1, 2)  # pixels 0, 1, 2
    again = GivenFrame.of(first.image / 255, torch.tensor([[2, 3, 1]]), (2, 3))  # 1 was found
    (frame,) = with_given((first,), again, 2)
    assert frame.labels.tolist() == [[2, 3, 0]]
    assert frame.slots == (1, 2, 3)
    assert frame.visible == (2, 3)


@pytest.mark.parametrize("steps", [0, 3])
def test_frames_are_kept_where_there_is_fine_tuning(
    steps: int, target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = replace(CONFIG, finetune=replace(CONFIG.finetune, steps=steps))
    adapter = TargetModelAdapter(target_network, config)
    adapter.rehearse(images[0], labels)
    assert adapter.can_refit() == bool(steps)
    assert len(adapter._given) == bool(steps)
