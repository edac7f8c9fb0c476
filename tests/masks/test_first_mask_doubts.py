"""What of a first mask is warned of, what is refused as smoothed, and what is neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vostrack.arrays import UInt8Array
from vostrack.masks import check_first_mask, read_first_mask


def test_small_objects_and_full_frames_are_warned_of(two_objects: UInt8Array) -> None:
    two_objects[0, :3] = 7
    mask = check_first_mask(two_objects, min_pixels=4)
    assert mask.ids == (1, 2, 7)
    assert len(mask.warnings) == 1
    assert "object 7 has 3 pixels, fewer than 4" in mask.warnings[0]
    assert "larger" in mask.warnings[0]
    assert check_first_mask(two_objects, min_pixels=3).warnings == ()
    halves = np.ones((40, 60), np.uint8)
    halves[:20, :30] = halves[20:, 30:] = 2
    full = check_first_mask(halves)
    assert full.ids == (1, 2)
    assert "covers the whole frame" in full.warnings[0]
    assert "inverted" in full.warnings[0]


def test_a_tiny_object_at_an_edge_is_no_smoothing(two_objects: UInt8Array) -> None:
    # Its pixels lie between two solid regions in space and value, as smoothed ones do, but are few.
    labels = np.array([0, 9, 5], np.uint8)[two_objects]
    labels[10:12, 19:21] = 3
    assert check_first_mask(labels).ids == (3, 5, 9)


def test_thin_objects_are_no_smoothing() -> None:
    image = Image.new("L", (60, 40))
    draw = ImageDraw.Draw(image)
    for number in range(1, 5):
        draw.line((5, 8 * number, 50, 8 * number - 5), fill=number)
    assert check_first_mask(np.asarray(image), min_pixels=0).ids == (1, 2, 3, 4)


def test_a_thin_object_within_void_is_no_smoothing() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:25, 10:50] = 255
    labels[17, 16:44] = 1
    mask = check_first_mask(labels, min_pixels=0)
    assert mask.ids == (1,)
    np.testing.assert_array_equal(mask.labels, labels)


@pytest.mark.parametrize("thickness", [1, 2])
def test_a_thin_seam_of_void_is_no_smoothing(two_objects: UInt8Array, thickness: int) -> None:
    marked = two_objects > 0
    for axis in (0, 1):
        for shift in range(-thickness, thickness + 1):
            marked = marked | np.roll(two_objects > 0, shift, axis)
    two_objects[marked & (two_objects == 0)] = 255
    mask = check_first_mask(two_objects)
    np.testing.assert_array_equal(mask.labels, two_objects)
    assert mask.warnings == ()


def test_more_void_than_objects_is_warned_of(two_objects: UInt8Array) -> None:
    two_objects[26:] = 255
    mask = check_first_mask(two_objects)
    assert "840 pixels are void" in mask.warnings[0]
    assert "give it an id in 1..254" in mask.warnings[0]


@pytest.mark.shared_data
def test_every_voc_object_mask_is_read(shared_dir: Path) -> None:
    """Human label maps with void seams: none may pass for a smoothed one."""
    files = sorted(
        (shared_dir / "data" / "stills" / "VOC2007" / "SegmentationObject").glob("*.png")
    )
    assert len(files) == 44
    count = 0
    for path in files:
        with Image.open(path) as image:
            values = np.asarray(image)
        mask = read_first_mask(path)
        np.testing.assert_array_equal(mask.labels, values)
        count += len(mask.ids)
    assert count == 115


@pytest.mark.shared_data
def test_every_shrunken_davis_mask_is_cut_at_half(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "davis-dev" / "Annotations" / "480p"
    for path in sorted(folder.glob("*/00000.png")):
        with Image.open(path) as image:
            for size in ((427, 240), (300, 170), (1280, 720)):
                small = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
                mask = check_first_mask(small)
                np.testing.assert_array_equal(mask.labels, (small >= 128).astype(np.uint8))
                assert "edges are smoothed" in mask.warnings[0]
                coarse = check_first_mask((small // 64 * 85).astype(np.uint8))
                assert coarse.ids == (1,)
                np.testing.assert_array_equal(coarse.labels, mask.labels)
