"""Data that nothing can be learned from: every training refuses them before it begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vostrack.cli import main
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


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--exclude a", "--exclude: it has no effect without masks and videos; give --masks or"),
        ("--background-ids 3", "--background-ids: it has no effect without masks; give --masks"),
    ],
)
def test_flags_of_masks_need_masks(
    flags: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("siseg", f"--drawn 2 {flags}", tmp_path) == 2
    assert said in capsys.readouterr().err
