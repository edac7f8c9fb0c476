"""The losses of a target network, fitting it to a frame, and that it learns from clips."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.models.target_net import TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.online_finetune.mask_perturbation import _filled, _grown, perturb_mask
from vostrack.online_finetune.target.finetune import (
    TargetFinetuneConfig,
    finetune_target_net,
    target_loss,
)
from vostrack.online_finetune.target.recipe import TargetRecipe, TargetTraining
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.online_finetune.target.video_clips import VideoClipConfig, VideoClips
from vostrack.training.loop import LoopConfig, train

SMALL = TargetNetConfig(key=8, value=8, embedding=8, labels=3, widths=(16, 12, 8, 8))
PLAIN = VideoClipConfig(lost=0, resumed=0, paste=0, absent=0, rotation=0, zoom=0, growth=0)
TINY = TargetRecipe(
    batch=2, learning_rate=5e-3, pixels=(48 * 48,), clip_length=(3, 4), truth_share=0
)


def test_perturbed_masks_are_near_and_not_the_truth() -> None:
    mask = torch.zeros(100, 120)
    mask[30:70, 40:80] = 1
    overlaps = []
    for seed in range(30):
        other = perturb_mask(mask, torch.Generator().manual_seed(seed))
        assert bool(((other == 0) | (other == 1)).all())
        both, either = (mask * other).sum(), (mask + other).clamp(max=1).sum()
        overlaps.append(float(both / either))
    assert 0.5 < np.mean(overlaps) < 0.95
    assert len(set(overlaps)) > 20
    empty = perturb_mask(torch.zeros(8, 9), torch.Generator().manual_seed(0))
    assert empty.shape == (8, 9)
    assert not empty.any()


@pytest.mark.parametrize("seed", range(20))
def test_masks_are_grown_in_the_box_that_they_reach(seed: int) -> None:
    draw = np.random.default_rng(seed)
    mask = np.zeros((61, 83), np.uint8)
    # Some masks end at the frame.
    cv2.circle(mask, (int(draw.integers(90)), int(draw.integers(60))), 20, 1, -1)
    mask[30, 40] = 1
    side = 2 * int(draw.integers(1, 9)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    np.testing.assert_array_equal(_grown(mask, kernel, shrink=False), cv2.dilate(mask, kernel))
    np.testing.assert_array_equal(_grown(mask, kernel, shrink=True), cv2.erode(mask, kernel))
    for found, expected in zip(_filled(mask), np.nonzero(mask), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_bytes_are_perturbed_like_floats_and_stay_as_they_are() -> None:
    mask = torch.zeros(60, 70, dtype=torch.uint8)
    mask[20:40, 25:50] = 1
    for seed in range(10):
        found = perturb_mask(mask, torch.Generator().manual_seed(seed))
        assert found.equal(perturb_mask(mask.float(), torch.Generator().manual_seed(seed)))
    assert mask.sum() == 500


def test_the_loss_is_cross_entropy_and_dice() -> None:
    logits, mask = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    entropy = -(math.log(p) + math.log(1 - q)) / 2
    dice = 1 - (2 * p + 50) / (p + q + 1 + 50)
    assert float(target_loss(logits, mask)) == pytest.approx(entropy + dice, rel=1e-5)


def test_training_lowers_every_loss(videos: list[VideoSequence], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_target_net(SMALL)
    recipe = TargetTraining(network, VideoClips(videos, PLAIN), TINY, 10)
    groups = recipe.parameter_groups()
    assert sum(len(group["params"]) for group in groups) == sum(
        p.requires_grad for p in network.parameters()
    )
    before = {k: v.clone() for k, v in network.state_dict().items()}

    def losses() -> dict[str, float]:
        with torch.no_grad():
            drawn = [recipe.draw(torch.Generator().manual_seed(900 + i), 0) for i in range(2)]
            every = [recipe.losses(batch) for batch in drawn]
        return {k: float(np.mean([float(e[k]) for e in every])) for k in every[0]}

    first = losses()
    assert set(first) == {"mask", "rivals", "classifier", "presence", "confirmed"}
    train(network, recipe, LoopConfig(steps=10, clip_norm=2.0, precision="fp32"), tmp_path)
    assert losses()["mask"] < 0.85 * first["mask"]
    changed = {
        k.split(".")[2]
        for k, v in network.state_dict().items()
        if "backbone" in k and not torch.equal(v, before[k])
    }
    # Shares of 0 keep the stages of stride 2 and 4 as they were.
    assert changed == {"layer2", "layer3"}


class NoClips:
    def draw(self, generator: torch.Generator, length: int) -> TrainingClip:
        raise AssertionError


def test_every_stage_has_its_own_rate() -> None:
    network = build_target_net(SMALL)
    recipe = TargetRecipe(learning_rate=1e-3, backbone_shares=(0.1, 0.2, 0.3, 0.4))
    groups = TargetTraining(network, NoClips(), recipe, 10).parameter_groups()
    assert [group["lr"] for group in groups] == pytest.approx(
        [1e-4, 2e-4, 3e-4, 4e-4, 1e-3, 1e-3, 3e-3]
    )
    first = [p.shape for p in groups[0]["params"]]
    assert first == [network.backbone.state_dict()["layers.conv1.weight"].shape, (64,)]
    every = [id(p) for group in groups for p in group["params"]]
    assert sorted(every) == sorted(id(p) for p in network.parameters())


def test_outlines_may_stay_as_they_are() -> None:
    network = build_target_net(SMALL)
    recipe = TargetRecipe(learning_rate=1e-3, outline_share=0)
    groups = TargetTraining(network, NoClips(), recipe, 10).parameter_groups()
    trained = {id(p) for group in groups for p in group["params"]}
    fixed = {name for name, p in network.decoder.named_parameters() if id(p) not in trained}
    assert {name.split(".")[0] for name in fixed} == {
        "lateral",
        "reduce",
        "fuse",
        "smooth",
        "coarse",
        "fine",
    }
    assert "lateral.3.weight" not in fixed
    assert all(p.requires_grad == (id(p) in trained) for p in network.decoder.parameters())


def test_clips_get_longer(videos: list[VideoSequence]) -> None:
    recipe = TargetTraining(build_target_net(SMALL), VideoClips(videos, PLAIN), TINY, 10)
    lengths = [
        len(recipe.draw(torch.Generator().manual_seed(step), step)[0]["images"])
        for step in range(10)
    ]
    assert lengths == [3] * 5 + [4] * 5
    eight = TargetRecipe(clip_length=(3, 8))
    assert [eight.length_at(x / 10) for x in (0, 2, 5, 9)] == [3, 4, 6, 8]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip_length", (1, 3)),
        ("clip_length", (4, 3)),
        ("pixels", ()),
        ("backbone_shares", (0.1, 0.1, 0.1)),
        ("backbone_shares", (0.0, 0.1, 0.0, 0.1)),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=f"^{name}: "):
        TargetRecipe(**{name: value})  # type: ignore[arg-type]


@pytest.mark.usefixtures("torchs_own_weights")
def test_fine_tuning_lowers_the_loss_of_its_frame(videos: list[VideoSequence]) -> None:
    torch.manual_seed(1)
    network = build_target_net(SMALL)
    image = torch.from_numpy(np.array(Image.open(videos[0].frames[0]))).permute(2, 0, 1) / 255
    labels = torch.from_numpy(np.array(Image.open(str(videos[0].annotations[0])))).long() // 255

    def error() -> float:
        with torch.no_grad():
            features = network.features(image[None, :, :112])
            mask = labels[None, None, :112].float()
            places = torch.zeros(1, 2, 7, 10)
            memory = network.remember(features, mask, places)
            near = torch.ones(1)
            logits = network(
                features, places, ([memory], [memory]), memory.statistics, mask, near
            ).logits
        return float(target_loss(logits, mask))

    before = error()
    # Lateral layers stay as they are, and here they are random: this takes more steps.
    config = TargetFinetuneConfig(steps=60, batch=1, learning_rate=1e-2, pixels=64 * 64)
    finetune_target_net(network, image, labels, config, precision="fp32")
    assert error() < 0.8 * before
    assert not network.training
    assert all(p.requires_grad for p in network.parameters())


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="steps"):
        TargetFinetuneConfig(steps=-1)
    with pytest.raises(InputError, match="previous_known"):
        TargetFinetuneConfig(previous_known=2)
