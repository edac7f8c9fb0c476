"""Data that nothing can be learned from: every training refuses them before it begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vostrack.cli import main
from vostrack.cli.train_command import TrainCommand
from vostrack.masks import read_label_map, write_label_map

TRAININGS = {
    "target": "--data davis:{}",
    "foreground": "--root {}",
    "spn": "--davis {}",
    "localizer": "--root {}",
    "siseg": "--davis {}",
    "fcrn": "--root {} --layout davis",
}


def train(name: str, data: str, tmp_path: Path) -> int:
    argv = ["train", name, *data.split(), "--output", str(tmp_path / "runs"), "--steps", "1"]
    return main([*argv, "--device", "cpu", "--quiet"])


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("name", TRAININGS)
def test_masks_without_an_object_are_refused(
    name: str, value: int, davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in davis.rglob("*.png"):
        write_label_map(path, np.where(read_label_map(path) > 0, value, 0))
    assert train(name, TRAININGS[name].format(davis), tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    if value == 0:
        assert "error: training: no object in any mask of DAVIS 2017 train" in error
    else:
        assert "error: training: the masks of DAVIS 2017 train" in error
        assert "hold no value but 0 and 255, which is void" in error
        assert ("use --year 2016 if they are those of DAVIS 2016" in error) == (name != "fcrn")
    assert not list((tmp_path / "runs").rglob("*.*"))


@pytest.mark.parametrize(
    "command",
    [
        "spn --voc {}",
        "fcrn --root {} --layout voc",
        "fcrn --root {} --layout context",
        "detection-crf --root {}",
        "siseg --masks {}/SegmentationClass",
        "mask-localizer --masks {}/SegmentationClass",
    ],
)
def test_classes_without_an_object_are_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "VOC"
    for folder in ("SegmentationClass", "SegmentationObject", "SegmentationClassContext"):
        write_label_map(root / folder / "a.png", np.zeros((8, 8), np.uint8))
    (root / "JPEGImages").mkdir()
    (root / "JPEGImages" / "a.jpg").write_bytes(b"")
    for folder in ("Segmentation", "SegmentationContext"):
        (root / "ImageSets" / folder).mkdir(parents=True)
        (root / "ImageSets" / folder / "train.txt").write_text("a")
    name, data = command.format(root).split(" ", 1)
    assert train(name, data, tmp_path) == 2
    assert f"error: training: no object in any mask of {root}" in capsys.readouterr().err


# What is given, the flag that has no effect with it, and what the flag needs.
WITHOUT_EFFECT = [
    ("siseg --drawn 2", "--exclude a", "masks or videos; give --masks or --davis"),
    ("siseg --drawn 2", "--background-ids 3", "masks; give --masks"),
    ("siseg --drawn 2", "--year 2017", "DAVIS; give --davis"),
    ("spn --synthetic 2", "--year 2016", "DAVIS; give --davis"),
    ("spn --synthetic 2", "--exclude a", "DAVIS; give --davis"),
    ("spn --synthetic 2", "--voc-set train", "VOC; give --voc"),
    ("spn --synthetic 2", "--photo-share 0", "photographs; give --photos"),
    ("spn --synthetic 2", "--coarse-share 0.5", "a network; name it in --coarse"),
    ("spn --synthetic 2", "--coarse-weights w.pt", "a semantic network; name it in --coarse"),
    (
        "spn --synthetic 2 --coarse shipped",
        "--coarse-weights w.pt",
        "a semantic network; name it in --coarse",
    ),
    ("spn --davis D", "--synthetic-share 0.3", "synthetic scenes; give --synthetic"),
    ("foreground --root D", "--photo-share 0.5", "photographs; give --photos"),
    ("target --data mose:M objects:P", "--year 2017", "a part davis:PATH in --data"),
    ("target --data mose:M objects:P", "--set train", "a part davis:PATH in --data"),
    ("target --data davis:D photos:P", "--backgrounds b", "a part objects:PATH in --data"),
    ("target --data davis:D", "--validate V", "steps between judgements; give --validate-every"),
]


@pytest.mark.parametrize(("command", "flags", "needs"), WITHOUT_EFFECT)
def test_flags_without_effect_are_refused(
    command: str, flags: str, needs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, data = command.split(" ", 1)
    assert train(name, f"{data} {flags}", tmp_path) == 2
    said = f"error: {flags.split()[0]}: it has no effect without {needs}\n"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_reading_large_data_is_shown(
    davis: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vostrack.datasets.fingerprint._PATIENCE", -1)
    monkeypatch.setattr(TrainCommand, "train", lambda *_: False)
    masks = davis / "Annotations" / "480p" / "clip"
    argv = ["train", "siseg", "--masks", str(masks), "--offsets", "4", "--steps", "1"]
    argv += ["--side", "64", "--longest", "64", "80", "--batch", "1", "--device", "cpu"]
    for quiet in ([], ["--quiet"]):
        output = davis.parent / f"runs{len(quiet)}"
        assert main([*argv, *quiet, "--output", str(output)]) == 0
        assert ("checking the data: " in capsys.readouterr().err) != bool(quiet)
