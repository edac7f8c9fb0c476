"""Training on drawn images in VOC and SBD layout: targets by hand, the loop, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vostrack.cli.train_detection_crf import TrainDetectionCrfCommand
from vostrack.datasets.voc import VocSample, open_voc
from vostrack.errors import InputError
from vostrack.masks import write_label_map
from vostrack.models.fcn8s import Fcn8s
from vostrack.proposers.detection_crf import DetectionCrf
from vostrack.proposers.detection_crf.recipe import (
    DetectionCrfRecipe,
    DetectionCrfTraining,
    JointNetwork,
    instance_target,
)
from vostrack.proposers.detections import Detections
from vostrack.training.loop import LoopConfig, train

SIZE = (40, 56)
# Two of class 3 beside each other, one of class 7; the last column of each is void.
BOXES = ((4, 6, 20, 30), (22, 6, 36, 30), (40, 10, 52, 36))
CLASSES = (3, 3, 7)


def _sample() -> VocSample:
    rng = np.random.default_rng(0)
    frame = rng.integers(90, 110, (*SIZE, 3)).astype(np.uint8)
    classes, instances = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    for index, ((x0, y0, x1, y1), label) in enumerate(zip(BOXES, CLASSES, strict=True)):
        frame[y0:y1, x0:x1] = ((220, 40, 40), (200, 80, 40), (40, 60, 220))[index]
        classes[y0:y1, x0:x1] = label
        instances[y0:y1, x0:x1] = index + 1
        classes[y0:y1, x1 - 1] = instances[y0:y1, x1 - 1] = 255
    return VocSample(frame, classes, instances)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A VOC folder with one image and its detections in boxes.json."""
    root, sample = tmp_path / "VOC", _sample()
    (root / "JPEGImages").mkdir(parents=True)
    Image.fromarray(sample.frame).save(root / "JPEGImages" / "a.jpg", quality=98)
    write_label_map(root / "SegmentationClass" / "a.png", sample.classes)
    write_label_map(root / "SegmentationObject" / "a.png", sample.instances)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    rows = [
        {"box": list(box), "score": 0.8, "label": label}
        for box, label in zip(BOXES, CLASSES, strict=True)
    ]
    (root / "boxes.json").write_text(json.dumps({"images": {"a": rows}}))
    return root


