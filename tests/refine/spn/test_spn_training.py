"""Training the propagation networks: pictures, draws, losses, and that it helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor, nn
from torch.nn import functional

from vostrack.cli import main
from vostrack.datasets import open_davis
from vostrack.datasets.synthetic import render_clip
from vostrack.datasets.synthetic_scene import SyntheticScene
from vostrack.errors import InputError
from vostrack.refine.spn import (
    LightGuidanceHead,
    LightSpnConfig,
    SpatialPropagationNetwork,
    SpnConfig,
)
from vostrack.refine.spn.degradation import DegradationConfig
from vostrack.refine.spn.pictures import DavisPictures, Picture, SyntheticPictures, VocPictures
from vostrack.refine.spn.recipe import SpnRecipe, SpnTraining, train_spn
from vostrack.refine.spn.weights import load_spn

SMALL = SpnRecipe(steps=4, batch=3, crop=48, warmup=0, checkpoint_every=2)


def two_levels(image: Tensor) -> Sequence[Tensor]:
    """Stand in for a backbone."""
    return [functional.avg_pool2d(image, stride, ceil_mode=True) for stride in (4, 8)]


def light_head() -> LightGuidanceHead:
    torch.manual_seed(0)
    return LightGuidanceHead(LightSpnConfig((3, 3)))


def values(labels: Tensor) -> list[int]:
    return sorted(set(labels.flatten().tolist()))


def picture(*labels: int, classes: bool = False) -> Picture:
    """Rectangles side by side, each of one label and its own colour, below a void stripe."""
    mask = torch.zeros(70, 40 * len(labels), dtype=torch.long)
    image = torch.full((3, *mask.shape), 90, dtype=torch.uint8)
    for k, label in enumerate(labels):
        mask[10:60, 40 * k + 5 : 40 * k + 35] = label
        image[k % 3, 10:60, 40 * k + 5 : 40 * k + 35] = 250
    mask[5:8] = 255
    return Picture(image, mask, classes)


def training(pictures: Sequence[Picture], recipe: SpnRecipe = SMALL, **options: Any) -> SpnTraining:
    return SpnTraining(light_head(), [(1.0, pictures)], recipe, features=two_levels, **options)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2012"
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("2007_000032\n2011_003271\n")
    for name, labels in (("2007_000032", (3, 15)), ("2011_003271", (20,))):
        image, mask, _ = picture(*labels)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / "JPEGImages" / f"{name}.jpg")
        palette = Image.fromarray(mask.numpy().astype(np.uint8), mode="P")
        palette.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
        palette.save(root / "SegmentationClass" / f"{name}.png")
    return root


def test_voc_pictures_are_those_of_the_list(voc: Path) -> None:
    pictures = VocPictures(voc)
    assert len(pictures) == 2
    first, second = pictures[:2]
    expected = picture(3, 15)
    assert torch.equal(first.labels, expected.labels)
    assert (first.image.float() - expected.image.float()).abs().mean() < 9  # JPEG
    assert values(second.labels) == [0, 20, 255]
    assert first.classes
    with pytest.raises(IndexError):
        pictures[2]
    (voc / "JPEGImages" / "2011_003271.jpg").unlink()
    with pytest.raises(InputError, match=r"1 files missing, first .*2011_003271\.jpg"):
        VocPictures(voc)
    with pytest.raises(InputError, match=r"no list .*val\.txt"):
        VocPictures(voc, "val")
    (voc / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(InputError, match="no names"):
        VocPictures(voc, "val")
    mask = voc / "SegmentationClass" / "2007_000032.png"
    Image.open(mask).convert("RGB").save(mask)
    with pytest.raises(InputError, match="one channel, got mode RGB"):
        pictures[0]


@pytest.mark.parametrize(("year", "expected"), [(2016, [0, 1]), (2017, [0, 2, 5, 255])])
def test_davis_pictures_keep_ids_and_void(tmp_path: Path, year: int, expected: list[int]) -> None:
    image, mask, _ = picture(2, 5)
    if year == 2016:
        mask = (mask > 0).long() * 255
    for kind, suffix, array in (
        ("JPEGImages", "jpg", image.permute(1, 2, 0)),
        ("Annotations", "png", mask.byte()),
    ):
        folder = tmp_path / kind / "480p" / "goat"
        folder.mkdir(parents=True)
        for frame in ("00000", "00001"):
            Image.fromarray(array.numpy()).save(folder / f"{frame}.{suffix}")
    (tmp_path / "ImageSets" / str(year)).mkdir(parents=True)
    (tmp_path / "ImageSets" / str(year) / "train.txt").write_text("goat\n")
    pictures = DavisPictures(open_davis(tmp_path, year=year, subset="train"))
    assert len(pictures) == 2
    assert values(pictures[1].labels) == expected
    assert not pictures[1].classes
    with pytest.raises(InputError, match="annotated frame"):
        DavisPictures([])


def test_synthetic_pictures_are_frames_of_clips() -> None:
    pictures = SyntheticPictures(3, seed=7, frames=2, size=(64, 80), objects=2)
    assert len(pictures) == 6
    frames, labels = render_clip(SyntheticScene(size=(64, 80), frames=2, objects=2, seed=8))
    for k in (1, 0):
        image, mask, classes = pictures[2 + k]
        np.testing.assert_array_equal(image.permute(1, 2, 0), frames[k])
        np.testing.assert_array_equal(mask, labels[k])
        assert not classes
    with pytest.raises(InputError, match="at least 1 scene"):
        SyntheticPictures(0)


def test_a_draw_is_a_function_of_the_generator() -> None:
    trained = training([picture(1, 2), picture(4)])
    batch = trained.draw(Generator().manual_seed(5), 0)
    again = trained.draw(Generator().manual_seed(5), 9)
    other = trained.draw(Generator().manual_seed(6), 0)
    for name, shape in {
        "image": (3, 3, 48, 48),
        "truth": (3, 48, 48),
        "coarse": (3, 48, 48),
        "output": (3,),
    }.items():
        assert batch[name].shape == shape
        assert torch.equal(batch[name], again[name])
    assert not torch.equal(batch["truth"], other["truth"])
    assert batch["output"].tolist() == [-1, -1, -1]
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert 0 < batch["coarse"].min() < batch["coarse"].max() < 1


def test_crops_hold_one_of_the_objects_and_something_else() -> None:
    """Each object is about as frequent; everything that is not it is background, or void."""
    trained = training([picture(1, 2, 7)])
    means = []
    for seed in range(60):
        batch = trained.draw(Generator().manual_seed(seed), 0)
        for image, truth in zip(batch["image"], batch["truth"], strict=True):
            shares = [(truth == k).float().mean() for k in (0, 1, 255)]
            assert sum(shares) == pytest.approx(1)
            assert min(shares[:2]) >= 0.01
            means.append(int(image[:, truth == 1].mean(dim=1).argmax()))
    counts = torch.bincount(torch.tensor(means), minlength=3)
    assert counts.min() > 40, counts  # of 180; the colour of the object tells which it was


@pytest.mark.parametrize("outputs", [0, 2, 21])
def test_a_target_is_one_object_or_all_that_the_scorer_scores_and_void_is_neither(
    outputs: int,
) -> None:
    shown = picture(1, 2, classes=True)
    scorer = Scorer(outputs) if outputs else None
    trained = training([shown], scorer=scorer)
    for seed in range(4):
        generator = Generator().manual_seed(seed)
        output, target = trained._draw_target(shown, True, generator)
        assert torch.equal(target == 255, shown.labels == 255)
        covered = set(shown.labels[target == 1].tolist())
        assert len(covered) == (2 if outputs == 2 else 1)
        assert output in {0: {-1}, 2: {1}, 21: covered}[outputs]


def test_sources_are_drawn_by_their_weights() -> None:
    light = light_head()
    sources = [(3.0, [picture(1)]), (1.0, [picture(2, 2, 2)]), (0.0, [picture(3)]), (9.0, [])]
    trained = SpnTraining(light, sources, SMALL, features=two_levels)
    generator = Generator().manual_seed(0)
    drawn = [int(trained._draw_picture(generator).labels[20, 20]) for _ in range(400)]
    assert set(drawn) == {1, 2}
    assert drawn.count(1) == pytest.approx(300, abs=30)
    with pytest.raises(InputError, match="at least one picture"):
        SpnTraining(light, [(0.0, [picture(1)])], SMALL, features=two_levels)
    with pytest.raises(InputError, match="needs the features"):
        SpnTraining(light, sources, SMALL)


def test_a_picture_without_objects_is_all_background() -> None:
    batch = training([Picture(torch.zeros(3, 50, 60).byte(), torch.zeros(50, 60).long(), False)])
    drawn = batch.draw(Generator().manual_seed(0), 0)
    assert set(values(drawn["truth"])) <= {0, 255}
    assert drawn["coarse"].max() < 0.5
    assert batch.losses(drawn)["entropy"].isfinite()
    drawn["truth"].fill_(255)
    assert batch.losses(drawn)["entropy"] == 0


class Scorer(nn.Module):
    """Logits that tell the output and the image apart."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.seen = 0

    def forward(self, image: Tensor) -> Tensor:
        self.seen += len(image)
        ramp = torch.arange(self.outputs, dtype=torch.float32).view(1, -1, 1, 1)
        return ramp * image[:, :1]


