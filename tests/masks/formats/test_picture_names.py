"""Formats that match pictures by name state the names of the pictures, and these come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.masks.formats.variants import Save
from vostrack.masks import (
    FORMATS,
    VideoFrames,
    VideoMasks,
    export_results,
    read_first_mask,
    read_results,
)

Same = Callable[[VideoMasks, VideoMasks], None]
NUMBERS = (7, 8, 11, 12, 99)
PICTURES = [f"sh_v2.{number}.jpg" for number in NUMBERS]
BY_NAME = ("labelme", "yolo-seg", "cvat-images", "label-studio", "burst")


@pytest.fixture
def plate(video: VideoMasks) -> VideoMasks:
    """The masks of sh_v2.7.jpg, sh_v2.8.jpg and so on, whose names alone state no frame."""
    frames = (
        replace(frame, number=number, name=str(number), file=picture)
        for frame, number, picture in zip(video.frames, NUMBERS, PICTURES, strict=True)
    )
    return replace(video, frames=tuple(frames))


def _written(masks: VideoMasks, name: str, folder: Path) -> Path:
    target = folder / f"made{FORMATS[name].suffix}"
    export_results(masks, name, target)
    return target


def test_the_names_of_the_pictures_are_written(plate: VideoMasks, tmp_path: Path) -> None:
    made = {name: _written(plate, name, tmp_path / name) for name in BY_NAME}
    stems = [name.removesuffix(".jpg") for name in PICTURES]
    for stem, picture in zip(stems, PICTURES, strict=True):
        content = json.loads((made["labelme"] / f"{stem}.json").read_text())
        assert content["imagePath"] == picture
        assert (made["yolo-seg"] / "labels" / f"{stem}.txt").is_file()
    assert len(list(made["labelme"].iterdir())) == len(stems)
    assert re.findall('<image .*? name="(.*?)"', made["cvat-images"].read_text()) == PICTURES
    tasks = json.loads(made["label-studio"].read_text())
    assert [task["data"]["image"] for task in tasks] == PICTURES
    (sequence,) = json.loads(made["burst"].read_text())["sequences"]
    assert sequence["annotated_image_paths"] == PICTURES
    coco = json.loads(_written(plate, "coco", tmp_path).read_text())
    assert [image["file_name"] for image in coco["images"]] == PICTURES
    (clip,) = json.loads(_written(plate, "youtube-vis", tmp_path / "vis").read_text())["videos"]
    assert clip["file_names"] == PICTURES


@pytest.mark.parametrize("name", ["coco", "youtube-vis", "tiff", "napari"])
@pytest.mark.parametrize("names", [["7", "8", "11", "12", "99"], ["a", "b c", "e.f", "ü", "z[1]"]])
def test_names_and_pictures_come_back(
    name: str, names: list[str], plate: VideoMasks, tmp_path: Path, same: Same
) -> None:
    frames = (replace(f, name=n) for f, n in zip(plate.frames, names, strict=True))
    masks = replace(plate, frames=tuple(frames))
    same(read_results(_written(masks, name, tmp_path)), masks)


@pytest.mark.parametrize("name", BY_NAME)
def test_numbers_come_back_from_the_names_of_pictures(
    name: str, plate: VideoMasks, tmp_path: Path
) -> None:
    target = _written(plate, name, tmp_path)
    read = read_results(target, size=plate.size)
    assert tuple(frame.number for frame in read.frames) == NUMBERS
    assert [f"{frame.name}.jpg" for frame in read.frames] == PICTURES
    if name != "yolo-seg":
        assert [frame.file for frame in read.frames] == PICTURES
    frames = VideoFrames(NUMBERS, named=True, asked=11)
    mask = read_first_mask(target, size=plate.size, frames=frames, min_pixels=0)
    assert mask.frame == 11
    assert abs(int((mask.labels > 0).sum()) - int((plate.labels(2) > 0).sum())) < 80


def test_pictures_of_other_tools_keep_their_names(tmp_path: Path, save: Save) -> None:
    images = [{"id": k, "file_name": f"a/{k:05d}.jpg", "height": 24, "width": 36} for k in range(2)]
    box = {"category_id": 1, "iscrowd": 0, "segmentation": [[2, 2, 9, 2, 9, 9]], "track_id": 1}
    content = {
        "images": images,
        "annotations": [{"id": k, "image_id": k, **box} for k in range(2)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    source = save("coco.json", content)
    export_results(source, "labelme", tmp_path / "labelme")
    made = json.loads((tmp_path / "labelme" / "00001.json").read_text())
    assert made["imagePath"] == "00001.jpg"
    export_results(source, "cvat-images", tmp_path / "made.xml")
    assert 'name="00001.jpg"' in (tmp_path / "made.xml").read_text()


@pytest.mark.parametrize("file", ["../00000.png", "a\nb.png", "", "..", 5, None, "x" * 300])
def test_a_name_that_can_be_no_file_is_left_out(
    file: object, plate: VideoMasks, tmp_path: Path
) -> None:
    target = _written(plate, "coco", tmp_path)
    content = json.loads(target.read_text())
    content["images"][0]["file_name"] = file
    target.write_text(json.dumps(content))
    read = read_results(target)
    assert (read.frames[0].name, read.frames[0].file) == ("7", None)
    np.testing.assert_array_equal(read.labels(0), plate.labels(0))
