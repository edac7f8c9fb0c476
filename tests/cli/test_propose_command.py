"""``vostrack propose``: what it writes, and what reaches a method."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.bright_method import Bright, BrightOptions, picture, propose
from vostrack.cli.field_help import help_texts
from vostrack.errors import InputError
from vostrack.masks import decode_rle
from vostrack.models.fcrn import FcrnConfig, build_fcrn, save_fcrn
from vostrack.proposers.components import ForegroundComponents
from vostrack.proposers.detection_crf import DetectionCrfProposer
from vostrack.proposers.registry import (
    PROPOSERS,
    build_proposer,
    image_proposers,
)
from vostrack.proposers.semantic import build_semantic
from vostrack.video.writer import VideoWriter


def test_writes_a_palette_png_each_and_one_index(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert propose("bright", "--images", photos, "--output", out) == 0
    assert capsys.readouterr().out == f"2 images, 2 proposals: {out / 'proposals.json'}\n"
    assert sorted(p.name for p in out.iterdir()) == ["p10.png", "p2.png", "proposals.json"]
    entries = json.loads((out / "proposals.json").read_text())
    assert [entry["image"] for entry in entries] == ["p2", "p10"]
    for entry, size in zip(entries, ((16, 14), (12, 20)), strict=True):
        expected = picture(size)[:, :, 0] > 0
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
            writer.add(picture((48, 64)), index / 10)
    out = tmp_path / "out"
    assert propose("is-named", "--video", clip, "--output", out, "--quiet") == 0
    names = ["00000.png", "00001.png", "00002.png", "proposals.json"]
    assert sorted(p.name for p in out.iterdir()) == names
    # The proposer that looks images up was told each name.
    assert [int(call.max()) for call in built[0].calls if call is not None] == [5, 5, 5]


def test_flags_of_the_method_reach_it(built: list[Bright], photos: Path, tmp_path: Path) -> None:
    flags = ("--is-named-level", 3, "--is-named-part", "blue", "--is-named-invert")
    propose("is-named", "--images", photos / "p2.png", "--output", tmp_path / "out", *flags)
    assert built[0].options == BrightOptions(3, "blue", True, None)


def test_sources_reach_the_method(built: list[Bright], photos: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    row = {"box": [0, 0, 4, 4], "score": 0.5, "label": 3}
    boxes.write_text(json.dumps({"images": {"p2": [row], "p10": []}}))
    flags = ("--detections", boxes, "--semantic-masks", photos, "--device", "cpu")
    assert propose("bright", "--images", photos, "--output", tmp_path / "out", *flags) == 0
    sources = built[0].sources
    assert sources.semantic is None
    assert sources.semantic_masks == photos
    assert sources.detections is not None
    assert sources.detections["p2"].labels.tolist() == [3]
    assert sources.device.type == "cpu"


def test_help_teaches_every_method(built: list[Bright], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        propose("bright", "--help")
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


def test_results_are_replaced_only_when_asked(
    built: list[Bright], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("bright", "--images", photos, "--output", tmp_path / "out")
    assert propose(*run) == 0
    index = tmp_path / "out" / "proposals.json"
    before = index.read_text()
    assert propose(*run, "--bright-invert") == 2
    assert "--overwrite replaces them" in capsys.readouterr().err
    assert index.read_text() == before
    assert propose(*run, "--bright-invert", "--overwrite") == 0
    assert index.read_text() != before


def test_a_run_that_breaks_leaves_whole_files_and_no_index(
    built: list[Bright], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert propose("is-named", "--images", photos, "--output", out) == 0
    Image.fromarray(picture((12, 20))).save(photos / "bad.png")
    (photos / "p10.png").rename(photos / "a1.png")
    assert propose("is-named", "--images", photos, "--output", out, "--overwrite") == 2
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
    status = propose(
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
