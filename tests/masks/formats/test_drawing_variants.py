"""CVAT, Label Studio, labelme and Supervisely as other versions of the tools write them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.masks.formats.variants import (
    BOX,
    CORNERS,
    PIXELS,
    Save,
    box,
    is_box,
    read_mask,
)
from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks import read_results
from vostrack.masks.formats.label_studio_rle import encode_brush


def _cvat(body: str, size: bool = True) -> str:
    shape = "<original_size><width>30</width><height>20</height></original_size>" * size
    return (
        f"<annotations><version>1.1</version><meta><task>{shape}</task></meta>{body}</annotations>"
    )


CVAT_MASK = 'rle="0,80" left="5" top="4" width="10" height="8"'
CVAT_POLYGON = 'points="5.00,4.00;15.00,4.00;15.00,12.00;5.00,12.00"'


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (f'<mask frame="0" outside="0" keyframe="1" {CVAT_MASK}/>', True),
        (f'<mask frame="0" {CVAT_MASK}></mask><mask frame="1" outside="1" {CVAT_MASK}/>', False),
        (f'<polygon frame="0" occluded="1" {CVAT_POLYGON}/>', True),
        (f'<box frame="0" xtl="0" ytl="0" xbr="2" ybr="2"/><mask frame="0" {CVAT_MASK}/>', True),
    ],
)
def test_cvat_shapes(shape: str, size: bool, save: Save) -> None:
    path = save("m.xml", _cvat(f'<track id="0" label="Ball &amp; Bär">{shape}</track>', size))
    is_box(read_mask(path), "Ball & Bär")


def test_cvat_between_key_frames(save: Save) -> None:
    moved = 'points="9,4;19,4;19,12;9,12"'
    body = (
        f'<track id="3" label="a"><polygon frame="0" {CVAT_POLYGON}/><polygon frame="4" {moved}/>'
        f'<polygon frame="6" outside="1" {moved}/></track>'
        f'<track id="3" label="b"><mask frame="2" {CVAT_MASK}/></track>'
    )
    masks = read_results(save("m.xml", _cvat(body)))
    assert len(masks.frames) == 7
    ids = {entry.name: entry.id for entry in masks.objects}
    a = [masks.labels(k) == ids["a"] for k in range(7)]
    np.testing.assert_array_equal(a[0], BOX)
    np.testing.assert_array_equal(a[4] | (masks.labels(4) == ids["b"]), box(4, 5, 12, 19))
    assert a[5].any()
    assert not a[6].any()
    assert not (masks.labels(1) == ids["b"]).any()
    assert (masks.labels(6) == ids["b"]).sum() == 80
    assert "polygons were interpolated, masks repeated" in masks.notes[0]


def test_cvat_interpolates_half_way(save: Save) -> None:
    moved = 'points="9,4;19,4;19,12;9,12"'
    shapes = f'<polygon frame="0" {CVAT_POLYGON}/><polygon frame="2" {moved}/>'
    masks = read_results(save("m.xml", _cvat(f'<track id="3" label="a">{shapes}</track>')))
    np.testing.assert_array_equal(masks.labels(1) > 0, box(4, 7, 12, 17))


def test_cvat_masks_without_groups_as_cvat_exports_them(save: Save) -> None:
    """CVAT writes each mask as a track, and does not end those on the two last frames."""
    body = "".join(
        f'<track id="{k}" label="ball"><mask frame="{k}" outside="0" {CVAT_MASK}/>'
        + f'<mask frame="{k + 1}" outside="1" {CVAT_MASK}/>' * (k < 3)
        + "</track>"
        for k in range(5)
    )
    masks = read_results(save("m.xml", _cvat(body)))
    assert [entry.name for entry in masks.objects] == ["ball"]
    for k in range(5):
        np.testing.assert_array_equal(masks.labels(k) == 1, BOX)
    assert "matched by their class" in masks.notes[0]


def test_cvat_images_and_ellipses(save: Save) -> None:
    ellipse = '<ellipse label="e" cx="15" cy="10" rx="8" ry="3" rotation="90"/>'
    body = f'<image id="0" name="frame_000000.PNG" width="30" height="20">{ellipse}</image>'
    mask = read_mask(save("m.xml", _cvat(body, size=False)))
    rows, columns = np.nonzero(mask.labels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 17, 12, 17)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotations></annotations>", "expected annotations with tracks or images"),
        (_cvat(""), "contains labels but no shape"),
        (_cvat('<image id="0" name="a.png" width="30" height="20"></image>'), "but no shape"),
        ("<html/>", "got <html>"),
        ("<annotations>", "cannot be read as XML"),
        (_cvat('<track id="0" label="a"><box frame="0"/></track>'), "got only boxes"),
        (_cvat('<track id="0" label="a"><mask frame="0" rle="3" left="0" top="0" width="2" '
               'height="2"/></track>'), "cover 3 pixels, expected 4"),
        (_cvat('<track id="0" label="a"><polygon frame="x" points="1,2"/></track>'), "frame 'x'"),
        (_cvat('<track id="0" label="a"><polygon frame="0" points="1,2"/></track>'), "is damaged"),
        (_cvat('<track id="0" label="a"></track>'), "but no shape"),
    ],
)  # fmt: skip
def test_cvat_that_cannot_be_read(text: str, words: str, save: Save) -> None:
    with pytest.raises(InputError, match=words):
        read_mask(save("m.xml", text))


def _region(value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"original_width": 30, "original_height": 20, "value": value, **fields}


def _png(mask: BoolArray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


BRUSH = {"format": "rle", "rle": encode_brush(BOX), "brushlabels": ["ball"]}
PERCENT = [[x * 100 / 30, y * 100 / 20] for x, y in CORNERS]


@pytest.mark.parametrize(
    "task",
    [
        {"data": {"image": "/data/upload/1/0a1b2c3d-00000.png"},
         "annotations": [{"result": [_region(BRUSH, id="x")]}]},
        {"data": {"image": "s3://b/f.png"}, "annotations": [],
         "predictions": [{"result": [_region(BRUSH)]}]},
        {"image": "00000.png", "tag": [{**BRUSH, "original_width": 30, "original_height": 20}]},
        {"data": {"image": "a.png"}, "annotations": [{"result": [
            _region({"points": PERCENT, "closed": True, "polygonlabels": ["ball"]})]}]},
        {"data": {"image": "a.png"}, "annotations": [{"result": [
            _region({k: BRUSH[k] for k in ("format", "rle")}, id="q", type="brush"),
            _region({"labels": ["ball"]}, id="q", type="labels"),
            {"id": "z", "type": "choices", "value": {"choices": ["good"]}}]}]},
        {"data": {"image": "a.png"}, "annotations": [{"result": [_region(
            {"imageDataURL": "data:image/png;base64," + _png(BOX), "bitmasklabels": ["ball"]})]}]},
        {"data": {"image": "a.png"}, "annotations": [
            {"was_cancelled": True, "result": []}, {"result": [_region(BRUSH)]}]},
    ],
    ids=["brush", "prediction", "minimal", "polygon", "pair", "bitmask", "cancelled"],
)  # fmt: skip
def test_label_studio(task: dict[str, Any], save: Save) -> None:
    is_box(read_mask(save("m.json", [task])), "ball")
    is_box(read_mask(save("m.json", task)), "ball")


def test_label_studio_runs_of_single_values() -> None:
    """The brush in the browser writes literal runs where the edge is soft."""
    from vostrack.masks.formats.label_studio_rle import decode_brush

    words = [0, 0, 0, 255, 0, 0, 0, 100]
    head = f"{len(words):032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits = head + "000" + f"{len(words) - 1:03b}" + "".join(f"{n:08b}" for n in words)
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]
    np.testing.assert_array_equal(decode_brush(rle, (1, 2)), [[True, False]])


def _shape(kind: str | None, points: Any, **fields: Any) -> dict[str, Any]:
    shape = {"label": "ball", "points": points, **fields}
    return shape if kind is None else {**shape, "shape_type": kind}


@pytest.mark.parametrize(
    "shapes",
    [
        [_shape("polygon", PIXELS, group_id=None, flags={})],
        [_shape(None, PIXELS)],
        [_shape("mask", [[5, 4], [14, 11]], mask=_png(np.ones((8, 10), np.bool_)))],
        [_shape("polygon", PIXELS, group_id=2), _shape("rectangle", [[0, 0], [2, 2]])],
        [_shape("polygon", [[5, 4], [9, 4], [9, 11], [5, 11]], group_id=2),
         _shape("polygon", [[10, 4], [14, 4], [14, 11], [10, 11]], group_id=2)],
    ],
)  # fmt: skip
def test_labelme(shapes: list[Any], save: Save) -> None:
    content = {"version": "5", "shapes": shapes, "imagePath": "..\\images\\00000.jpg"}
    is_box(read_mask(save("m.json", content)), "ball")
    both = {**content, "imageHeight": 20, "imageWidth": 30, "imageData": None}
    save("f/00000.json", both)
    save("f/00002.json", {**both, "shapes": [], "imagePath": "00002.jpg"})
    Image.new("RGB", (30, 20)).save(save("f/00000.jpg", "x"))
    folder = save("f/00000.json", both).parent
    is_box(read_mask(folder), "ball")
    assert [frame.number for frame in read_results(folder).frames] == [0, 2]


def test_supervisely_polygon_with_a_hole(save: Save) -> None:
    hole = [[8, 6], [11, 6], [11, 9], [8, 9]]
    item = {"geometryType": "polygon", "classTitle": "ball",
            "points": {"exterior": PIXELS, "interior": [hole]}}  # fmt: skip
    mask = read_mask(save("m.json", {"size": {"height": 20, "width": 30}, "objects": [item]}))
    expected = BOX.copy()
    expected[7:9, 9:11] = False
    np.testing.assert_array_equal(mask.labels > 0, expected)


@pytest.mark.parametrize("key", ["objectKey", "objectId"])
def test_supervisely_video(key: str, save: Save) -> None:
    own = "key" if key == "objectKey" else "id"
    figure = {
        key: 31,
        "geometryType": "bitmap",
        "geometry": {"bitmap": {"data": _png(BOX[4:12, 5:15]), "origin": [5, 4]}},
    }
    objects = [{own: 31, "classTitle": "ball"}, {own: 32, "classTitle": "cat", "tags": []}]
    content = {"size": {"height": 20, "width": 30}, "objects": objects}
    path = save("m.json", {**content, "frames": [{"index": 2, "figures": [figure]}]})
    mask = read_mask(path)
    is_box(mask, "ball")
    assert mask.frame == 2
    assert [entry.name for entry in read_results(path).objects] == ["ball", "cat"]


def test_nnunet_regions_are_refused(save: Save) -> None:
    folder = save("d/dataset.json", {"labels": {"background": 0, "whole": [1, 2]}}).parent
    (folder / "labelsTr").mkdir()
    with pytest.raises(InputError, match="regions of several labels are not read"):
        read_mask(folder)
