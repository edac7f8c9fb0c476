"""Files as other versions of the tools write them: fields absent, other types, odd order."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks import FirstMask, VideoFrames, encode_rle, read_first_mask, read_results
from vostrack.masks.formats.label_studio_rle import encode_brush

SIZE = (20, 30)
COUNTED = VideoFrames(range(8))
Save = Callable[[str, Any], Path]


def _box(top: int = 4, left: int = 5, bottom: int = 12, right: int = 15) -> BoolArray:
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


BOX, OTHER = _box(), _box(10, 18, 18, 28)
CORNERS = [[5, 4], [15, 4], [15, 12], [5, 12]]
PIXELS = [[5, 4], [14, 4], [14, 11], [5, 11]]
FLAT = [v for point in CORNERS for v in point]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _read(path: Path, asked: int | None = None) -> FirstMask:
    frames = VideoFrames(range(8), asked=asked)
    return read_first_mask(path, size=SIZE, frames=frames, min_pixels=0)


def _is_box(mask: FirstMask, name: str | None = None) -> None:
    np.testing.assert_array_equal(mask.labels == mask.ids[0], BOX)
    assert name is None or mask.names[0] == name


def _plain_rle(mask: BoolArray) -> dict[str, Any]:
    runs = np.diff(np.flatnonzero(np.diff(np.r_[-1, mask.T.ravel().astype(int), -1])))
    counts = runs.tolist()
    return {"size": list(mask.shape), "counts": counts if not mask[0, 0] else [0, *counts]}


COCO_IMAGES = [{"id": "a", "file_name": "f_0000.jpg", "height": 20, "width": 30}]


@pytest.mark.parametrize(
    "annotation",
    [
        {"image_id": "a", "segmentation": encode_rle(BOX)},
        {"image_id": "a", "segmentation": _plain_rle(BOX)},
        {"image_id": "a", "segmentation": {"counts": encode_rle(BOX)["counts"]}},
        {"image_id": "a", "segmentation": [FLAT]},
        {"image_id": "a", "segmentation": FLAT},
        {"image_id": "a", "segmentation": [CORNERS]},
        {"segmentation": [FLAT]},
        {"image_id": "a", "id": "17", "segmentation": [FLAT], "iscrowd": False},
        {"image_id": "a", "segmentation": [FLAT], "attributes": {"track_id": 5}},
    ],
)
def test_coco_segmentations(annotation: dict[str, Any], save: Save) -> None:
    classes = [{"id": "1", "name": "schöner Ball"}]
    content = {"images": COCO_IMAGES, "categories": classes}
    path = save("m.json", {**content, "annotations": [{"category_id": 1, **annotation}]})
    mask = _read(path)
    _is_box(mask, "schöner Ball")
    assert mask.ids == ({"17": 17}.get(annotation.get("id", ""), 5 if "attributes" in annotation
                        else 1),)  # fmt: skip
    assert mask.warnings == ()


def test_coco_parts_of_one_track(save: Save) -> None:
    parts = [{"image_id": 1, "track_id": 4, "segmentation": encode_rle(m)} for m in (BOX, OTHER)]
    mask = _read(save("m.json", {"images": [], "annotations": parts}))
    assert mask.ids == (4,)
    np.testing.assert_array_equal(mask.labels > 0, BOX | OTHER)


def test_coco_without_tracks_is_matched_by_class(save: Save) -> None:
    images = [{"id": k, "file_name": f"{k:05d}.png", "height": 20, "width": 30} for k in (1, 0)]
    annotations = [
        {"id": k, "image_id": k % 2, "category_id": c, "segmentation": encode_rle(m)}
        for k, (c, m) in enumerate([(2, BOX), (1, BOX), (1, OTHER), (2, OTHER)])
    ]
    content = {"images": images, "annotations": annotations}
    classes = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    masks = read_results(save("m.json", {**content, "categories": classes}))
    assert [frame.number for frame in masks.frames] == [0, 1]
    ids = {entry.name: entry.id for entry in masks.objects}
    np.testing.assert_array_equal(masks.labels(0) == ids["cat"], BOX & ~OTHER)
    np.testing.assert_array_equal(masks.labels(1) == ids["cat"], OTHER)
    assert "states no tracks" in masks.notes[0]


def test_overlaps_are_counted(save: Save) -> None:
    other = _box(8, 10, 16, 20)
    content = [{"image_id": 1, "id": k, "segmentation": encode_rle(m)}
               for k, m in ((1, BOX), (2, other))]  # fmt: skip
    masks = read_results(save("m.json", {"images": [], "annotations": content}))
    masks.labels(0)
    assert masks.lost() == (f"{save('m.json', '')}: 20 pixels belong to several objects; the later "
                            "one got them",)  # fmt: skip


@pytest.mark.parametrize(
    "video",
    [
        {"id": 1, "file_names": [f"v/{k:05d}.jpg" for k in range(3)]},
        {"id": 1, "height": 20, "width": 30, "length": 3},
        {"id": 1, "file_names": ["a.jpg"]},
    ],
)
def test_youtube_vis_with_little(video: dict[str, Any], save: Save) -> None:
    track = {"id": 9, "video_id": 1, "segmentations": [_plain_rle(BOX), None]}
    empty = {"id": 8, "video_id": 1, "segmentations": [encode_rle(BOX & False), encode_rle(OTHER)]}
    mask = _read(save("m.json", {"videos": [video], "annotations": [track, empty]}))
    _is_box(mask)
    assert mask.ids == (9,)
    assert "not visible in" in mask.warnings[0]


def _mots(frame: int, number: int, kind: int, mask: BoolArray) -> str:
    return f"{frame} {number} {kind} 20 30 {encode_rle(mask)['counts']}"


@pytest.mark.parametrize(
    "lines",
    [
        [_mots(0, 1003, 1, BOX), _mots(2, 1003, 1, OTHER)],
        ["", _mots(0, 1003, 1, BOX), _mots(0, 10000, 10, OTHER)],
        [_mots(3, 1003, 1, OTHER) + "\r", _mots(0, 1003, 1, BOX) + "\r"],
    ],
)
def test_mots_text(lines: list[str], save: Save) -> None:
    mask = _read(save("m.txt", "\n".join(lines)))
    _is_box(mask)
    assert mask.ids == (3,)
    assert bool((mask.labels == 255).any()) == ("10000" in "".join(lines))


def test_mots_text_counted_from_1(save: Save) -> None:
    path = save("m.txt", "\n".join(_mots(k, 2001, 2, BOX) for k in (1, 2, 3)))
    masks = read_results(path)
    assert [frame.number for frame in masks.frames] == [1, 2, 3]
    assert masks.objects[0].category == "pedestrian"


def test_mots_images_with_one_number_in_two_classes(tmp_path: Path) -> None:
    values = np.where(BOX, 1001, np.where(OTHER, 2001, 0)).astype(np.uint16)
    values[0, 0] = 10000
    Image.fromarray(values).save(tmp_path / "000000.png")
    masks = read_results(tmp_path)
    assert [entry.name for entry in masks.objects] == ["1001", "2001"]
    assert [entry.category for entry in masks.objects] == ["car", "pedestrian"]
    labels = masks.labels(0)
    assert labels[0, 0] == 255
    np.testing.assert_array_equal(labels == 1, BOX & ~OTHER)


@pytest.mark.parametrize("coded", [encode_rle(BOX)["counts"], _plain_rle(BOX), encode_rle(BOX)])
def test_burst(coded: Any, save: Save) -> None:
    sequence = {
        "height": 20,
        "width": 30,
        "annotated_image_paths": ["frame0000.jpg", "frame0003.jpg"],
        "track_category_ids": {"2": 805},
        "segmentations": [{"2": {"rle": coded}}, {}],
    }
    mask = _read(save("m.json", {"sequences": [sequence]}))
    _is_box(mask, "class 805")
    assert mask.ids == (2,)


@pytest.mark.parametrize("count", [7, 8, 5])
def test_sa_v_annotates_every_fourth_frame(count: int, save: Save) -> None:
    empty = encode_rle(BOX & False)
    masklets = [[encode_rle(BOX), empty], [None, encode_rle(OTHER)]]
    content = {"video_frame_count": count, "video_height": 20.0, "video_width": 30.0}
    path = save("m.json", {**content, "masklet": masklets, "masklet_id": [0, 1]})
    _is_box(_read(path))
    numbers = [frame.number for frame in read_results(path).frames]
    assert numbers == [0, {7: 4, 8: 4, 5: 2}[count]]


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
    _is_box(_read(path), "Ball & Bär")


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
    np.testing.assert_array_equal(a[4] | (masks.labels(4) == ids["b"]), _box(4, 5, 12, 19))
    assert a[5].any()
    assert not a[6].any()
    assert not (masks.labels(1) == ids["b"]).any()
    assert (masks.labels(6) == ids["b"]).sum() == 80
    assert "polygons were interpolated, masks repeated" in masks.notes[0]


def test_cvat_interpolates_half_way(save: Save) -> None:
    moved = 'points="9,4;19,4;19,12;9,12"'
    shapes = f'<polygon frame="0" {CVAT_POLYGON}/><polygon frame="2" {moved}/>'
    masks = read_results(save("m.xml", _cvat(f'<track id="3" label="a">{shapes}</track>')))
    np.testing.assert_array_equal(masks.labels(1) > 0, _box(4, 7, 12, 17))


def test_cvat_images_and_ellipses(save: Save) -> None:
    ellipse = '<ellipse label="e" cx="15" cy="10" rx="8" ry="3" rotation="90"/>'
    body = f'<image id="0" name="frame_000000.PNG" width="30" height="20">{ellipse}</image>'
    mask = _read(save("m.xml", _cvat(body, size=False)))
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
        _read(save("m.xml", text))


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
    _is_box(_read(save("m.json", [task])), "ball")
    _is_box(_read(save("m.json", task)), "ball")


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
    _is_box(_read(save("m.json", content)), "ball")
    both = {**content, "imageHeight": 20, "imageWidth": 30, "imageData": None}
    save("f/00000.json", both)
    save("f/00002.json", {**both, "shapes": [], "imagePath": "00002.jpg"})
    Image.new("RGB", (30, 20)).save(save("f/00000.jpg", "x"))
    folder = save("f/00000.json", both).parent
    _is_box(_read(folder), "ball")
    assert [frame.number for frame in read_results(folder).frames] == [0, 2]


def test_supervisely_polygon_with_a_hole(save: Save) -> None:
    hole = [[8, 6], [11, 6], [11, 9], [8, 9]]
    item = {"geometryType": "polygon", "classTitle": "ball",
            "points": {"exterior": PIXELS, "interior": [hole]}}  # fmt: skip
    mask = _read(save("m.json", {"size": {"height": 20, "width": 30}, "objects": [item]}))
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
    mask = _read(path)
    _is_box(mask, "ball")
    assert mask.frame == 2
    assert [entry.name for entry in read_results(path).objects] == ["ball", "cat"]


@pytest.mark.parametrize(
    ("line", "yaml", "name"),
    [
        ("0 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("data.yaml", "nc: 1\nnames: ['ball']\n"), "ball"),
        ("1 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS) + " 6",
         ("data.yaml", "names:\n  0: cat\n  1: \"Bär\"\n"), "Bär"),
        ("1 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("classes.txt", "cat\ndog\n"), "dog"),
        ("7 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("notes.md", "no names"), "class 7"),
    ],
)  # fmt: skip
def test_yolo(line: str, yaml: tuple[str, str], name: str, save: Save) -> None:
    save("d/" + yaml[0], yaml[1])
    save("d/labels/00001.txt", "")
    path = save("d/labels/00000.txt", line + "\r\n")
    _is_box(_read(path), name)
    _is_box(_read(path.parents[1]), name)
    numbers = [frame.number for frame in read_results(path.parents[1], size=SIZE).frames]
    assert numbers == [0, 1]
    with pytest.raises(InputError, match="as `size`"):
        read_results(path.parents[1])


def test_tiff_stacks(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    many = np.stack([np.where(BOX, 3000, np.where(OTHER, 70000, 0))] * 4).astype(np.int32)
    tifffile.imwrite(tmp_path / "m.tif", many)
    mask = _read(tmp_path / "m.tif", asked=2)
    assert mask.names == ("3000", "70000")
    _is_box(mask)
    assert "became" in read_results(tmp_path / "m.tif").notes[0]
    binary = np.stack([BOX & False, BOX]).astype(np.uint8) * 255
    tifffile.imwrite(tmp_path / "b.tif", binary, imagej=True)
    mask = _read(tmp_path / "b.tif")
    _is_box(mask)
    assert mask.frame == 1
    tifffile.imwrite(tmp_path / "f.tif", np.stack([many] * 2))
    with pytest.raises(InputError, match="expected a stack"):
        read_results(tmp_path / "f.tif")


@pytest.mark.parametrize(
    ("labels", "void"),
    [
        ({"background": 0, "ball": 1, "ignore": 2}, 80),
        ({"0": "background", "1": "ball", "2": "cat"}, 0),
        ({"background": "0", "ball": "1", "cat": "2"}, 0),
    ],
)
def test_nnunet(labels: dict[str, Any], void: int, save: Save) -> None:
    folder = save("d/dataset.json", {"labels": labels, "file_ending": ".png"}).parent
    (folder / "labelsTr").mkdir()
    values = np.where(BOX, 1, np.where(OTHER, 2, 0)).astype(np.uint8)
    Image.fromarray(values).save(folder / "labelsTr" / "case_00000.png")
    mask = _read(folder)
    _is_box(mask, "ball")
    assert (mask.labels == 255).sum() == void


def test_nnunet_regions_are_refused(save: Save) -> None:
    folder = save("d/dataset.json", {"labels": {"background": 0, "whole": [1, 2]}}).parent
    (folder / "labelsTr").mkdir()
    with pytest.raises(InputError, match="regions of several labels are not read"):
        _read(folder)


def test_pycocotools_agrees_about_plain_rle() -> None:
    coded = coco_mask.frPyObjects(_plain_rle(BOX), *SIZE)
    np.testing.assert_array_equal(coco_mask.decode(coded), BOX)


def test_sa_v_folders(save: Save) -> None:
    for number, drawn in (("000", BOX), ("001", OTHER)):
        for frame in ("00000", "00004"):
            path = save(f"v/{number}/{frame}.png", "x")
            Image.fromarray(drawn).save(path)
    (save("v/001/00000.png", "x")).unlink()
    mask = _read(path.parents[1])
    _is_box(mask, "000")
    masks = read_results(path.parents[1])
    assert [frame.number for frame in masks.frames] == [0, 4]
    np.testing.assert_array_equal(masks.labels(1) == 2, OTHER)


def test_numbers_that_repeat_are_counted(save: Save) -> None:
    """As in a data set of two videos without names for them."""
    images = [{"id": k, "file_name": f"{v}/00000.png"} for k, v in enumerate("ab")]
    annotations = [{"image_id": k, "track_id": 1, "segmentation": encode_rle(BOX)} for k in (0, 1)]
    masks = read_results(save("m.json", {"images": images, "annotations": annotations}))
    assert [frame.number for frame in masks.frames] == [0, 1]
    assert "they are counted" in masks.notes[0]


@pytest.mark.parametrize("asked", [None, 2])
def test_frames_counted_from_1_in_the_file(asked: int | None, save: Save) -> None:
    """File names 00001 to 00008 are those of frames 0 to 7 of a video of 8 frames."""
    coded = [encode_rle(_box(4, 5 + k, 12, 15 + k)) for k in range(8)]
    video = {"id": 1, "file_names": [f"{k:05d}.jpg" for k in range(1, 9)]}
    track = {"id": 1, "video_id": 1, "segmentations": coded}
    lines = [_mots(k + 1, 1001, 1, _box(4, 5 + k, 12, 15 + k)) for k in range(8)]
    paths = [save("m.json", {"videos": [video], "annotations": [track]})]
    for path in [*paths, save("m.txt", "\n".join(lines))]:
        mask = _read(path, asked)
        expected = _box(4, 5 + (asked or 0), 12, 15 + (asked or 0))
        np.testing.assert_array_equal(mask.labels > 0, expected)
        assert mask.frame == (asked or 0)
