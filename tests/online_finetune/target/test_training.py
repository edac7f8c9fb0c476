"""Clips to train on, the losses, and that a target network learns from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.models.target_net import TargetNetConfig, build_target_net
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.clip_samples import ClipConfig, ClipSamples
from vostrack.online_finetune.target.finetune import (
    TargetFinetuneConfig,
    finetune_target_net,
    target_loss,
)
from vostrack.online_finetune.target.recipe import TargetRecipe, TargetTraining
from vostrack.training.loop import LoopConfig, train

SMALL = TargetNetConfig(key=8, value=8, embedding=8, labels=3, widths=(16, 12, 8, 8))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[VideoSequence]:
    """Two videos of five frames: a red box and a blue disk move over noise."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("videos")
    videos = []
    for name, colour in (("red", (230, 20, 20)), ("blue", (20, 20, 230))):
        frames, masks = [], []
        back = rng.integers(60, 140, (120, 160, 3)).astype(np.uint8)
        for t in range(5):
            y, x = np.mgrid[:120, :160]
            box = (abs(x - 60 - 5 * t) < 22) & (abs(y - 60) < 18)
            disk = (x - 70 - 5 * t) ** 2 + (y - 55) ** 2 < 500
            mask = box if name == "red" else disk
            frames.append(root / f"{name}{t}.jpg")
            masks.append(root / f"{name}{t}.png")
            Image.fromarray(np.where(mask[..., None], np.array(colour, np.uint8), back)).save(
                frames[-1]
            )
            Image.fromarray(mask.astype(np.uint8) * 255).save(masks[-1])
        videos.append(
            VideoSequence(name, tuple(frames), tuple(masks), ((0, masks[0]),), "binary", "")
        )
    return videos


def test_a_clip_shows_its_object(videos: list[VideoSequence]) -> None:
    samples = ClipSamples(videos, ClipConfig(side=96, paste=0, absent=0))
    assert len(samples) == 2
    for seed in range(12):
        clip = samples.draw(torch.Generator().manual_seed(seed))
        assert clip.images.shape == (3, 3, 96, 96)
        assert clip.masks.shape == (3, 1, 96, 96)
        assert clip.degraded.shape == (1, 96, 96)
        red, _, blue = clip.images.unbind(1)
        inside = clip.masks[:, 0] > 0
        assert inside.sum() > 500
        # The object is the saturated thing: red far from blue inside, and nowhere else.
        vivid = (red - blue).abs() > 0.25
        assert (vivid == inside).float().mean() > 0.9


