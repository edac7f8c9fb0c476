"""First masks as people have them: turned by a camera, compressed, in archives, from tables."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks import encode_rle, read_first_mask, read_results
from vostrack.masks.annotations import shortened

SIZE = (48, 64)
BOX = np.zeros(SIZE, np.bool_)
BOX[12:30, 16:40] = True
CORNERS = [16, 12, 40, 12, 40, 30, 16, 30]


def _is_box(path: Path, expected: BoolArray = BOX) -> tuple[str, ...]:
    mask = read_first_mask(path, size=expected.shape)
    assert mask.ids == (1,)
    np.testing.assert_array_equal(mask.labels == 1, expected)
    return mask.warnings


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_orientation_that_a_camera_notes(orientation: int, tmp_path: Path) -> None:
    """Pictures are shown turned, so a mask painted over one is stored as the picture is."""
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = Image.fromarray(BOX.astype(np.uint8) * np.uint8(255))
    exif = Image.Exif()
    exif[0x0112] = back
    stored.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        unturned = ImageOps.exif_transpose(image)
    exif[0x0112] = orientation
    unturned.save(tmp_path / "m.png", exif=exif)
    (warning,) = _is_box(tmp_path / "m.png")
    assert "its orientation (EXIF) was applied" in warning


def test_an_orientation_that_was_applied_before(tmp_path: Path) -> None:
    """Editors turn the picture, and some keep the note."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BOX.astype(np.uint8)).save(tmp_path / "m.png", exif=exif)
    assert _is_box(tmp_path / "m.png") == ()


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_compression_with_loss(suffix: str, tmp_path: Path) -> None:
    if not features.check(suffix):
        pytest.skip(f"this Pillow has no {suffix}")
    path = tmp_path / f"m.{suffix}"
    gray = cv2.GaussianBlur(BOX.astype(np.float32), (0, 0), 0.7) * 255
    Image.fromarray(np.repeat(gray[..., None].astype(np.uint8), 3, axis=2)).save(path, quality=50)
    (warning,) = _is_box(path)
    assert "compression blurs the edges" in warning


def test_webp_without_loss_keeps_ids(tmp_path: Path) -> None:
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[BOX], colours[34:44, 44:60] = (200, 0, 0), (0, 200, 0)
    Image.fromarray(colours).save(tmp_path / "m.webp", lossless=True)
    mask = read_first_mask(tmp_path / "m.webp", size=SIZE)
    assert mask.names == ("#00c800", "#c80000")
    assert mask.warnings == ()


def _coco(segmentation: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a\\b\\00000.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "ball"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
    }


@pytest.mark.parametrize(
    "segmentation",
    [
        [[f"{value:.2f}" for value in CORNERS]],
        [str(value) for value in CORNERS],
        json.dumps([CORNERS]),
        json.dumps(CORNERS),
        [[[x, y] for x, y in zip(CORNERS[::2], CORNERS[1::2], strict=True)]],
    ],
    ids=["text", "flat text", "JSON in text", "flat JSON in text", "points"],
)
def test_polygons_that_went_through_a_table(segmentation: Any, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(_coco(segmentation)))
    assert _is_box(tmp_path / "m.json") == ()


def test_polygons_beyond_the_picture(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(_coco([[-9, -5, 80, -5, 80, 30, -9, 30]])))
    expected = np.zeros(SIZE, np.bool_)
    expected[:30] = True
    assert _is_box(tmp_path / "m.json", expected) == ()


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations/instances_default.json", json.dumps(_coco([CORNERS])))


_VIA = {"filename": "a.png", "size": 5, "regions": [], "file_attributes": {}}
_VOC = "<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.json.gz", gzip.compress(b"{}", mtime=0), "an archive, expected .* unpack it"),
        ("m.nii.gz", gzip.compress(b"x", mtime=0), "a NIfTI volume"),
        ("m.txt", b"0 16 12 40 12 40 30 16 30\n", "in pixels, expected .* divide x by its width"),
        ("m.json", json.dumps({"a.png5": _VIA}).encode(), "VGG Image Annotator"),
        ("m.xml", _VOC.encode(), "PASCAL VOC .* SegmentationObject"),
        ("m.json", json.dumps(_coco([["a", 1, 2, 3, 4, 5]])).encode(), "at least three points"),
        ("m.json", json.dumps(_coco("[1, 2")).encode(), "a segmentation is str"),
    ],
    ids=["gzip", "nifti", "yolo", "via", "voc", "two points", "half a list"],
)
def test_what_is_refused_with_the_remedy(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_first_mask(tmp_path / name, size=SIZE)


def test_an_archive_as_annotation_tools_give_it(tmp_path: Path) -> None:
    _zip(tmp_path / "export.zip")
    for read in (read_first_mask, read_results):
        with pytest.raises(InputError, match="an archive"):
            read(tmp_path / "export.zip", size=SIZE)


def test_results_as_they_are_submitted_to_youtube_vis(tmp_path: Path) -> None:
    """The surest result wins where two overlap, and the first of several videos is read."""
    left = BOX.copy()
    left[:, 28:] = False
    other = np.zeros(SIZE, np.bool_)
    results = [
        {"video_id": 3, "score": 0.9, "category_id": 2, "segmentations": [encode_rle(left), None]},
        {"video_id": 3, "score": 0.4, "category_id": 2, "segmentations": [encode_rle(BOX)] * 2},
        {"video_id": 4, "score": 0.9, "category_id": 1, "segmentations": [encode_rle(other)]},
    ]
    (tmp_path / "results.json").write_text(json.dumps(results))
    masks = read_results(tmp_path / "results.json")
    assert len(masks.frames) == len(masks.objects) == 2
    np.testing.assert_array_equal(masks.labels(0) == 2, left)
    np.testing.assert_array_equal(masks.labels(0) == 1, BOX & ~left)
    np.testing.assert_array_equal(masks.labels(1) == 1, BOX)
    assert "contains several videos; the first one, 3, is used" in masks.notes[0]


def test_a_file_without_annotations(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps({**_coco([]), "annotations": []}))
    with pytest.raises(InputError, match="segmentation each, but there is none"):
        read_first_mask(tmp_path / "m.json", size=SIZE)


def test_texts_of_strangers_can_be_printed_and_be_names_of_files() -> None:
    assert shortened("a\0b\x1b[31m\u202e c\n") == "a b [31m c"
