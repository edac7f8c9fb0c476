"""``vostrack propose``: what it refuses, in one line, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.bright_method import Bright, picture, propose

REFUSED: dict[str, tuple[Callable[[Path, Path], list[object]], str]] = {
    "method": (lambda p, t: ["sorcery", "--images", p], "--method: expected one of detection-crf"),
    "no source": (lambda p, t: ["bright"], "expected one of --images and --video, got neither"),
    "both": (lambda p, t: ["bright", "--images", p, "--video", "x.mp4"], "got both"),
    "no folder": (lambda p, t: ["bright", "--images", t / "none"], "does not exist"),
    "no video": (lambda p, t: ["bright", "--video", t / "none.mp4"], "does not exist"),
    "no name": (lambda p, t: ["bright", "--images", p, "--semantic-weights", p], "--semantic too"),
    "unknown net": (lambda p, t: ["bright", "--images", p, "--semantic", "x"], "got 'x'"),
    "no masks": (
        lambda p, t: ["bright", "--images", p, "--semantic-masks", t / "none"],
        "a folder",
    ),
    "no boxes": (lambda p, t: ["bright", "--images", p, "--detections", t / "none"], "detections:"),
    "few boxes": (
        lambda p, t: ["bright", "--images", p, "--detections", t / "few.json"],
        "no entry for 1 of the images, the first p2",
    ),
    "agnostic": (lambda p, t: ["detection-crf", "--images", p], "expected a semantic network"),
    "boxes alone": (
        lambda p, t: ["detection-crf", "--images", p / "p10.png", "--detections", t / "few.json"],
        "network with --semantic",
    ),
    "range": (
        lambda p, t: ["detection-crf", "--images", p, "--detection-crf-min-score", 2],
        "min_score: expected in [0, 1], got 2.0",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_unusable_input_is_one_line_and_writes_nothing(
    case: str,
    built: list[Bright],
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "few.json").write_text('{"images": {"p10": []}}')
    arguments, words = REFUSED[case]
    out = tmp_path / "out"
    assert propose(*map(str, arguments(photos, tmp_path)), "--output", out) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(out.glob("*")) if out.exists() else True


def test_two_images_of_one_stem_are_refused_before_any_work(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(picture((12, 20))).save(photos / "p2.jpg")
    assert propose("bright", "--images", photos, "--output", tmp_path / "out") == 2
    assert "p2.png; rename one" in capsys.readouterr().err
    assert built == []


def test_images_are_not_written_over(built: list[Bright], photos: Path) -> None:
    before = (photos / "p2.png").read_bytes()
    assert propose("bright", "--images", photos, "--output", photos, "--overwrite") == 2
    assert (photos / "p2.png").read_bytes() == before


@pytest.mark.parametrize(
    ("method", "extra", "words"),
    [
        ("hough", "detections", "hough: uses no detections; leave --detections out"),
        ("detection-crf", "semantic-masks", "leave --semantic-masks out"),
    ],
)
def test_input_that_a_method_does_not_use_is_refused(
    method: str,
    extra: str,
    words: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text('{"images": {"p2": [], "p10": []}}')
    given = boxes if extra == "detections" else photos
    words_of = ("--images", photos, "--output", tmp_path / "out", f"--{extra}", given)
    assert propose(method, *words_of) == 2
    assert words in capsys.readouterr().err


def test_class_masks_with_unknown_classes_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name, size in (("p2", (16, 14)), ("p10", (12, 20))):
        Image.fromarray(np.full(size, 21, np.uint8)).save(masks / f"{name}.png")
    words = ("--images", photos, "--output", tmp_path / "out", "--semantic-masks", masks)
    assert propose("hough", *words, "--hough-localizer", "none") == 2
    assert "has the class 21, expected 0 to 20 and 255 for void" in capsys.readouterr().err
