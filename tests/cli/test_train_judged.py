"""Trainings that are judged on the way, stop after a time and keep what they are told to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.cli import main
from vostrack.models.weights import load_network
from vostrack.training.held_out_images import judge_foreground, mean_iou


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """Two videos of three frames: a bright box on noise."""
    rng, root = np.random.default_rng(0), tmp_path / "DAVIS"
    for name in ("one", "two"):
        for part in ("JPEGImages", "Annotations"):
            (root / part / "480p" / name).mkdir(parents=True)
        for t in range(3):
            image = rng.integers(0, 90, (64, 96, 3)).astype(np.uint8)
            mask = np.zeros((64, 96), np.uint8)
            mask[16:48, 20 + 4 * t : 60 + 4 * t] = 1
            image[mask > 0] += 120
            Image.fromarray(image).save(root / "JPEGImages" / "480p" / name / f"{t:05d}.jpg")
            path = root / "Annotations" / "480p" / name / f"{t:05d}.png"
            saved = Image.fromarray(mask, "P")
            saved.putpalette([0, 0, 0, 128, 0, 0])
            saved.save(path)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("one\ntwo\n")
    return root


def argv(kind: str, davis: Path, output: Path, *more: str) -> list[str]:
    small = ["--batch", "1", "--side", "48", "--output", str(output), "--quiet"]
    if kind == "foreground":
        small += ["--root", str(davis), "--weights", "none", "--strides", "2", "4", "--width", "4"]
    else:
        small += ["--davis", str(davis)]
    return ["train", kind, *small, *more]


@pytest.mark.parametrize("kind", ["foreground", "spn"])
def test_a_training_is_judged_and_keeps_the_best(
    kind: str, davis: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    more = ["--steps", "5", "--exclude", "two", "--validate-every", "2", "--keep-every", "3"]
    more += ["--accumulate", "2", "--average", "0.5"]
    assert main(argv(kind, davis, runs, *more)) == 0
    curves = json.loads((runs / "curves.json").read_text())
    entries = curves["validation"]
    assert [entry["step"] for entry in entries] == [2, 4, 5]
    assert all(0 <= entry["J"] <= 1 for entry in entries)
    assert (runs / "best.safetensors").is_file()
    assert list(runs.glob("*3*.pt"))
    # It had ended: another command must not promise a judgement that it does not make.
    (runs / "best.safetensors").unlink()
    assert main(argv(kind, davis, runs, *more)) == 2


@pytest.mark.parametrize("kind", ["foreground", "spn"])
def test_there_must_be_something_to_judge_on(
    kind: str, davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = argv(kind, davis, tmp_path / "runs", "--steps", "2", "--validate-every", "1")
    assert main(command) == 2
    assert "nothing to judge on; name sequences in --exclude" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["foreground", "spn"])
def test_a_training_stops_after_a_time_and_goes_on(
    kind: str, davis: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    runs, steps = tmp_path / "runs", ("--steps", "3", "--average", "0.9")
    assert main(argv(kind, davis, runs, *steps, "--hours", "1e-9")) == 0
    assert len((runs / "log.jsonl").read_text().splitlines()) == 1
    assert main(argv(kind, davis, runs, *steps)) == 0
    assert len((runs / "log.jsonl").read_text().splitlines()) == 3
    whole = tmp_path / "whole"
    assert main(argv(kind, davis, whole, *steps)) == 0
    name = f"{kind}.safetensors"
    assert (runs / name).read_bytes() == (whole / name).read_bytes()
    if kind == "foreground":
        load_network(whole / name)


@pytest.mark.parametrize("hours", ["0", "-1", "nan"])
def test_a_time_is_checked_before_anything_is_read(
    hours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = argv("foreground", tmp_path / "absent", tmp_path / "runs", "--hours", hours)
    assert main(command) == 2
    assert "--hours: expected over 0" in capsys.readouterr().err


def test_the_iou_is_that_of_known_pixels() -> None:
    truth = torch.zeros(3, 4, 4, dtype=torch.int64)
    truth[0, :2], truth[1, :2] = 1, 1
    truth[1, 1] = 255
    scores = torch.zeros(3, 4, 4)
    scores[0, 1:3], scores[1, :2] = 0.9, 0.9
    # One third, all of what is known, and an object that is rightly absent.
    assert mean_iou(scores, truth) == pytest.approx((1 / 3 + 1 + 1) / 3)
    judge = judge_foreground([(torch.full((3, 4, 4), 200, dtype=torch.uint8), truth[0])])

    class Bright(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            bright = images.mean(1) - 0.5
            return torch.stack([-bright, bright], dim=1) * self.one

    assert judge(Bright()) == {"J": 0.5}
