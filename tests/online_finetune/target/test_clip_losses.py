"""A clip is followed in training as the tracker follows it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vostrack.datasets import VideoSequence
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target import clip_losses as module
from vostrack.online_finetune.target.adapter import TargetModelAdapter
from vostrack.online_finetune.target.clip_losses import clip_losses, rivals_loss
from vostrack.online_finetune.target.confirmation import trusted_presence
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.frame_steps import begin_objects, find_objects
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.online_finetune.target.video_clips import VideoClipConfig, VideoClips
from vostrack.online_finetune.target.window import WindowConfig
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.fusion import label_map
from vostrack.tracking.tracker import Tracker

CONFIG = TargetModelConfig(
    window=WindowConfig(pixels=96 * 96),
    finetune=TargetFinetuneConfig(steps=0),
    remember_every=2,
    precision="fp32",
)


@pytest.fixture(scope="module")
def clip(videos: list[VideoSequence]) -> TrainingClip:
    """Five frames with two objects."""
    config = VideoClipConfig(lost=0, resumed=0, paste=1, absent=0, twin=0, follow_pasted=1)
    for seed in range(20):
        clip = VideoClips(videos, config).draw(Generator().manual_seed(seed), 5)
        if int(clip["labels"][0].max()) == 2:
            return clip
    raise AssertionError


def learned_masks(
    network: TargetNet, clip: TrainingClip, truth_share: float, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Tensor, Tensor]]:
    """Return the scores and label maps that are learned from in training."""
    taken: list[tuple[Tensor, Tensor]] = []
    learn = vars(module)["learn_objects"]

    def spy(network: Any, finding: Any, masks: Any, *rest: Any) -> Any:
        taken.append(masks)
        return learn(network, finding, masks, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(module, "learn_objects", spy)
        clip_losses(network, clip, CONFIG, truth_share)
    return taken


def test_masks_and_competition_are_the_trackers(
    target_network: TargetNet, clip: TrainingClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker(
        TargetModelAdapter(target_network, replace(CONFIG, flow_share=0.0)),
        config=TrackerConfig(max_size=0, gate="none"),
    )
    # Training clips have no cuts; the tracker takes the made-up frames for some.
    monkeypatch.setattr("vostrack.tracking.tracker.is_cut", lambda before, now: False)
    frames = np.ascontiguousarray(clip["images"].permute(0, 2, 3, 1).numpy())
    tracker.start(frames[0], clip["labels"][0].numpy())
    expected = [tracker.step(frame) for frame in frames[1:]]
    taken = learned_masks(target_network, clip, 0.0, monkeypatch)
    assert len(taken) == len(expected) == 4
    for (scores, labels), result in zip(taken, expected, strict=True):
        # Scores differ by rounding. Where two are equal but for that, single pixels may go to
        # another object, and the next frame remembers them: with AVX2, two pixels make 1e-4.
        np.testing.assert_allclose(scores.numpy(), result.scores, atol=3e-4)
        assert (labels.numpy() == result.labels).mean() > 0.999


def test_a_degraded_truth_can_be_learned_from(
    target_network: TargetNet, clip: TrainingClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = learned_masks(target_network, clip, 1.0, monkeypatch)
    overlaps = []
    for (scores, _), truth in zip(taken, clip["labels"][1:], strict=True):
        for number, mask in enumerate(scores, start=1):
            both = (mask > 0.5) & (truth == number)
            either = (mask > 0.5) | (truth == number)
            if (truth == number).sum() < 100:
                continue
            overlaps.append(float(both.sum() / either.sum()))
    assert len(overlaps) >= 4
    assert all(0.3 < overlap < 1 for overlap in overlaps)


def test_all_that_is_trained_gets_a_gradient(target_network: TargetNet, clip: TrainingClip) -> None:
    target_network.requires_grad_(True)
    losses = clip_losses(target_network, clip, CONFIG, 0.0)
    assert set(losses) == {"mask", "rivals", "classifier", "presence", "confirmed"}
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    bare = [name for name, p in target_network.named_parameters() if p.grad is None]
    target_network.zero_grad()
    assert not bare


def test_lost_objects_are_looked_for_everywhere(
    target_network: TargetNet, clip: TrainingClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = []
    find: Any = vars(module)["find_objects"]

    def spy(*inputs: Any) -> Any:
        finding = find(*inputs)
        boxes.append(finding.window.box)
        return finding

    monkeypatch.setattr(module, "find_objects", spy)
    clip_losses(target_network, {**clip, "lost": True}, CONFIG, 1.0)
    assert boxes[0] == (0, 0, 160, 120)


def test_objects_are_followed_on_from_a_frame_that_is_known(
    target_network: TargetNet, clip: TrainingClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first masks are memories; where the objects are, the second frame tells."""
    far: TrainingClip = {**clip, "resumed": True, "labels": clip["labels"].clone()}
    # In the first frame the objects are in a corner where they never are again.
    far["labels"][0] = 0
    far["labels"][0, :16, :8], far["labels"][0, :16, 8:16] = 1, 2
    found: list[tuple[Any, Tensor]] = []
    find: Any = vars(module)["find_objects"]

    def spy(network: Any, image: Tensor, now: Any, config: Any) -> Any:
        found.append((now, image))
        return find(network, image, now, config)

    monkeypatch.setattr(module, "find_objects", spy)
    losses = clip_losses(target_network, far, CONFIG, 0.0)
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert [float((image * 255).round()[0, 0, 0]) for _, image in found] == [
        float(image[0, 0, 0]) for image in far["images"][1:]
    ]
    truth = far["labels"][1] == torch.tensor([1, 2])[:, None, None]
    assert torch.equal(found[0][0].masks > 0.5, truth)
    assert torch.equal(found[1][0].masks > 0.5, truth)
    assert found[1][0].first is found[0][0].first
    taken = learned_masks(target_network, far, 0.0, monkeypatch)
    assert torch.equal(taken[0][0] > 0.5, truth)


