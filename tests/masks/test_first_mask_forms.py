"""Every form of first mask that is accepted, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.masks import (
    FirstMask,
    check_first_mask,
    davis_palette,
    read_first_mask,
    write_label_map,
    write_masks_json,
)

Save = Callable[..., Path]


def _coco(mask: BoolArray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def _is(mask: FirstMask, labels: UInt8Array) -> None:
    assert mask.labels.dtype == np.uint8
    np.testing.assert_array_equal(mask.labels, labels)
    assert mask.warnings == ()


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("form", ["palette", "gray", "gray+alpha", "16 bits", "as colours", "tiff"])
def test_ids(save: Save, two_objects: UInt8Array, form: str, void: bool) -> None:
    two_objects[two_objects == 2] = 9
    if void:
        two_objects[26:34] = np.where(two_objects[26:34] == 0, 255, two_objects[26:34])
    path = save("m.png", two_objects)
    if form == "palette":
        write_label_map(path, two_objects)
    elif form == "gray+alpha":
        path = save("m.png", two_objects, "LA")
    elif form == "16 bits":
        path = save("m.png", two_objects.astype(np.uint16))
    elif form == "as colours":
        path = save("m.png", two_objects, "RGB")
    elif form == "tiff":
        path = save("m.tif", two_objects.astype(np.float32))
    mask = read_first_mask(path, size=(40, 60))
    if void and form != "palette":
        # A broad region of 255 in a gray image may have been meant as an object.
        assert "which is void" in mask.warnings[0]
        mask = replace(mask, warnings=mask.warnings[1:])
    _is(mask, two_objects)
    assert mask.ids == (1, 9)
    assert mask.names == ("1", "9")


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "1", "I;16"])
def test_binary(save: Save, two_objects: UInt8Array, value: int, mode: str) -> None:
    mask = two_objects == 1
    array = mask.astype(np.uint8) * np.uint8(value)
    if mode == "1":
        path = save("m.png", mask)
    elif mode == "P":
        path = save("m.png", array)
        with Image.open(path) as image:
            image.load()
        image.putpalette(davis_palette().tobytes())
        image.save(path)
    elif mode == "I;16":
        path = save("m.png", array.astype(np.uint16) * np.uint16(257 if value == 255 else 1))
    else:
        path = save("m.png", array, mode)
    _is(read_first_mask(path), mask.astype(np.uint8))


def test_an_object_that_is_not_number_one(save: Save, two_objects: UInt8Array) -> None:
    mask = read_first_mask(save("m.png", np.where(two_objects == 1, 0, two_objects)))
    assert mask.ids == (2,)


def test_large_16_bit_ids_are_renumbered(save: Save, two_objects: UInt8Array) -> None:
    values = np.array([0, 24001, 26002], np.uint16)[two_objects]
    values[36:] = 65535
    mask = read_first_mask(save("m.png", values))
    assert mask.ids == (1, 2)
    assert mask.names == ("24001", "26002")
    expected = two_objects.copy()
    expected[36:] = 255
    np.testing.assert_array_equal(mask.labels, expected)
    assert len(mask.warnings) == 1
    assert "24001, 26002 became 1..2" in mask.warnings[0]


def test_ids_255_and_above_are_objects_in_16_bits(save: Save, two_objects: UInt8Array) -> None:
    mask = read_first_mask(save("m.png", np.array([0, 255, 256], np.uint16)[two_objects]))
    assert mask.names == ("255", "256")


def test_colours_of_the_palette_are_its_ids(save: Save, two_objects: UInt8Array) -> None:
    labels = np.array([0, 5, 2, 255], np.uint8)[np.where(two_objects == 0, 0, two_objects)]
    labels[36:] = 255
    mask = read_first_mask(save("m.png", davis_palette()[labels]))
    _is(mask, labels)
    assert mask.ids == (2, 5)
    assert mask.names == ("#008000", "#800080")


@pytest.mark.parametrize("transparent", [False, True])
def test_other_colours_are_in_order_of_value(
    save: Save, two_objects: UInt8Array, transparent: bool
) -> None:
    # What an invisible pixel holds must not count.
    colours = np.array([[9, 9, 9, 0], [255, 0, 0, 255], [0, 200, 30, 255]], np.uint8)
    if not transparent:
        colours[0, :3] = 0
    image = colours[two_objects]
    mask = read_first_mask(save("m.png", image if transparent else image[..., :3]))
    _is(mask, np.array([0, 2, 1], np.uint8)[two_objects])
    assert mask.names == ("#00c81e", "#ff0000")


def test_half_transparent_edges_are_cut(save: Save, two_objects: UInt8Array) -> None:
    image = np.array([[0, 0, 0, 0], [255, 0, 0, 255], [0, 200, 30, 255]], np.uint8)[two_objects]
    image[5, 5:20, 3] = 100
    image[24, 5:20, 3] = 200
    mask = read_first_mask(save("m.png", image))
    assert (mask.labels == 2).sum() == 19 * 15
    assert "30 pixels are partly transparent" in mask.warnings[0]


def test_a_palette_that_was_reordered_is_read_by_colour(
    save: Save, two_objects: UInt8Array
) -> None:
    path = save("m.png", np.array([1, 0, 0], np.uint8)[two_objects])
    with Image.open(path) as image:
        image.load()
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(path)
    mask = read_first_mask(path)
    np.testing.assert_array_equal(mask.labels, (two_objects > 0).astype(np.uint8))
    assert "index 0 of the palette is not black" in mask.warnings[0]


def test_a_two_level_jpeg_with_a_warning(save: Save, two_objects: UInt8Array) -> None:
    image = np.where(two_objects == 1, np.uint8(255), np.uint8(0))
    mask = read_first_mask(save("m.jpg", image, quality=90))
    np.testing.assert_array_equal(mask.labels, (two_objects == 1).astype(np.uint8))
    assert "JPEG compression blurs the edges" in mask.warnings[0]


@pytest.mark.parametrize("give", ["list", "folder"])
def test_one_file_an_object(save: Save, tmp_path: Path, two_objects: UInt8Array, give: str) -> None:
    folder = tmp_path / "masks"
    expected = np.zeros_like(two_objects)
    paths = []
    for place, number in enumerate((2, 10, 1), start=1):
        object_mask = np.zeros((40, 60), np.uint8)
        object_mask[:, 15 * place : 15 * place + 10] = (1, 255, 77)[place - 1]
        paths.append(save(f"masks/obj{number}.png", object_mask))
        # A folder is in natural order: 1, 2, 10; a list keeps its own.
        order = place if give == "list" else {1: 1, 2: 2, 10: 3}[number]
        expected[object_mask > 0] = order
    (folder / "notes.txt").write_text("no mask")
    (folder / ".hidden.png").write_bytes(b"no mask")
    mask = read_first_mask(folder if give == "folder" else paths)
    _is(mask, expected)
    names = ("obj1", "obj2", "obj10") if give == "folder" else ("obj2", "obj10", "obj1")
    assert mask.names == names


def test_a_folder_of_one_file_is_that_file(save: Save, two_objects: UInt8Array) -> None:
    path = save("masks/00000.png", two_objects)
    _is(read_first_mask(path.parent), two_objects)
    _is(read_first_mask([path]), two_objects)


def test_later_files_win_with_a_warning(save: Save) -> None:
    first, second = np.zeros((2, 40, 60), np.uint8)
    first[5:20, 5:20] = 255
    second[10:30, 10:30] = 255
    mask = read_first_mask([save("a.png", first), save("b.png", second)])
    assert (mask.labels == 1).sum() == 225 - 100
    assert (mask.labels == 2).sum() == 400
    assert "overlap in 100 pixels; the later object gets them" in mask.warnings[0]


@pytest.mark.parametrize("layout", ["list", "annotations", "coco", "single", "uncompressed"])
def test_coco_rle(tmp_path: Path, two_objects: UInt8Array, layout: str) -> None:
    masks = [two_objects == 2, two_objects == 1]
    rles = [_coco(mask) for mask in masks]
    content: Any = rles
    ids: tuple[int, ...] = (1, 2)
    names: tuple[str, ...] = ("1", "2")
    if layout == "single":
        content, masks, ids, names = rles[0], masks[:1], (1,), ("1",)
    elif layout == "uncompressed":
        flat = masks[0].T.ravel()
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
        content, masks, ids, names = [{"size": [40, 60], "counts": counts}], masks[:1], (1,), ("1",)
    elif layout == "annotations":
        content = [{"id": 900100 + k, "segmentation": rle} for k, rle in enumerate(rles)]
        names = ("900100", "900101")
    elif layout == "coco":
        notes = [
            {"id": 900100, "track_id": 5, "image_id": 3, "category_id": 1, "segmentation": rles[0]},
            {"id": 900101, "track_id": 4, "image_id": 3, "category_id": 2, "segmentation": rles[1]},
        ]
        content = {
            "images": [{"id": 3, "height": 40, "width": 60}],
            "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
            "annotations": notes,
        }
        ids, names = (5, 4), ("dog", "cat")
    (tmp_path / "m.json").write_text(json.dumps(content))
    mask = read_first_mask(tmp_path / "m.json", size=(40, 60))
    expected = np.zeros((40, 60), np.uint8)
    for number, object_mask in zip(ids, masks, strict=True):
        expected[object_mask] = number
    _is(mask, expected)
    assert dict(zip(mask.ids, mask.names, strict=True)) == dict(zip(ids, names, strict=True))


@pytest.mark.parametrize("has_size", [True, False])
def test_coco_polygons(tmp_path: Path, has_size: bool) -> None:
    content: dict[str, Any] = {
        "annotations": [{"id": 1, "image_id": 0, "segmentation": [[5, 5, 5, 25, 20, 25, 20, 5]]}],
    }
    if has_size:
        content["images"] = [{"id": 0, "height": 40, "width": 60}]
    (tmp_path / "m.json").write_text(json.dumps(content))
    mask = read_first_mask(tmp_path / "m.json", size=None if has_size else (40, 60))
    expected = np.zeros((40, 60), np.uint8)
    expected[5:25, 5:20] = 1
    _is(mask, expected)


def test_of_several_coco_images_the_first_listed_is_taken(
    tmp_path: Path, two_objects: UInt8Array
) -> None:
    notes = [{"id": k, "image_id": k, "segmentation": _coco(two_objects == k)} for k in (1, 2)]
    content = {"images": [{"id": 7}, {"id": 2}, {"id": 1}], "annotations": notes}
    (tmp_path / "m.json").write_text(json.dumps(content))
    mask = read_first_mask(tmp_path / "m.json")
    assert mask.ids == (2,)
    assert "masks of 2 images; only those of image 2 are used" in mask.warnings[0]


def test_our_own_json(tmp_path: Path, two_objects: UInt8Array) -> None:
    later = two_objects.copy()
    later[0, 0] = 8
    frames = [(30, two_objects), (31, later)]
    write_masks_json(tmp_path / "m.json", frames, (2, 1, 8), (40, 60), names={2: "disc"})
    mask = read_first_mask(tmp_path / "m.json")
    np.testing.assert_array_equal(mask.labels, two_objects)
    assert mask.ids == (1, 2)
    assert mask.names == ("1", "disc")
    assert "left out because not visible in frame 30: 8" in mask.warnings[0]


def test_arrays(two_objects: UInt8Array) -> None:
    _is(check_first_mask(two_objects, size=(40, 60)), two_objects)
    _is(check_first_mask(two_objects.astype(np.int64)), two_objects)
    _is(check_first_mask(two_objects == 2), (two_objects == 2).astype(np.uint8))
    _is(check_first_mask(np.stack([two_objects == 1, two_objects == 2])), two_objects)
    _is(check_first_mask((two_objects == 1) * np.uint8(255)), (two_objects == 1).astype(np.uint8))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["blackswan", "car-shadow", "dance-twirl", "horsejump-high", "libby", "scooter-black"]
)
def test_davis_first_frames(shared_dir: Path, name: str) -> None:
    davis = shared_dir / "data" / "davis-dev"
    binary = read_first_mask(davis / "Annotations" / "480p" / name / "00000.png", size=(480, 854))
    ids = read_first_mask(
        davis / "Annotations_2017_first_frame" / "480p" / name / "00000.png", size=(480, 854)
    )
    assert binary.ids == (1,)
    assert ids.ids == ((1, 2) if name in ("horsejump-high", "scooter-black") else (1,))
    assert binary.warnings == ids.warnings == ()
    np.testing.assert_array_equal(binary.labels > 0, ids.labels > 0)
