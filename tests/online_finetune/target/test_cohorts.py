"""Objects that were given in different frames: memories of their own, the same results."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.cohorts import Cohorts
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.window import WindowConfig

# The window is always the whole frame, so that it does not depend on the other objects.
WHOLE = WindowConfig(pixels=64 * 64, smallest=1000)
CONFIG = TargetModelConfig(
    window=WHOLE, finetune=TargetFinetuneConfig(steps=0), remember_every=2, precision="fp32"
)


def started(network: TargetNet, image: Tensor, labels: Tensor, **changes: Any) -> Any:
    adapter = TargetModelAdapter(network, replace(CONFIG, **changes))
    adapter.start(image, labels)
    return adapter


def only(labels: Tensor, slot: int) -> Tensor:
    return torch.where(labels == slot, 1, 0)


def follow(adapter: Any, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Step through the images; the given labels are taken for the result."""
    found = []
    for image in images:
        scores = adapter.scores(image).objects
        found.append(scores)
        slots = torch.arange(1, len(scores) + 1)[:, None, None]
        adapter.commit(0.7 * (labels == slots), labels.byte())
    return found


def close(a: list[Tensor], b: list[Tensor]) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


def test_added_at_once_is_as_if_started_together(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    together = started(target_network, images[0], labels)
    apart = started(target_network, images[0], only(labels, 1))
    apart.add_objects(images[0], labels)
    close(follow(apart, images[1:6], labels), follow(together, images[1:6], labels))


def test_removed_at_once_is_as_if_never_started(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    alone = started(target_network, images[0], only(labels, 2))
    left = started(target_network, images[0], labels)
    left.remove_objects([1])
    close(follow(left, images[1:6], only(labels, 2)), follow(alone, images[1:6], only(labels, 2)))


def test_correcting_to_the_same_mask_changes_nothing(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    # Without memories of later frames, beside which a frame given twice weighs more.
    plain = started(target_network, images[0], labels, remember_every=0)
    corrected = started(target_network, images[0], labels, remember_every=0)
    corrected.correct_objects(images[0], labels, [1, 2])
    corrected.correct_objects(images[0], labels, [1])
    close(follow(corrected, images[1:6], labels), follow(plain, images[1:6], labels))


def test_a_correction_counts_for_its_objects_only(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    moved = torch.where(labels == 2, 0, labels)
    moved[2:30, 90:120] = 2
    plain = started(target_network, images[0], labels)
    corrected = started(target_network, images[0], labels)
    for adapter in (plain, corrected):
        follow(adapter, images[1:2], labels)
    corrected.correct_objects(images[1], moved, [2])
    one, other = plain.scores(images[2]).objects, corrected.scores(images[2]).objects
    torch.testing.assert_close(one[0], other[0], rtol=1e-4, atol=1e-4)
    assert float((one[1] - other[1]).abs().max()) > 1e-3


def test_a_correction_forgets_what_was_learned_from_mistakes(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    results = []
    for mistake in (labels.roll(20, 1), labels.roll(-12, 0)):
        adapter = started(target_network, images[0], labels)
        follow(adapter, images[1:4], mistake)
        adapter.correct_objects(images[3], labels, [1, 2])
        results.append(follow(adapter, images[4:7], labels))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_the_number_of_corrections_kept_is_bounded(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = started(target_network, images[0], labels, corrections=2)
    for image in images[1:6]:
        adapter.correct_objects(image, labels, [1, 2])
    assert adapter._now.corrections == 5
    assert len(adapter._now.corrected) == 2
    with pytest.raises(InputError, match="corrections: expected at least 1, got 0"):
        replace(CONFIG, corrections=0)


def test_state_of_cohorts_goes_on_to_the_bit(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = started(target_network, images[0], only(labels, 1))
    follow(adapter, images[1:3], only(labels, 1))
    adapter.add_objects(images[2], labels)
    follow(adapter, images[3:5], labels)
    adapter.correct_objects(images[4], labels, [1])
    assert isinstance(adapter._now, Cohorts)
    file = io.BytesIO()
    torch.save({"start": adapter.state_dict(), "now": adapter.running_state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = TargetModelAdapter(target_network, CONFIG)
    other.load_state_dict(saved["start"])
    other.load_running_state(saved["now"])
    for one, two in zip(
        follow(adapter, images[5:9], labels), follow(other, images[5:9], labels), strict=True
    ):
        assert torch.equal(one, two)
    assert _bytes(adapter.running_state()) == _bytes(other.running_state())
    other.seek_start()
    assert len(other.scores(images[1]).objects) == 1


def test_an_object_that_is_not_in_the_corrected_frame_is_searched(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    adapter = started(target_network, images[0], labels)
    gone = torch.where(labels == 2, 0, labels)
    adapter.correct_objects(images[1], gone, [2])
    assert [place.box is None for place in adapter._now.places] == [False, True]
    assert adapter.scores(images[2]).objects.isfinite().all()


def test_all_objects_may_go(target_network: TargetNet, images: Tensor, labels: Tensor) -> None:
    adapter = started(target_network, images[0], labels)
    adapter.remove_objects([1, 2])
    adapter.add_objects(images[3], only(labels, 2))
    fresh = started(target_network, images[3], only(labels, 2))
    close(
        follow(adapter, images[4:6], only(labels, 2)), follow(fresh, images[4:6], only(labels, 2))
    )


@pytest.mark.parametrize("cohorts", [1, 2])
def test_after_a_cut_the_whole_frame_is_searched(
    target_network: TargetNet, images: Tensor, labels: Tensor, cohorts: int
) -> None:
    small = WindowConfig(pixels=64 * 64, margin=0, smallest=16, grow=1.0)
    begin = labels if cohorts == 1 else only(labels, 1)
    adapter = started(target_network, images[0], begin, window=small)
    if cohorts == 2:
        adapter.add_objects(images[0], labels)
    adapter.scores(images[1])
    assert adapter._pending.window.box != (0, 0, 128, 96)
    adapter.forget_places()
    adapter.scores(images[1])
    assert adapter._pending.window.box == (0, 0, 128, 96)
    adapter.commit(0.7 * torch.stack([labels == 1, labels == 2]), labels.byte())
    adapter.scores(images[2])
    assert adapter._pending.window.box != (0, 0, 128, 96)


def test_the_mirrored_pass_can_be_left_out(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    mirrored = started(target_network, images[0], labels, mirror=True)
    plain = started(target_network, images[0], labels)
    assert list(mirrored.optional_stages()) == ["flow", "mirror"]
    assert list(plain.optional_stages()) == ["flow"]
    both = mirrored.scores(images[1]).objects
    mirrored.skip_stages(["refiner", "mirror"])
    once = mirrored.scores(images[1]).objects
    assert torch.equal(once, plain.scores(images[1]).objects)
    assert not torch.equal(once, both)
    mirrored.skip_stages([])
    assert torch.equal(mirrored.scores(images[1]).objects, both)


def test_a_rehearsal_does_not_fine_tune(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    steps: list[int] = []
    adapter = TargetModelAdapter(
        target_network,
        replace(CONFIG, finetune=TargetFinetuneConfig(steps=3)),
        on_progress=lambda _, done, __: steps.append(done),
    )
    adapter.rehearse(images[0], labels)
    assert adapter.scores(images[1]).objects.shape == (2, 96, 128)
    assert steps == []


def _bytes(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()
