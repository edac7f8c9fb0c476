"""The commands on tiny data: both trainings and the proposals they lead to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.cli import main
from vostrack.masks.palette import write_label_map
from vostrack.models.fcrn import load_fcrn
from vostrack.models.localizer import load_localizer, localizer_fingerprint
from vostrack.models.shared_backbone import backbone_fingerprint, load_backbone_network


def write_pair(image: Path, label: Path) -> None:
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.zeros((64, 80), np.uint8)
    ids[20:45, 10:35], ids[20:50, 35:70] = 1, 2
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 60, (64, 80, 3)) + 80 * (ids[..., None] > 0)
    Image.fromarray(frame.astype(np.uint8)).save(image)
    write_label_map(label, ids)


@pytest.mark.parametrize("backbone", ["target", "foreground"])
def test_a_head_is_trained_and_proposes(tmp_path: Path, backbone: str) -> None:
    root = tmp_path / "davis"
    frame = root / "JPEGImages" / "480p" / "one" / "00000.jpg"
    write_pair(frame, root / "Annotations" / "480p" / "one" / "00000.png")
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("one\n")
    runs = tmp_path / "runs"
    small = ["--pool", "2", "--side", "64", "--steps", "2", "--batch", "2", "--device", "cpu"]
    arguments = ["--root", str(root), "--output", str(runs), "--quiet", *small]
    arguments += [] if backbone == "target" else ["--backbone", backbone]  # the default
    assert main(["train", "localizer", *arguments]) == 0
    lines = (runs / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    weights = runs / "localizer.safetensors"
    assert load_localizer(weights).config.channels == (128, 256)
    assert localizer_fingerprint(weights) == backbone_fingerprint(load_backbone_network(backbone))  # type: ignore[arg-type]
    out = tmp_path / "out"
    chosen = ["--method", "hough", "--hough-localizer", str(weights), "--device", "cpu"]
    drawn = ["--hough-save-votes", str(tmp_path / "votes"), "--hough-min-cells", "1"]
    images = ["--images", str(frame.parent), "--output", str(out), "--quiet"]
    assert main(["propose", *chosen, *drawn, *images]) == 0
    assert (out / "00000.png").is_file()
    assert isinstance(json.loads((out / "proposals.json").read_text()), list)
    assert (tmp_path / "votes" / "00000.png").is_file()


def test_features_of_other_data_are_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, runs = tmp_path / "davis", tmp_path / "runs"
    for year in ("2016", "2017"):
        (root / "ImageSets" / year).mkdir(parents=True)
        (root / "ImageSets" / year / "train.txt").write_text("one\n")
    mask = root / "Annotations" / "480p" / "one" / "00000.png"
    write_pair(root / "JPEGImages" / "480p" / "one" / "00000.jpg", mask)
    argv = ["train", "localizer", "--root", str(root), "--quiet", "--pool", "1", "--side", "64"]
    argv += ["--steps", "1", "--batch", "1", "--device", "cpu", "--synthetic", "0"]
    pool = tmp_path / "pool"
    argv += ["--pool-folder", str(pool), "--output"]
    assert main([*argv, str(runs)]) == 0
    (part,) = pool.rglob("*.pt")
    before = part.read_bytes()
    assert main([*argv, str(runs)]) == 0
    assert main([*argv, str(tmp_path / "binary"), "--year", "2016"]) == 0
    assert part.read_bytes() == before
    assert len(list(pool.rglob("*.pt"))) == 2
    write_label_map(mask, np.eye(64, 80, dtype=np.uint8))
    assert main([*argv, str(runs)]) == 2
    assert "recipe (--root was '2 files, digest " in capsys.readouterr().err
    assert len(list(pool.rglob("*.pt"))) == 2


def test_an_fcrn_is_trained_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "voc"
    for folder in ("SegmentationClass", "SegmentationObject"):
        write_pair(root / "JPEGImages" / "one.jpg", root / folder / "one.png")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("one\n")
    small = ["--depth", "50", "--output-stride", "16", "--kernel", "3", "--dilation", "1"]
    small += ["--weights", "none", "--steps", "1", "--batch", "1", "--side", "33", "--ahead", "0"]
    place = ["--root", str(root), "--output", str(tmp_path / "run"), "--device", "cpu"]
    arguments = [*place, *small, "--validate", "train", "--learning-rate", "1e-6"]
    assert main(["train", "fcrn", *arguments]) == 0
    assert "mean IoU" in capsys.readouterr().out
    assert load_fcrn(tmp_path / "run" / "fcrn.safetensors").outputs == 21
    assert main(["train", "fcrn", *place, *small, "--learning-rate", "1e-6", "--hidden", "4"]) == 2
    assert "recipe (--hidden was 0, is 4)" in capsys.readouterr().err
    write_label_map(root / "SegmentationClass" / "one.png", np.eye(64, 80, dtype=np.uint8))
    assert main(["train", "fcrn", *arguments]) == 2
    assert "recipe (--root was '3 files, digest " in capsys.readouterr().err
