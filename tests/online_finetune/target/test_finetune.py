"""Fine-tuning: what is computed once, what is trained, and which frames make a pair."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from vostrack.errors import InputError
from vostrack.models.byte_map import as_floats
from vostrack.models.target_config import SemanticName
from vostrack.models.target_features import EarlyLevels
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.online_finetune.target.dreamed_frames import FrameDreamer
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig, finetune_target_net
from vostrack.online_finetune.target.fitted_network import fit_network
from vostrack.online_finetune.target.fixed_part import FixedFeatures
from vostrack.online_finetune.target.frame_pairs import FramePairs
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.window import WindowConfig


def tuned(network: TargetNet, image: Tensor, labels: Tensor, **options: Any) -> TargetNet:
    fitted = copy.deepcopy(network)
    config = TargetFinetuneConfig(pixels=64 * 64, learning_rate=1e-2, **options)
    finetune_target_net(fitted, image, labels, config, precision="fp32")
    return fitted


def test_the_fixed_part_is_computed_once_per_frame(
    target_network: TargetNet, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    early = TargetNet.early_levels

    def noted(self: TargetNet, image: Tensor) -> EarlyLevels:
        seen.append(image)
        return early(self, image)

    monkeypatch.setattr(TargetNet, "early_levels", noted)
    tuned(target_network, images[0], labels, steps=5, frames=3)
    assert len(seen) == 4


def test_altered_frames_are_freed_at_once(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    """They are most of the memory of fine-tuning, and tracking begins right after it."""
    pairs = FramePairs(target_network, TargetFinetuneConfig(frames=1, pixels=64 * 64), "fp32")
    pairs.prepare([(images[0], labels)], None, Generator().manual_seed(0))
    frame = weakref.ref(pairs.frames[0])
    gc.disable()
    try:
        del pairs
        assert frame() is None
    finally:
        gc.enable()


def test_backbones_that_never_change_are_shared(images: Tensor, labels: Tensor) -> None:
    small = TargetNetConfig(key=8, value=4, embedding=8, widths=(8, 8, 8, 8), semantic="deeplab")
    network = build_target_net(small)
    assert network.semantic is not None
    before = copy.deepcopy(network.state_dict())
    for blocks in (0, 1):
        finetune = TargetFinetuneConfig(steps=1, frames=1, pixels=64 * 64, blocks=blocks)
        config = TargetModelConfig(finetune=finetune, precision="fp32")
        fitted = fit_network(network, [(images[0], labels)], config).weights
        assert fitted.semantic is not None
        assert fitted.semantic.backbone is network.semantic.backbone
        assert (fitted.backbone is network.backbone) == (blocks == 0)
        assert not torch.equal(fitted.decoder.coarse.weight, network.decoder.coarse.weight)
        assert all(value.equal(before[name]) for name, value in network.state_dict().items())
        assert all(p.requires_grad for p in network.parameters())


def test_without_a_number_every_sample_is_a_new_frame(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = TargetFinetuneConfig(frames=None, references=2, pixels=64 * 64)
    pairs = FramePairs(target_network, config, "fp32")
    generator = Generator().manual_seed(0)
    pairs.prepare([(images[0], labels)], None, generator)
    assert len(pairs.frames) == 2
    first, second = (pairs._next(generator) for _ in range(2))
    assert not torch.equal(first.early.entered, second.early.entered)
    assert not any(frame is known for frame in (first, second) for known in pairs.frames)


@pytest.mark.parametrize("follow", [False, True])
def test_the_backbone_follows_memories_if_told_to(
    follow: bool, target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = TargetFinetuneConfig(
        frames=1, references=1, pixels=64 * 64, follow_memories=follow, blocks=1
    )
    pairs = FramePairs(copy.deepcopy(target_network), config, "fp32")
    pairs.prepare([(images[0], labels)], None, Generator().manual_seed(0))
    pairs._memory(pairs.frames[0], (1, 2)).keys.sum().backward()  # type: ignore[no-untyped-call]
    grad = pairs.network.backbone.last_stage[-1].conv2.weight.grad  # type: ignore[index]
    assert (grad is not None) == follow
    assert pairs.network.key.weight.grad is not None


@pytest.mark.parametrize(
    ("blocks", "fixed"),
    [
        (0, ["conv1", "layer1", "layer2", "layer3"]),
        (1, ["conv1", "layer1", "layer2", "layer3.0"]),
        (2, ["conv1", "layer1", "layer2"]),
        (9, ["conv1", "layer1", "layer2"]),
    ],
)
def test_only_the_last_blocks_and_the_head_move(
    blocks: int, fixed: list[str], target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    fitted = tuned(target_network, images[0], labels, steps=2, frames=2, blocks=blocks)
    before, after = target_network.state_dict(), fitted.state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert {"decoder.fine.weight", "key.weight"} <= moved
    assert ("backbone.layers.layer3.1.conv1.weight" in moved) == (blocks > 0)
    assert ("backbone.layers.layer3.0.conv1.weight" in moved) == (blocks > 1)
    assert not [k for k in moved if k.startswith(tuple(f"backbone.layers.{f}." for f in fixed))]
    assert all(p.requires_grad for p in fitted.parameters())


def test_a_frame_is_never_segmented_from_itself(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = TargetFinetuneConfig(frames=3, references=3, pixels=64 * 64)
    pairs = FramePairs(target_network, config, "fp32")
    generator = Generator().manual_seed(0)
    pairs.prepare([(images[0], labels)], None, generator)
    drawn: dict[int, list[int]] = {1: [], 3: []}
    for number, references in drawn.items():
        for _ in range(600):
            chosen = pairs._reference(generator, [pairs.frames[number]])
            references.append(next(k for k, f in enumerate(pairs.frames) if f is chosen))
    assert set(drawn[1]) == {0, 2}
    assert set(drawn[3]) == {0, 1, 2}
    assert 360 < drawn[3].count(0) < 440  # half of them, and a third of the rest


def test_altered_frames_follow_the_seed_and_show_every_object(
    images: Tensor, labels: Tensor
) -> None:
    frame = (images[0] * 255).byte().permute(1, 2, 0).numpy()
    slots = labels.byte().numpy()

    def draw(seed: int) -> list[Any]:
        dreamer = FrameDreamer(
            frame,
            slots,
            TargetFinetuneConfig().augmentation,
            WindowConfig(pixels=64 * 64, step=64),
            lambda image: FixedFeatures(image, EarlyLevels(image, image, image)),
        )
        generator = Generator().manual_seed(seed)
        return [dreamer.original(), *(dreamer.draw(generator) for _ in range(4))]

    for one, other in zip(draw(1), draw(1), strict=True):
        assert one.window == other.window
        assert torch.equal(one.early.entered, other.early.entered)
        assert torch.equal(one.masks, other.masks)
    assert not torch.equal(draw(1)[1].early.entered, draw(2)[1].early.entered)
    original = draw(1)[0]
    assert torch.equal(original.masks, torch.stack([labels == k for k in (1, 2)]).byte())
    assert original.truth.shape == (2, 1, *original.window.size)
    for altered in draw(3)[1:]:
        assert int(altered.masks.sum()) >= 50
        assert altered.early.entered.shape == (1, 3, *altered.window.size)


def test_what_a_fixed_backbone_made_is_what_tracking_sees(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    config = TargetFinetuneConfig(frames=1, references=1, pixels=64 * 64, blocks=0)
    pairs = FramePairs(target_network, config, "fp32")
    pairs.prepare([(images[0], labels)], None, Generator().manual_seed(0))
    first = pairs.frames[0]
    found = pairs._features(first, gradients=False)
    seen = target_network.features(first.window.crop(images[:1]))
    f2, f4, f8 = map(as_floats, seen.levels[:3])
    laterals = target_network.decoder.outline_laterals()
    wanted = [layer(level) for layer, level in zip(laterals, (f2, f4, f8), strict=True)]
    # Altered frames are bytes.
    for one, other in zip(found.levels, (*wanted, seen.levels[3]), strict=True):
        torch.testing.assert_close(one, other, rtol=0.01, atol=0.01)
    torch.testing.assert_close(found.key, seen.key, rtol=0.01, atol=0.003)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch", 0), ("frames", 0), ("references", 0), ("blocks", -1), ("steps", -1)],
)
def test_numbers_that_are_too_low_are_refused(name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{name}.*>= {value + 1}"):
        TargetFinetuneConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("semantic", ["deeplab", "none"])
def test_beside_a_second_backbone_a_share_of_the_generic_weights_is_kept(
    semantic: SemanticName, images: Tensor, labels: Tensor
) -> None:
    """The mean of the weights, and not a smaller step."""
    small = TargetNetConfig(key=8, value=4, embedding=8, widths=(8, 8, 8, 8), semantic=semantic)
    torch.manual_seed(0)
    network = build_target_net(small).eval()
    whole, part = (
        tuned(network, images[0], labels, steps=2, frames=2, tuned_share=share).state_dict()
        for share in (1.0, 0.25)
    )
    kept = 0.25 if semantic == "deeplab" else 1.0
    for name, before in network.state_dict().items():
        torch.testing.assert_close(part[name], torch.lerp(before, whole[name], kept))
    assert not torch.equal(whole["key.weight"], network.key.weight)


@pytest.mark.parametrize(("semantic", "blocks"), [("deeplab", 0), ("none", 1)])
def test_a_backbone_that_is_alone_learns(semantic: SemanticName, blocks: int) -> None:
    small = TargetNetConfig(key=8, value=4, embedding=8, widths=(8, 8, 8, 8), semantic=semantic)
    network = build_target_net(small)
    assert TargetFinetuneConfig().trained_blocks(network) == blocks
    assert TargetFinetuneConfig(blocks=2).trained_blocks(network) == 2


def test_lateral_layers_of_what_is_fixed_stay_as_they_are(
    target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    fitted = tuned(target_network, images[0], labels, steps=2, frames=1)
    before, after = (network.decoder for network in (target_network, fitted))
    for one, other in zip(before.outline_laterals(), after.outline_laterals(), strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))
    deep = [next(decoder.lateral[3].parameters()) for decoder in (before, after)]
    assert not torch.equal(*deep)
    assert all(parameter.requires_grad for parameter in after.parameters())


@pytest.mark.parametrize("objects", [1, 2])
def test_every_second_altered_frame_of_one_object_is_seen_smaller(
    objects: int, target_network: TargetNet, images: Tensor, labels: Tensor
) -> None:
    areas = []
    for second in (64 * 64, None):
        config = TargetFinetuneConfig(frames=4, pixels=128 * 128, second_pixels=second)
        pairs = FramePairs(target_network, config, "fp32")
        seen = labels * (labels <= objects)
        pairs.prepare([(images[0], seen)], None, Generator().manual_seed(0))
        areas.append([frame.window.size[0] * frame.window.size[1] for frame in pairs.frames])
    smaller, whole = areas
    assert (smaller[0], smaller[1], smaller[3]) == (whole[0], whole[1], whole[3])
    assert (smaller[2] < whole[2]) == (objects == 1)
    assert (smaller[2:] == whole[2:]) == (objects == 2)