def test_trusted_memories_learn_to_tell_presence(
    target_network: TargetNet, clip: TrainingClip
) -> None:
    """Its loss is of the answer that the tracker asks for."""
    network = copy.deepcopy(target_network)
    nn.init.normal_(network.decoder.presence.weight)  # untrained it says the same of everything
    images, labels = clip["images"].float() / 255, clip["labels"]
    masks = (labels[:, None] == torch.tensor([1, 2])[:, None, None]).float()
    two: TrainingClip = {**clip, "images": clip["images"][:2], "labels": labels[:2]}
    losses = clip_losses(network, two, CONFIG, 0.0)
    now = begin_objects(network, images[0], masks[0], CONFIG)
    finding = find_objects(network, images[1], now, CONFIG)
    told = trusted_presence(network, finding, now, CONFIG)
    wanted = (masks[1].sum((1, 2)) > 0).float()
    expected = F.binary_cross_entropy_with_logits(told, wanted)
    torch.testing.assert_close(losses["confirmed"], expected)


def test_rivals_are_judged_as_the_label_map_judges() -> None:
    logits = torch.randn(3, 1, 20, 30, generator=Generator().manual_seed(1))
    winner = label_map(logits.sigmoid()[:, 0]).long()
    entropies = []
    for wanted in (winner, (winner + 1) % 4):
        masks = (wanted == torch.arange(1, 4)[:, None, None]).float()[:, None]
        scores = torch.cat([torch.zeros(1, 20, 30), logits[:, 0]])
        expected = torch.nn.functional.cross_entropy(scores[None], wanted[None])
        assert float(rivals_loss(logits, masks)) == pytest.approx(float(expected), rel=1e-5)
        entropies.append(float(expected))
    assert entropies[0] < entropies[1]
    assert bool((scores.argmax(0) == winner).all())
    assert float(rivals_loss(logits[:1], masks[:1])) == 0


def with_void(clip: TrainingClip, columns: int) -> TrainingClip:
    """Return the first two frames, the second of them void on the left."""
    labels = clip["labels"][:2].clone()
    labels[1, :, :columns] = 255
    return {**clip, "images": clip["images"][:2], "labels": labels}


def losses_with_other_answers(
    network: TargetNet, clip: TrainingClip, columns: int, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Tensor]]:
    """Return the losses of what the network says, and of something else left of ``columns``."""
    find: Any = vars(module)["find_objects"]
    every = []
    for change in (0.0, 5.0):

        def changed(*inputs: Any, change: float = change) -> Any:
            finding = find(*inputs)
            x0, _, x1, _ = finding.window.box
            assert x0 < columns < x1

            def other(maps: Tensor) -> Tensor:
                # One cell less: between cells the answers are interpolated.
                share = (columns - x0) / (x1 - x0)
                left = torch.arange(maps.shape[-1]) + 2 <= share * maps.shape[-1]
                assert left.any()
                changed: Tensor = maps + change * left
                return changed

            found = finding.segmentation
            segmentation = replace(
                found, logits=other(found.logits), classified=other(found.classified)
            )
            return replace(finding, segmentation=segmentation)

        with monkeypatch.context() as patch:
            patch.setattr(module, "find_objects", changed)
            every.append(clip_losses(network, clip, CONFIG, 1.0))
    return every


def test_nothing_is_learned_from_void(
    target_network: TargetNet, clip: TrainingClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = 80
    one, other = losses_with_other_answers(
        target_network, with_void(clip, columns), columns, monkeypatch
    )
    for name, loss in one.items():
        assert torch.isfinite(loss)
        torch.testing.assert_close(other[name], loss, rtol=1e-4, atol=1e-4)
    plain: TrainingClip = {**clip, "images": clip["images"][:2], "labels": clip["labels"][:2]}
    one, other = losses_with_other_answers(target_network, plain, columns, monkeypatch)
    for name in ("mask", "rivals", "classifier"):
        assert abs(float((other[name] - one[name]).detach())) > 0.1


def test_objects_that_may_be_in_the_void_are_neither_present_nor_absent(
    target_network: TargetNet, clip: TrainingClip
) -> None:
    losses = clip_losses(target_network, with_void(clip, 160), CONFIG, 1.0)
    assert {name: float(loss.detach()) for name, loss in losses.items()} == pytest.approx(
        dict.fromkeys(losses, 0.0), abs=1e-6
    )
