"""What is written is read by the tools that the formats come from.

Some of them are not installed with the tests: ``pip install --group readers``.
"""

from __future__ import annotations

import base64
import io
import json
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from vostrack.arrays import UInt8Array
from vostrack.masks import VideoMasks, export_results

_WHY = "it is not installed: pip install --group readers"


def _visible(labels: UInt8Array) -> UInt8Array:
    return np.where(labels == 255, 0, labels).astype(np.uint8)


def test_label_studio_brush_as_its_converter_reads_it(video: VideoMasks, tmp_path: Path) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason=_WHY)
    export_results(video, "label-studio", tmp_path / "m.json")
    tasks = json.loads((tmp_path / "m.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"{n}.png" for n in range(1001, 1006)]
    for k, task in enumerate(tasks):
        for region in task["annotations"][0]["result"]:
            plane = brush.decode_rle(region["value"]["rle"]).reshape(*video.size, 4)[..., 3]
            number = int(region["id"].removeprefix("object-"))
            np.testing.assert_array_equal(plane > 0, video.labels(k) == number)
    ours = tasks[0]["annotations"][0]["result"][0]["value"]["rle"]
    theirs = brush.encode_rle(np.repeat((video.labels(0) == 3).ravel() * np.uint8(255), 4))
    np.testing.assert_array_equal(brush.decode_rle(ours), brush.decode_rle(theirs))


def test_labelme_masks_as_labelme_reads_them(video: VideoMasks, tmp_path: Path) -> None:
    labelme = pytest.importorskip("labelme", reason=_WHY)
    export_results(video, "labelme", tmp_path / "m")
    for k in range(5):
        Image.new("RGB", video.size[::-1]).save(tmp_path / f"m/{1001 + k}.png")
        found = np.zeros(video.size, np.uint8)
        for shape in labelme.LabelFile(str(tmp_path / f"m/{1001 + k}.json")).shapes:
            (x, y), (right, bottom) = (map(int, point) for point in shape["points"])
            place = found[y : bottom + 1, x : right + 1]
            place[shape["mask"]] = shape["group_id"] or 255
        np.testing.assert_array_equal(found, video.labels(k))


def test_labelme_masks_as_its_documentation_says(video: VideoMasks, tmp_path: Path) -> None:
    """In labelme a mask begins at the first point; the second is its last pixel."""
    export_results(video, "labelme", tmp_path / "m")
    for k in range(5):
        content = json.loads((tmp_path / "m" / f"{1001 + k}.json").read_text())
        assert content["imagePath"] == f"{1001 + k}.png"
        found = np.zeros((content["imageHeight"], content["imageWidth"]), np.uint8)
        for shape in content["shapes"]:
            (x0, y0), (x1, y1) = shape["points"]
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
                mask = np.asarray(image).astype(bool)
            place = found[y0 : y1 + 1, x0 : x1 + 1]
            place[mask] = shape["group_id"] or 255
        np.testing.assert_array_equal(found, video.labels(k))


def test_supervisely_bitmaps_as_its_sdk_reads_them(video: VideoMasks, tmp_path: Path) -> None:
    """The SDK unpacks zlib, reads the PNG with OpenCV, and takes its alpha."""
    export_results(video, "supervisely", tmp_path / "m")
    content = json.loads((tmp_path / "m/dataset/ann/shot.json").read_text())
    meta = json.loads((tmp_path / "m/meta.json").read_text())
    assert [c["title"] for c in meta["classes"]] == ["person", "horse", "void"]
    owners = {entry["key"]: entry for entry in content["objects"]}
    for frame in content["frames"]:
        found = np.zeros(video.size, np.uint8)
        for figure in frame["figures"]:
            bitmap = figure["geometry"]["bitmap"]
            data = zlib.decompress(base64.b64decode(bitmap["data"]))
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            assert image is not None
            mask = image[:, :, 3].astype(bool)
            x, y = bitmap["origin"]
            tags = owners[figure["objectKey"]]["tags"]
            place = found[y : y + mask.shape[0], x : x + mask.shape[1]]
            place[mask] = tags[0]["value"] if tags else 255
        np.testing.assert_array_equal(found, video.labels(frame["index"]))


def _as_cvat_loads(track: ET.Element) -> ET.Element:
    """CVAT tracks no masks: of a track it takes the first mask, and leaves out the others.

    See ``load_anno`` in cvat/apps/dataset_manager/formats/cvat.py of https://github.com/cvat-ai/cvat.
    """
    return next(shape for shape in track if shape.get("keyframe") == "1")


def test_cvat_masks_as_its_loader_takes_them(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "cvat", tmp_path / "m.xml")
    root = ET.parse(tmp_path / "m.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "5"
    assert [label.findtext("name") for label in root.iter("label")] == ["person", "horse"]
    found = np.zeros((5, *video.size), np.uint8)
    for track in root.iter("track"):
        shape = _as_cvat_loads(track)
        frame = int(shape.get("frame", ""))
        ends = [(s.get("outside"), int(s.get("frame", ""))) for s in track]
        assert ends == [("0", frame), ("1", frame + 1)][: 2 if frame < 4 else 1]
        left, top, width = (int(shape.get(n, "")) for n in ("left", "top", "width"))
        offset, value = 0, 0
        for count in map(int, shape.get("rle", "").split(",")):
            for place in range(offset, offset + count if value else offset):
                y, x = divmod(place, width)
                found[frame, top + y, left + x] = int(track.get("group_id", ""))
            offset, value = offset + count, 1 - value
        assert offset == width * int(shape.get("height", ""))
    for k in range(5):
        np.testing.assert_array_equal(found[k], _visible(video.labels(k)))


def test_yolo_as_supervision_reads_it(video: VideoMasks, tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    export_results(video, "yolo-seg", tmp_path / "m")
    (tmp_path / "m/images").mkdir()
    for n in range(1001, 1006):
        size = (video.size[1], video.size[0])
        Image.new("RGB", size).save(tmp_path / f"m/images/{n}.png")
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(tmp_path / "m/images"),
        annotations_directory_path=str(tmp_path / "m/labels"),
        data_yaml_path=str(tmp_path / "m/data.yaml"),
        force_masks=True,
    )
    assert dataset.classes == ["person", "horse"]
    for path, _, found in dataset:
        truth = _visible(video.labels(int(Path(path).stem) - 1001))
        for kind, mask in zip(found.class_id, found.mask, strict=True):
            wrong = np.count_nonzero(mask != (truth == (3, 7)[kind]))
            assert wrong <= 6


@pytest.mark.parametrize(("name", "dtype"), [("tiff", np.uint8), ("napari", np.int32)])
def test_tiff_as_tifffile_reads_it(
    name: str, dtype: type[np.generic], video: VideoMasks, tmp_path: Path
) -> None:
    tifffile = pytest.importorskip("tifffile")
    export_results(video, name, tmp_path / "m.tif")
    stack = tifffile.imread(tmp_path / "m.tif")
    # napari opens 32-bit integers as labels, and others as an image.
    assert stack.dtype == dtype
    np.testing.assert_array_equal(stack, [video.labels(k) for k in range(5)])
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        assert file.series[0].axes == "TYX"
    with Image.open(tmp_path / "m.tif") as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]


def test_mots_images_as_the_paper_says(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "mots-png", tmp_path / "m")
    for k in range(5):
        with Image.open(tmp_path / "m" / f"{1001 + k}.png") as image:
            values = np.asarray(image).astype(int)
        expected = np.select([video.labels(k) == n for n in (3, 7, 255)], [2003, 3007, 10000], 0)
        np.testing.assert_array_equal(values, expected)


def test_nnunet_labels_as_nnunet_reads_them(video: VideoMasks, tmp_path: Path) -> None:
    reader = pytest.importorskip("nnunetv2.imageio.natural_image_reader_writer", reason=_WHY)
    export_results(video, "nnunet", tmp_path / "m")
    for k in range(5):
        path = tmp_path / f"m/labelsTr/shot_{1001 + k}.png"
        found, _ = reader.NaturalImage2DIO().read_seg(str(path))
        expected = np.select([video.labels(k) == n for n in (3, 7, 255)], [1, 2, 3], 0)
        np.testing.assert_array_equal(found, expected[None, None])


def test_nnunet_labels_are_consecutive(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "nnunet", tmp_path / "m")
    content = json.loads((tmp_path / "m/dataset.json").read_text())
    assert content["labels"] == {"background": 0, "left": 1, "pferd süß": 2, "ignore": 3}
    assert content["file_ending"] == ".png"
    assert content["numTraining"] == len(list((tmp_path / "m/labelsTr").iterdir())) == 5
    for k in range(5):
        with Image.open(tmp_path / f"m/labelsTr/shot_{1001 + k}.png") as image:
            # nnU-Net's reader makes three channels of a palette.
            assert image.mode == "L"
            values = np.asarray(image)
        expected = np.select([video.labels(k) == n for n in (3, 7, 255)], [1, 2, 3], 0)
        np.testing.assert_array_equal(values, expected)


def test_sa_v_as_its_own_code_reads_it(video: VideoMasks, tmp_path: Path) -> None:
    export_results(video, "sa-v", tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["masklet_id"] == [3, 7]
    assert content["masklet_num"] == 2
    assert content["masklet_visibility_changes"] == [0, 2]
    for k, coded in enumerate(content["masklet"]):
        planes = coco_mask.decode(coded)
        for n, number in enumerate(content["masklet_id"]):
            np.testing.assert_array_equal(planes[..., n], video.labels(k) == number)
