"""Void pixels of given masks: nothing is learned of them, as if nobody knew what they show."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from tests.online_finetune.target.small_adapter import start, truth
from vostrack.models.memory_cues import RidgeRegression
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target import frame_pairs
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_pairs import FramePairs, target_loss
from vostrack.online_finetune.target.given_frames import GivenFrame
from vostrack.online_finetune.target.window import Window


@pytest.fixture
def void(labels: Tensor) -> Tensor:
    """Pixels of the background and of both objects, a third of the frame."""
    found = torch.zeros(labels.shape, dtype=torch.bool)
    found[:, : labels.shape[1] // 3] = True
    assert 0 < int((labels[found] > 0).sum()) < int(found.sum())
    return found


@pytest.fixture
def given(labels: Tensor, void: Tensor) -> Tensor:
    return labels.masked_fill(void, 255)


def test_statistics_know_nothing_of_void_cells() -> None:
    regression, generator = RidgeRegression(), Generator().manual_seed(0)
    embedding, targets = (torch.rand(2, c, 4, 6, generator=generator) for c in (3, 2))
    mask = torch.rand(2, 1, 4, 6, generator=generator)
    known = torch.ones(1, 1, 4, 6)
    known[..., :2] = 0
    found = regression.statistics(embedding, targets, mask, known=known)
    others = [torch.where(known > 0, x, torch.rand_like(x)) for x in (embedding, targets, mask)]
    for other in (
        regression.statistics(others[0], others[1], others[2], known=known),
        regression.statistics(embedding[..., 2:], targets[..., 2:], mask[..., 2:]),
    ):
        torch.testing.assert_close(found.gram, other.gram)
        torch.testing.assert_close(found.moment, other.moment)
    everywhere = torch.ones(1, 1, 4, 6)
    plain = regression.statistics(embedding, targets, mask)
    torch.testing.assert_close(
        plain.gram, regression.statistics(embedding, targets, mask, known=everywhere).gram
    )


def test_a_memory_does_not_depend_on_what_void_shows(
    target_network: TargetNet, images: Tensor, labels: Tensor, void: Tensor
) -> None:
    window = Window((0, 0, labels.shape[1], labels.shape[0]), tuple(labels.shape))  # type: ignore[arg-type]
    features = target_network.features(images[:1])
    masks = truth(labels)[:, None]
    given = (features, window.positions(images.device))

    def memory(masks: Tensor, known: Tensor | None) -> Any:
        return target_network.remember(given[0], masks, given[1], known=known).state_dict()

    known = window.known(void)
    found = memory(masks, known)
    for other in (torch.ones_like(masks), torch.zeros_like(masks)):
        swapped = memory(torch.where(void, other, masks), known)
        assert all(torch.equal(found[name], swapped[name]) for name in found)
    as_background = memory(torch.where(void, 0, masks), None)
    assert not torch.allclose(found["gram"], as_background["gram"])


def test_the_loss_is_blind_to_void() -> None:
    generator = Generator().manual_seed(0)
    mask = (torch.rand(2, 1, 8, 8, generator=generator) > 0.5).float()
    known = torch.ones(1, 1, 8, 8)
    known[..., :3] = 0
    logits = torch.randn(2, 1, 8, 8, generator=generator, requires_grad=True)
    loss = target_loss(logits, mask, known)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad[..., :3].any()
    assert logits.grad[..., 3:].all()
    assert torch.equal(loss, target_loss(logits, torch.where(known > 0, mask, 1 - mask), known))


def test_fine_tuning_leaves_void_out_of_memories_and_losses(
    target_network: TargetNet,
    images: Tensor,
    given: Tensor,
    labels: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor | None] = []

    def noting(logits: Tensor, mask: Tensor, known: Tensor | None = None) -> Tensor:
        seen.append(known)
        return target_loss(logits, mask, known)

    remember = TargetNet.remember

    def remembering(self: TargetNet, *args: Any, known: Tensor | None = None, **more: Any) -> Any:
        seen.append(known)
        return remember(self, *args, known=known, **more)

    monkeypatch.setattr(frame_pairs, "target_loss", noting)
    monkeypatch.setattr(TargetNet, "remember", remembering)
    for mask, wanted in ((given, True), (labels, False)):
        seen.clear()
        pairs = FramePairs(target_network, TargetFinetuneConfig(frames=1, pixels=64 * 64), "fp32")
        pairs.prepare([(images[0], mask)], None, Generator().manual_seed(0))
        # The frame as it is: in altered ones the objects are moved, and void is painted over.
        original = pairs.frames[0]
        memory = pairs._memory(original, original.objects)
        pairs._segment(original, memory, original.objects, Generator().manual_seed(0))
        for known in seen:
            assert (known is not None) == wanted
            assert known is None or 0 < float(known.mean()) < 1
        assert len(seen) == 2


@pytest.mark.parametrize("call", ["start", "correct", "add", "refit"])
def test_every_way_in_tells_the_classifier_what_is_void(
    call: str,
    target_network: TargetNet,
    images: Tensor,
    labels: Tensor,
    given: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor | None] = []
    statistics = RidgeRegression.statistics

    def noting(self: Any, *args: Any, **more: Any) -> Any:
        seen.append(args[4] if len(args) > 4 else more.get("known"))
        return statistics(self, *args, **more)

    monkeypatch.setattr(RidgeRegression, "statistics", noting)
    for mask, wanted in ((given, True), (labels, False)):
        tuned = TargetFinetuneConfig(steps=1, frames=1, references=1, pixels=64 * 64)
        first = mask if call == "refit" else mask.masked_fill(mask == 2, 0)
        changes = {"finetune": tuned} if call == "refit" else {}
        adapter = start(target_network, images[0], first, **changes)
        seen.clear()
        if call == "refit":
            adapter.refit(images[0])
            seen.pop(0)  # that of fine-tuning
        elif call == "start":
            adapter.start(images[0], mask)
        elif call == "correct":
            adapter.correct_objects(images[0], mask.masked_fill(mask == 2, 0), [1])
        else:
            adapter.add_objects(images[0], mask)
        assert [known is not None for known in seen] == [wanted]


def test_memories_of_given_frames_are_made_anew_without_void(given: Tensor, images: Tensor) -> None:
    frame = GivenFrame.of(images[0], given, (1, 2))
    void = frame.void(images.device)
    assert void is not None
    assert torch.equal(void, given == 255)
    assert frame.moved({1: 1}).void(images.device) is not None
    assert (
        GivenFrame.of(images[0], given.masked_fill(given == 255, 0), (1, 2)).void(images.device)
        is None
    )
