"""``vostrack propose``: what it writes, what it refuses, and how it stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.cli import main
from vostrack.cli.field_help import help_texts
from vostrack.errors import InputError
from vostrack.masks import decode_rle
from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
from vostrack.proposers.components import ForegroundComponents
from vostrack.proposers.detection_crf import DetectionCrfProposer
from vostrack.proposers.registry import (
    PROPOSERS,
    ProposerEntry,
    build_proposer,
    image_proposers,
)
from vostrack.proposers.semantic import build_semantic
from vostrack.proposers.sources import ProposerSources
from vostrack.protocols import InstanceProposals
from vostrack.video.writer import VideoWriter

Propose = Callable[..., int]


@dataclass(frozen=True)
class BrightOptions:
    """Options of the method made up here."""

    level: int = 128
    """A pixel this bright is an object's,
    0 to 255."""

    part: Literal["red", "blue"] = "red"
    """Which channel."""

    invert: bool = False
    """Dark ones instead."""

    weights: Path | None = None
    """A file, or none."""


class Bright:
    """One proposal: the bright pixels; the score is the share of the image."""

    def __init__(self, options: BrightOptions, sources: ProposerSources) -> None:
        self.options, self.sources = options, sources
        self.calls: list[FloatArray | None] = []

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        self.calls.append(foreground)
        channel = frame[:, :, 0 if self.options.part == "red" else 2]
        mask = (channel >= self.options.level) != self.options.invert
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return InstanceProposals(
            masks=mask[None],
            scores=np.array([mask.mean()], np.float32),
            labels=np.array([7]),
            boxes=np.array([box], np.float32),
        )


class Named(Bright):
    """Knows images by their name."""

    def propose_image(self, name: str, frame: UInt8Array) -> InstanceProposals:
        if name == "bad":
            raise InputError("no entry for bad")
        return self.propose(frame, np.full(frame.shape[:2], len(name), np.float32))


@pytest.fixture
def built() -> Iterator[list[Bright]]:
    """The proposers made by the methods ``bright`` and ``named``."""
    proposers: list[Bright] = []

    def make(kind: type[Bright]) -> ProposerEntry:
        def build(options: BrightOptions, sources: ProposerSources) -> Bright:
            proposers.append(kind(options, sources))
            return proposers[-1]

        return ProposerEntry(BrightOptions, build)

    PROPOSERS.register("bright", make(Bright))
    PROPOSERS.register("is-named", make(Named))
    yield proposers
    PROPOSERS.unregister("bright")
    PROPOSERS.unregister("is-named")


def _picture(size: tuple[int, int], level: int = 200) -> UInt8Array:
    frame = np.zeros((*size, 3), np.uint8)
    frame[2:6, 3:10] = level
    return frame


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images of different sizes, in the order that counts: p2, then p10."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(_picture((12, 20))).save(folder / "p10.png")
    Image.fromarray(_picture((16, 14), 150)).save(folder / "p2.png")
    return folder


def _propose(method: str, *flags: object) -> int:
    return main(["propose", "--method", method, *map(str, flags)])


def test_writes_a_palette_png_each_and_one_index(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _propose("bright", "--images", photos, "--output", out) == 0
    assert capsys.readouterr().out == f"2 images, 2 proposals: {out / 'proposals.json'}\n"
    assert sorted(p.name for p in out.iterdir()) == ["p10.png", "p2.png", "proposals.json"]
    entries = json.loads((out / "proposals.json").read_text())
    assert [entry["image"] for entry in entries] == ["p2", "p10"]
    for entry, size in zip(entries, ((16, 14), (12, 20)), strict=True):
        expected = _picture(size)[:, :, 0] > 0
        np.testing.assert_array_equal(decode_rle(entry["segmentation"]), expected)
        assert entry["bbox"] == [3, 2, 7, 4]
        assert entry["category_id"] == 7
        assert entry["score"] == pytest.approx(expected.mean())
        with Image.open(out / f"{entry['image']}.png") as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), expected)
    assert built[0].calls == [None, None]


def test_a_video_s_frames_are_called_by_their_number(built: list[Bright], tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, 10) as writer:
        for index in range(3):
            writer.add(_picture((48, 64)), index / 10)
    out = tmp_path / "out"
    assert _propose("is-named", "--video", clip, "--output", out, "--quiet") == 0
    names = ["00000.png", "00001.png", "00002.png", "proposals.json"]
    assert sorted(p.name for p in out.iterdir()) == names
    # The proposer that looks images up was told each name.
    assert [int(call.max()) for call in built[0].calls if call is not None] == [5, 5, 5]


def test_flags_of_the_method_reach_it(built: list[Bright], photos: Path, tmp_path: Path) -> None:
    flags = ("--is-named-level", 3, "--is-named-part", "blue", "--is-named-invert")
    _propose("is-named", "--images", photos / "p2.png", "--output", tmp_path / "out", *flags)
    assert built[0].options == BrightOptions(3, "blue", True, None)


def test_sources_reach_the_method(built: list[Bright], photos: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    row = {"box": [0, 0, 4, 4], "score": 0.5, "label": 3}
    boxes.write_text(json.dumps({"images": {"p2": [row], "p10": []}}))
    flags = ("--detections", boxes, "--semantic-masks", photos, "--device", "cpu")
    assert _propose("bright", "--images", photos, "--output", tmp_path / "out", *flags) == 0
    sources = built[0].sources
    assert sources.semantic is None
    assert sources.semantic_masks == photos
    assert sources.detections is not None
    assert sources.detections["p2"].labels.tolist() == [3]
    assert sources.device.type == "cpu"


def test_help_teaches_every_method(built: list[Bright], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _propose("bright", "--help")
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (
        "vostrack propose --method detection-crf --images photos",
        "--detection-crf-min-score FLOAT Lowest detector score used, 0 to 1. (default: 0.1)",
        "--is-named-level INT A pixel this bright is an object's, 0 to 255. (default: 128)",
    ):
        assert words in text


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_every_option_of_every_proposer_is_described(name: str) -> None:
    options: Any = PROPOSERS[name].options
    assert list(help_texts(options)) == [entry.name for entry in fields(options)]


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
    assert _propose(*map(str, arguments(photos, tmp_path)), "--output", out) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(out.glob("*")) if out.exists() else True


def test_two_images_of_one_stem_are_refused_before_any_work(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(_picture((12, 20))).save(photos / "p2.jpg")
    assert _propose("bright", "--images", photos, "--output", tmp_path / "out") == 2
    assert "p2.png; rename one" in capsys.readouterr().err
    assert built == []


def test_images_are_not_written_over(built: list[Bright], photos: Path) -> None:
    before = (photos / "p2.png").read_bytes()
    assert _propose("bright", "--images", photos, "--output", photos, "--overwrite") == 2
    assert (photos / "p2.png").read_bytes() == before


def test_results_are_replaced_only_when_asked(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("bright", "--images", photos, "--output", tmp_path / "out")
    assert _propose(*run) == 0
    index = tmp_path / "out" / "proposals.json"
    before = index.read_text()
    assert _propose(*run, "--bright-invert") == 2
    assert "--overwrite replaces them" in capsys.readouterr().err
    assert index.read_text() == before
    assert _propose(*run, "--bright-invert", "--overwrite") == 0
    assert index.read_text() != before


def test_a_run_that_breaks_leaves_whole_files_and_no_index(
    built: list[Bright], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert _propose("is-named", "--images", photos, "--output", out) == 0
    Image.fromarray(_picture((12, 20))).save(photos / "bad.png")
    (photos / "p10.png").rename(photos / "a1.png")
    assert _propose("is-named", "--images", photos, "--output", out, "--overwrite") == 2
    names = sorted(p.name for p in out.iterdir())
    assert names == ["a1.png", "p10.png", "p2.png"]


def test_the_tracker_knows_every_method_by_name() -> None:
    assert isinstance(build_proposer("components"), ForegroundComponents)
    assert list(PROPOSERS) == ["components", *image_proposers()]
    assert isinstance(build_proposer("detection-crf"), DetectionCrfProposer)
    with pytest.raises(InputError, match=r"components, detection-crf.*'x'"):
        build_proposer("x")


@pytest.mark.shared_data
def test_a_still_with_the_real_network(shared_dir: Path, tmp_path: Path) -> None:
    stills = shared_dir / "data/stills/VOC2007"
    status = _propose(
        "detection-crf",
        *("--images", stills / "JPEGImages/000123.jpg", "--output", tmp_path, "--quiet"),
        *("--semantic", "deeplab_mobilenetv2", "--device", "cpu"),
        *("--semantic-weights", shared_dir / "weights/deeplabv3_mobilenetv2_voc_bnfolded.pt"),
        *("--detections", stills / "detections_nanodet.json"),
    )
    assert status == 0
    entries = json.loads((tmp_path / "proposals.json").read_text())
    with Image.open(stills / "SegmentationObject/000123.png") as image:
        truth = np.asarray(image)
    masks = [decode_rle(entry["segmentation"]) for entry in entries]
    # One train fills the image.
    overlaps = [(mask & (truth == 1)).sum() / (mask | (truth == 1)).sum() for mask in masks]
    best = int(np.argmax(overlaps))
    assert overlaps[best] > 0.7
    assert entries[best]["category_id"] == 19


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
    assert _propose(method, *words_of) == 2
    assert words in capsys.readouterr().err


def test_class_masks_with_unknown_classes_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name, size in (("p2", (16, 14)), ("p10", (12, 20))):
        Image.fromarray(np.full(size, 21, np.uint8)).save(masks / f"{name}.png")
    words = ("--images", photos, "--output", tmp_path / "out", "--semantic-masks", masks)
    assert _propose("hough", *words, "--hough-localizer", "none") == 2
    assert "has the class 21, expected 0 to 20 and 255 for void" in capsys.readouterr().err


def test_a_trained_fcrn_gives_the_classes(tmp_path: Path) -> None:
    config = FcrnConfig(50, 16, 1, 1)
    network = build_fcrn(config, 21, "none").eval()
    save_fcrn(network, tmp_path / "fcrn.safetensors")
    scorer = build_semantic(str(tmp_path / "fcrn.safetensors"))
    image = torch.rand(1, 3, 33, 47, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(scorer(image), network.segment(image), rtol=1e-2, atol=1e-3)
    save_fcrn(build_fcrn(config, 80, "none"), tmp_path / "boxes.safetensors")
    with pytest.raises(InputError, match="has 80 outputs, expected the 21 VOC labels"):
        build_semantic(str(tmp_path / "boxes.safetensors"))
    with pytest.raises(InputError, match="leave `semantic_weights` out"):
        build_semantic(str(tmp_path / "fcrn.safetensors"), tmp_path / "fcrn.safetensors")