@pytest.mark.parametrize(
    ("outputs", "classes", "allowed"),
    [(21, True, {3, 15}), (21, False, {-1}), (2, False, {1}), (4, True, {-1, 3})],
)
def test_a_scorer_scores_the_labels_it_knows(
    outputs: int, classes: bool, allowed: set[int]
) -> None:
    recipe = SpnRecipe(batch=12, crop=48, network_share=1.0)
    scorer = Scorer(outputs)
    trained = training([picture(3, 15, classes=classes)], recipe, scorer=scorer)
    batch = trained.draw(Generator().manual_seed(0), 0)
    assert set(batch["output"].tolist()) == allowed
    coarse = trained.coarse(batch)
    scores = Scorer(outputs)(batch["image"]).softmax(1)
    for k, output in enumerate(batch["output"].tolist()):
        expected = batch["coarse"][k] if output < 0 else scores[k, output]
        torch.testing.assert_close(coarse[k], expected)
    assert scorer.seen == sum(k >= 0 for k in batch["output"].tolist())
    half = SpnRecipe(batch=200, crop=32, network_share=0.3)
    drawn = training([picture(3, classes=True)], half, scorer=Scorer(21)).draw(
        Generator().manual_seed(1), 0
    )
    assert (drawn["output"] == 3).float().mean().item() == pytest.approx(0.3, abs=0.1)


