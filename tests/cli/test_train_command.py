"""Training the generic model from the command line, on a clip of our own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.masks import read_label_map, write_label_map
from vostrack.models.foreground import NetworkConfig, SegmentationNet, TopDownHead
from vostrack.models.weights import (
    initialise,
    load_network,
    load_semantic_backbone,
    load_target_net,
    shipped_weights,
)
from vostrack.training.foreground import ForegroundRecipe, ForegroundTraining, foreground_loss
from vostrack.training.loop import LoopConfig, train


@pytest.fixture
def davis(clip_folder: Path, tmp_path: Path) -> Path:
    root = tmp_path / "DAVIS"
    for path in sorted((clip_folder / "frames").iterdir()):
        target = root / "JPEGImages" / "480p" / "clip" / f"{path.stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target, quality=95)
    for path in sorted((clip_folder / "truth").iterdir()):
        write_label_map(root / "Annotations" / "480p" / "clip" / path.name, read_label_map(path))
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("clip\n")
    return root


def test_it_trains_and_the_result_can_be_tracked_with(
    davis: Path, settings: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    argv = ["train", "foreground", "--root", str(davis), "--output", str(runs), "--weights", "none"]
    argv += [
        "--strides",
        "2",
        "4",
        "--width",
        "4",
        "--steps",
        "150",
        "--batch",
        "2",
        "--side",
        "48",
    ]
    assert main(argv) == 0
    assert "6 frames" in capsys.readouterr().out
    losses = [json.loads(line)["loss"] for line in (runs / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 150
    assert np.mean(losses[-30:]) < 0.95 * np.mean(losses[:30])
    network = load_network(runs / "foreground.safetensors")
    assert network.config.strides == (2, 4)
    assert main([*argv, "--exclude", "clip"]) == 2
    assert "--exclude: it leaves out the only video" in capsys.readouterr().err


def test_it_learns_from_photographs_too(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("JPEGImages", "Mattes"):
        (tmp_path / "photos" / part).mkdir(parents=True)
        for name in "bcd":  # "a" would be held out
            image = np.zeros((64, 64, 3)[: 3 if part == "JPEGImages" else 2], np.uint8)
            image[16:48, 16:48] = 255
            Image.fromarray(image).save(tmp_path / "photos" / part / f"{name}.png")
    argv = ["train", "foreground", "--root", str(davis), "--output", str(tmp_path / "runs")]
    argv += ["--weights", "none", "--strides", "2", "4", "--width", "4", "--steps", "1"]
    argv += ["--batch", "1", "--side", "32", "--photo-share", "1"]
    assert main(argv) == 2
    assert "give --photos" in capsys.readouterr().err
    argv += ["--photos", str(tmp_path / "photos"), "--keep-backbone", "--semantic"]
    assert main(argv) == 0
    assert "6 frames and 3 photographs" in capsys.readouterr().out
    assert main([flag for flag in argv if flag != "--semantic"]) == 2
    assert "recipe (--semantic of network was 'deeplab', is 'none')" in capsys.readouterr().err
    path = tmp_path / "runs" / "foreground.safetensors"
    network, shipped = load_network(path), load_semantic_backbone()
    begun = initialise(NetworkConfig("resnet18", (2, 4), "topdown", 4), "none")
    assert network.semantic is not None
    _same(network.semantic, shipped)
    _same(network.backbone, begun.backbone)
    assert isinstance(network.head, TopDownHead)
    lateral = network.head.lateral[-1]
    assert isinstance(lateral, torch.nn.Conv2d)
    assert lateral.weight[:, begun.backbone.channels[-1] :].any()
    assert main([*argv, "--weights", str(path), "--output", str(tmp_path / "more")]) == 2
    assert "--semantic: the foreground network has a second" in capsys.readouterr().err


def test_it_begins_with_the_backbone_of_a_target_network(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "foreground", "--root", str(davis), "--width", "4", "--steps", "1"]
    argv += ["--batch", "1", "--side", "32", "--keep-backbone"]
    heads: list[torch.nn.Module] = []
    for source in ("target", str(shipped_weights("target"))):
        runs = tmp_path / str(len(heads))
        assert main([*argv, "--weights", source, "--output", str(runs)]) == 0
        network = load_network(runs / "foreground.safetensors")
        image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        wanted = load_target_net().features(image).levels[1:]
        levels = network.features(image)
        for found, level in zip(levels, wanted, strict=True):
            torch.testing.assert_close(found, level, rtol=1e-3, atol=1e-3)
        heads.append(network.head)
    _same(*heads)
    capsys.readouterr()
    argv += ["--weights", "target", "--output", str(tmp_path / "more")]
    assert main([*argv, "--strides", "8", "16", "32"]) == 2
    assert "so it has none of 32" in capsys.readouterr().err
    assert main([*argv, "--backbone", "resnet50"]) == 2
    assert "was trained on the backbone 'resnet18'" in capsys.readouterr().err


def _same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    assert all(name == like and torch.equal(a, b) for (name, a), (like, b) in pairs)


def test_photographs_are_mixed_in_by_their_share() -> None:
    photo = (torch.full((3, 40, 50), 250, dtype=torch.uint8), torch.ones(40, 50, dtype=torch.long))
    counts = []
    for share in (0.0, 0.5, 1.0):
        recipe = ForegroundRecipe(batch=40, side=32, photo_share=share)
        network = initialise(NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded"), "none")
        training = ForegroundTraining(network, samples(), recipe, [photo])
        counts.append(_of_photos(training))
    assert counts[0] == 0
    assert 10 < counts[1] < 30
    assert counts[2] == 40


def _of_photos(training: ForegroundTraining) -> int:
    """Only a photograph is foreground wherever it is known; noise is not."""
    _, labels = training.draw(torch.Generator().manual_seed(0), 0)
    return sum(bool((one != 0).all()) for one in labels)


def samples() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(3):
        image = torch.randint(0, 256, (3, 40, 50), generator=generator, dtype=torch.uint8)
        labels = torch.zeros(40, 50, dtype=torch.long)
        labels[10:30, 15:35] = 1
        pairs.append((image, labels))
    return pairs


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    recipe = ForegroundRecipe(batch=1, side=32)
    loop = LoopConfig(6, checkpoint_every=2)
    config = NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded")
    whole, cut, other = (initialise(config, "none") for _ in range(3))

    def follow(network: SegmentationNet, folder: str, stop_after: int | None = None) -> int:
        training = ForegroundTraining(network, samples(), recipe)
        settings = asdict(recipe)
        folder_path = tmp_path / folder
        return train(network, training, loop, folder_path, settings=settings, stop_after=stop_after)

    assert follow(whole, "a") == 6
    assert follow(cut, "b", stop_after=3) == 3
    assert follow(other, "b") == 6
    pairs = zip(whole.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(InputError, match="another recipe"):
        train(other, ForegroundTraining(other, samples(), recipe), loop, tmp_path / "b")


def test_no_samples_are_refused() -> None:
    network = initialise(NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded"), "none")
    with pytest.raises(InputError, match="expected at least one image"):
        ForegroundTraining(network, [])


def test_the_loss_by_hand() -> None:
    # Probability 1/2 everywhere, 3 labelled pixels of which 1 is foreground.
    target = torch.tensor([[[1, 0], [0, 255]]])
    dice = 1 - (2 * 0.5 + 1) / (1.5 + 1 + 1)
    expected = np.log(2) + dice
    assert foreground_loss(torch.zeros(1, 2, 2, 2), target).item() == pytest.approx(expected)