class Scores(nn.Module):
    """One score a class and pixel, trained directly."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.logits = nn.Parameter(torch.zeros(1, 21, *SIZE))

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.logits + 0 * self.norm(image).mean()
        return scores


def _training(root: Path, detections: bool = True, **settings: object) -> DetectionCrfTraining:
    torch.manual_seed(0)
    table = None
    if detections:
        rows = json.loads((root / "boxes.json").read_text())["images"]["a"]
        lists = ([row[key] for row in rows] for key in ("box", "score", "label"))
        table = {"a": Detections.from_lists(*lists)}
    recipe = DetectionCrfRecipe(**settings)  # type: ignore[arg-type]  # keywords of the dataclass
    return DetectionCrfTraining(
        JointNetwork(Scores(), DetectionCrf(21)), open_voc(root), table, recipe
    )


def test_target_by_hand() -> None:
    sample = _sample()
    # Of the true objects: the second, better; the second; none of its class; the first, cut.
    boxes = [[22, 6, 36, 30], [24, 8, 40, 32], [40, 10, 52, 36], [4, 6, 20, 20]]
    detections = Detections.from_lists(boxes, [0.5] * 4, [3, 3, 3, 3])
    target = instance_target(sample, detections)
    expected = np.where(sample.instances == 0, 0, 255)
    expected[6:30, 22:35] = 1
    expected[6:20, 4:19] = 4
    np.testing.assert_array_equal(target, expected)


def test_target_without_boxes_has_background_only() -> None:
    target = instance_target(_sample(), Detections.from_lists([], [], []))
    assert set(np.unique(target)) == {0, 255}


def test_a_draw_is_what_its_generator_says(voc: Path) -> None:
    training = _training(voc, detections=False, batch=2)
    first, again, other = (
        training.draw(torch.Generator().manual_seed(seed), 0)[0]["boxes"] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # Drawn boxes lie near the true ones, whose last column is void.
    truth = torch.tensor(BOXES) - torch.tensor([0, 0, 1, 0])
    nearest = (first[:, None] - truth).abs().amax(2).amin(1)
    assert float(nearest.max()) < 10


def test_images_are_scaled_with_their_boxes(voc: Path) -> None:
    example = _training(voc, max_side=32).draw(torch.Generator(), 0)[0]
    assert example["image"].shape == (3, 23, 32)
    assert example["classes"].shape == example["instances"].shape == (23, 32)
    torch.testing.assert_close(example["boxes"], torch.tensor(BOXES) * 32.0 / 56)


def test_losses_agree_with_their_definition(voc: Path) -> None:
    training = _training(voc, instance_weight=0.5)
    batch = training.draw(torch.Generator(), 0)
    losses = training.losses(batch)
    example = batch[0]
    boxes = Detections.from_lists(
        example["boxes"].numpy(), example["scores"].numpy(), example["labels"].numpy()
    )
    output = training.network.crf(
        example["image"], torch.zeros(21, *SIZE), boxes, example["foregrounds"]
    )
    for name, logits, factor in (
        ("classes", output.class_logits, 1.0),
        ("instances", output.instance_logits, 0.5),
    ):
        truth = example[name]
        known = truth != 255
        picked = logits.log_softmax(0).gather(0, torch.where(known, truth, 0)[None])[0]
        torch.testing.assert_close(losses[name], -factor * picked[known].mean())


def _total(training: DetectionCrfTraining) -> float:
    losses = training.losses(training.draw(torch.Generator(), 0))
    return sum(loss.item() for loss in losses.values())


def test_training_fits_the_image_and_reaches_every_weight(voc: Path, tmp_path: Path) -> None:
    training = _training(voc, learning_rate=0.3, potential_learning_rate=0.1)
    before = {k: v.clone() for k, v in training.network.named_parameters()}
    first = _total(training)
    # Batch statistics stay: a batch is one image.
    mean = training.network.semantic.get_buffer("norm.running_mean").clone()
    config = LoopConfig(steps=12, weight_decay=0, precision="fp32")
    train(training.network, training, config, tmp_path / "run")
    assert torch.equal(training.network.semantic.get_buffer("norm.running_mean"), mean)
    last = _total(training)
    assert last < 0.3 * first
    still = {k for k, v in training.network.named_parameters() if torch.equal(before[k], v)}
    assert {name for name in still if "norm" not in name} == set()


def test_an_image_without_boxes_gives_every_weight_a_gradient(voc: Path) -> None:
    training = _training(voc)
    training.table = {"a": Detections.from_lists([], [], [])}
    losses = training.losses(training.draw(torch.Generator(), 0))
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in training.network.crf.parameters())


def test_unusable_settings_are_refused(voc: Path) -> None:
    with pytest.raises(InputError, match="batch: expected at least 1, got 0"):
        DetectionCrfRecipe(batch=0)
    with pytest.raises(InputError, match="max_side"):
        DetectionCrfRecipe(max_side=5)
    with pytest.raises(InputError, match="below 255"):
        DetectionCrfRecipe(max_detections=255)
    with pytest.raises(InputError, match="no entry for 1 training image, the first a"):
        DetectionCrfTraining(
            JointNetwork(Scores(), DetectionCrf(21)), open_voc(voc), {"b": _none()}
        )


def _none() -> Detections:
    return Detections.from_lists([], [], [])


def test_command_trains_and_propose_takes_the_result(voc: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from vostrack.cli import main

    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    save_file(Fcn8s(21, (4, 4, 6, 6, 6), 8).state_dict(), start)
    run = tmp_path / "run"
    command = TrainDetectionCrfCommand(
        root=voc,
        output=run,
        semantic="fcn8s_vgg16",
        semantic_weights=start,
        detections=voc / "boxes.json",
        steps=3,
        device="cpu",
        quiet=True,
    )
    assert command.run() == 0
    assert len((run / "log.jsonl").read_text().splitlines()) == 3
    status = main(
        [
            *("propose", "--method", "detection-crf", "--quiet", "--device", "cpu"),
            *("--images", str(voc / "JPEGImages"), "--output", str(tmp_path / "out")),
            *("--detections", str(voc / "boxes.json"), "--semantic", "fcn8s_vgg16"),
            *("--semantic-weights", str(run / "semantic.safetensors")),
            *("--detection-crf-weights", str(run / "crf.safetensors")),
        ]
    )
    assert status == 0
    assert (tmp_path / "out" / "a.png").is_file()
    with pytest.raises(InputError, match="`freeze_semantic` was False, is True"):
        replace(command, freeze_semantic=True).run()
    copy = voc / "ImageSets" / "Segmentation" / "val.txt"
    copy.write_text("a\n")
    with pytest.raises(InputError, match="`subset` was 'train', is 'val'"):
        replace(command, subset="val").run()
    (voc / "boxes.json").write_text((voc / "boxes.json").read_text() + "\n")
    with pytest.raises(InputError, match="`detections` was '1 file, digest"):
        command.run()
    write_label_map(voc / "SegmentationObject" / "a.png", np.eye(*SIZE, dtype=np.uint8))
    with pytest.raises(InputError, match="`root` was '3 files, digest"):
        command.run()


def test_command_refuses_to_freeze_what_is_untrained(voc: Path, tmp_path: Path) -> None:
    command = TrainDetectionCrfCommand(root=voc, output=tmp_path / "run", freeze_semantic=True)
    with pytest.raises(InputError, match="--semantic-weights"):
        command.run()