def test_the_loss_of_a_head_is_the_entropy_of_what_it_returns() -> None:
    trained = training([picture(1, 2)])
    batch = trained.draw(Generator().manual_seed(3), 0)
    refined = trained.refine(batch["image"], batch["coarse"])
    counted = batch["truth"] != 255
    expected = functional.binary_cross_entropy(
        refined[counted], (batch["truth"][counted] == 1).float()
    )
    loss = trained.losses(batch)["entropy"]
    assert loss.item() == pytest.approx(expected.item(), rel=2e-2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert isinstance(trained.network, LightGuidanceHead)
    assert trained.network.gates.weight.grad is not None
    # Scores that are wrong beyond doubt still teach.
    batch["coarse"] = (batch["truth"] != 1).float()
    wrong = trained.losses(batch)["entropy"]
    assert 3 < wrong < 9.3
    trained.network.zero_grad()
    wrong.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in trained.network.gates.parameters()]
    assert all(g is not None and g.any() for g in gradients)


def test_the_loss_of_the_whole_network_and_its_rates() -> None:
    torch.manual_seed(0)
    network = SpatialPropagationNetwork(SpnConfig(channels=2, n_rounds=1))
    trained = SpnTraining(network, [(1.0, [picture(1, 2)])], SMALL)
    batch = trained.draw(Generator().manual_seed(3), 0)
    with torch.no_grad():
        logits = network(batch["image"], batch["coarse"])
        expected = functional.cross_entropy(logits, batch["truth"], ignore_index=255)
        assert trained.losses(batch)["entropy"].item() == pytest.approx(expected.item(), rel=1e-5)
        refined = trained.refine(batch["image"], batch["coarse"])
    torch.testing.assert_close(refined, logits.softmax(1)[:, 1])
    groups = trained.parameter_groups()
    assert [group["lr"] for group in groups] == pytest.approx([1e-4, 1e-3])
    members = [list(group["params"]) for group in groups]
    assert sum(p.numel() for p in members[0]) == 14_714_688  # VGG-16 without its classifier
    ids = [id(p) for group in members for p in group]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())