def test_clips_are_replayable_and_vary(videos: list[VideoSequence]) -> None:
    samples = ClipSamples(videos, ClipConfig(side=64))
    one, again, other = (
        samples.draw(torch.Generator().manual_seed(seed)).images for seed in (3, 3, 4)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_pasted_object_hides_or_is_the_target(videos: list[VideoSequence]) -> None:
    config = ClipConfig(side=96, paste=1, paste_is_target=1, absent=0)
    colours = set()
    for seed in range(12):
        clip = ClipSamples(videos[:1] + videos[1:], config).draw(
            torch.Generator().manual_seed(seed)
        )
        inside = clip.masks[0, 0] > 0
        if inside.any():
            red, _, blue = (clip.images[0, c][inside].mean() for c in range(3))
            assert abs(float(red - blue)) > 0.15
            colours.add(bool(red > blue))
    assert colours == {True, False}


def test_which_object_is_followed(videos: list[VideoSequence]) -> None:
    def is_red(seed: int, **changes: float) -> bool:
        config = ClipConfig(side=96, absent=0, **changes)  # type: ignore[arg-type]
        clip = ClipSamples(videos, config).draw(torch.Generator().manual_seed(seed))
        inside = clip.masks[0, 0] > 0
        return bool(clip.images[0, 0][inside].mean() > clip.images[0, 2][inside].mean())

    changed = 0
    for seed in range(12):
        host = is_red(seed, paste=0)
        assert is_red(seed, paste=1, paste_is_target=0) == host
        changed += is_red(seed, paste=1, paste_is_target=1) != host
    assert changed >= 3  # where another video was drawn, its object is the one


def test_an_object_can_be_absent(videos: list[VideoSequence]) -> None:
    clip = ClipSamples(videos, ClipConfig(side=96, paste=0, absent=1)).draw(
        torch.Generator().manual_seed(0)
    )
    assert clip.masks[1].any()
    assert not clip.masks[2].any()


def test_one_of_several_objects_is_followed(videos: list[VideoSequence], tmp_path: Path) -> None:
    frames, masks = [], []
    for t in range(2):
        labels = np.zeros((120, 160), np.uint8)
        labels[20:60, 20:60], labels[60:100, 90:130], labels[:4] = 1, 2, 255
        picture = np.full((120, 160, 3), 90, np.uint8)
        picture[labels == 1], picture[labels == 2] = (240, 0, 0), (0, 0, 240)
        frames.append(tmp_path / f"{t}.jpg")
        masks.append(tmp_path / f"{t}.png")
        Image.fromarray(picture).save(frames[-1])
        Image.fromarray(labels).save(masks[-1])
    video = VideoSequence("two", tuple(frames), tuple(masks), ((0, masks[0]),), "ids", "")
    samples = ClipSamples([video], ClipConfig(side=96, paste=0, absent=0))
    found = set()
    for seed in range(10):
        clip = samples.draw(torch.Generator().manual_seed(seed))
        inside = clip.masks[:, 0] > 0
        red = clip.images[:, 0][inside] - clip.images[:, 2][inside]
        assert (red > 0.1).float().mean() > 0.95 or (red < -0.1).float().mean() > 0.95
        found.add(bool(red.mean() > 0))
    assert found == {True, False}


def test_no_annotated_video_is_an_error(videos: list[VideoSequence]) -> None:
    bare = VideoSequence("bare", videos[0].frames, (None,) * 5, (), "binary", "")
    with pytest.raises(InputError, match="none of the videos"):
        ClipSamples([bare], ClipConfig())
    with pytest.raises(InputError, match="side"):
        ClipConfig(side=100)


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


def test_the_loss_is_cross_entropy_and_dice() -> None:
    logits, mask = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    entropy = -(math.log(p) + math.log(1 - q)) / 2
    dice = 1 - (2 * p + 50) / (p + q + 1 + 50)
    assert float(target_loss(logits, mask)) == pytest.approx(entropy + dice, rel=1e-5)


def test_training_lowers_every_loss(videos: list[VideoSequence], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_target_net(SMALL)
    samples = ClipSamples(videos, ClipConfig(side=64, rotation=0))
    recipe = TargetTraining(network, samples, TargetRecipe(batch=2, learning_rate=3e-3))
    groups = recipe.parameter_groups()
    assert sum(len(group["params"]) for group in groups) == sum(
        p.requires_grad for p in network.parameters()
    )
    frozen = {k: v.clone() for k, v in network.state_dict().items() if ".layer1." in k}

    def losses() -> dict[str, float]:
        with torch.no_grad():
            drawn = [recipe.draw(torch.Generator().manual_seed(900 + i), 0) for i in range(6)]
            every = [recipe.losses(batch) for batch in drawn]
        return {k: float(np.mean([float(e[k]) for e in every])) for k in every[0]}

    before = losses()
    assert set(before) == {
        f"{name}{part}" for name in ("second", "third") for part in ("", "_classifier", "_presence")
    }
    train(network, recipe, LoopConfig(steps=40, clip_norm=2.0), tmp_path)
    after = losses()
    assert after["second"] < 0.85 * before["second"]
    assert after["third"] < 0.85 * before["third"]
    state = network.state_dict()
    assert all(torch.equal(state[k], v) for k, v in frozen.items())


@pytest.mark.parametrize("truth_share", [0.0, 1.0])
def test_the_second_memory_is_the_networks_own_mask_or_a_degraded_truth(
    videos: list[VideoSequence], monkeypatch: pytest.MonkeyPatch, truth_share: float
) -> None:
    torch.manual_seed(0)
    network = build_target_net(SMALL)
    samples = ClipSamples(videos, ClipConfig(side=64, rotation=0))
    recipe = TargetTraining(network, samples, TargetRecipe(batch=2, truth_share=truth_share))
    remembered: list[torch.Tensor] = []
    answers: list[torch.Tensor] = []
    remember, decode = network.remember, network.decoder.forward

    def spy_remember(features: Any, mask: torch.Tensor, *rest: Any, **options: Any) -> Any:
        remembered.append(mask)
        return remember(features, mask, *rest, **options)

    def spy_decode(*inputs: Any) -> Any:
        found = decode(*inputs)
        answers.append(found[0])
        return found

    monkeypatch.setattr(network, "remember", spy_remember)
    monkeypatch.setattr(network.decoder, "forward", spy_decode)
    batch = recipe.draw(torch.Generator().manual_seed(3), 0)
    with torch.no_grad():
        recipe.losses(batch)
    own = torch.nn.functional.interpolate(
        answers[0], size=(64, 64), mode="bilinear", align_corners=False
    ).sigmoid()
    torch.testing.assert_close(remembered[1], batch["degraded"] if truth_share else own)


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
    config = TargetFinetuneConfig(steps=30, batch=1, learning_rate=1e-2, pixels=64 * 64)
    finetune_target_net(network, image, labels, config)
    assert error() < 0.8 * before
    assert not network.training
    assert all(p.requires_grad for p in network.parameters())


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="steps"):
        TargetFinetuneConfig(steps=-1)
    with pytest.raises(InputError, match="previous_known"):
        TargetFinetuneConfig(previous_known=2)