MILD = DegradationConfig(
    shift=3, spread=3, blur=2, cell=6, holes=0, islands=0, noise=0.3, steepness=(2, 6)
)


def test_training_lowers_the_loss_and_a_checkpoint_knows_its_network(tmp_path: Path) -> None:
    recipe = SpnRecipe(steps=40, batch=4, crop=64, learning_rate=3e-3, warmup=5, degradation=MILD)
    trained = training([picture(1, 2, 7)], recipe)
    assert isinstance(trained.network, LightGuidanceHead)
    trained.network.open_gates()
    unseen = [trained.draw(Generator().manual_seed(900 + k), 0) for k in range(5)]

    def judge() -> float:
        """Cross-entropy of crops that training does not draw."""
        with torch.no_grad():
            return sum(float(trained.losses(b)["entropy"]) for b in unseen) / len(unseen)

    before = judge()
    assert train_spn(trained, tmp_path, stop_after=1) == 1
    assert train_spn(trained, tmp_path) == 40
    # Gates open everywhere smear the objects; it has to close them at their edges at least.
    assert judge() < 0.6 * before
    other = LightGuidanceHead(LightSpnConfig((3, 3), stride=4))
    with pytest.raises(InputError, match="another recipe"):
        train_spn(SpnTraining(other, [(1.0, [picture(1)])], recipe, features=two_levels), tmp_path)


def test_the_command_trains_on_made_and_real_pictures(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "spn", "--output", str(tmp_path / "run"), "--steps", "3", "--batch", "2"]
    argv += ["--crop", "64", "--synthetic", "2", "--voc", str(voc), "--device", "cpu"]
    assert main([*argv, "--coarse", "shipped", "--quiet"]) == 0
    assert main(argv) == 0  # all done before
    out = capsys.readouterr().out
    assert "trained the light network" in out
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 3
    head = load_spn(tmp_path / "run" / "spn.safetensors")
    assert isinstance(head, LightGuidanceHead)
    assert main([*argv, "--seed", "1"]) == 2
    assert "another recipe (recipe.seed was 0, is 1)" in capsys.readouterr().err
    assert main(["train", "spn", "--output", str(tmp_path / "none")]) == 2
    assert "give --davis DIR, --voc DIR or --synthetic N" in capsys.readouterr().err
    assert main([*argv, "--synthetic-share", "2"]) == 2
    assert "synthetic_share: expected 0 .. 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch: expected at least 1"),
        ({"crop": 16}, "crop: expected at least 32, got 16"),
        ({"learning_rate": 0.0}, "learning_rate: expected over 0"),
        ({"learning_rate": float("inf")}, "learning_rate: expected a finite number"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"network_share": 1.5}, r"network_share: expected 0 \.\. 1"),
    ],
)
def test_recipes_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpnRecipe(**change)
