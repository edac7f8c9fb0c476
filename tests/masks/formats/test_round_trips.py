"""What is written is read again: frames, times, objects, classes, void and every pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.masks import (
    FORMATS,
    MaskObject,
    VideoFrames,
    VideoMasks,
    export_results,
    read_first_mask,
    read_results,
)

Same = Callable[[VideoMasks, VideoMasks], None]
EXACT = ("coco", "youtube-vis", "tiff", "napari")
WITHOUT_VOID = ("burst", "sa-v", "cvat", "cvat-images")
WITHOUT_NAMES = ("davis", "mots-png", "mots-txt")
COUNTING = ("cvat", "supervisely")
IN_FILES = [name for name, entry in FORMATS.items() if entry.reads and not entry.in_python]
PIXELS = [name for name in IN_FILES if name != "yolo-seg"]


def _written(masks: VideoMasks, name: str, folder: Path) -> tuple[Path, str]:
    target = folder / f"made{FORMATS[name].suffix}"
    return target, " ".join(export_results(masks, name, target))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("kind", ["video", "counted", "without_void"])
def test_everything_comes_back(
    name: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, same: Same
) -> None:
    masks: VideoMasks = request.getfixturevalue(kind)
    target, notes = _written(masks, name, tmp_path)
    assert notes == ""
    read = read_results(target)
    same(read, masks)
    assert (read.video, read.frame_rate) == (masks.video, masks.frame_rate)
    assert read.notes == ()


@pytest.mark.parametrize("name", PIXELS)
@pytest.mark.parametrize("kind", ["video", "counted"])
def test_every_pixel_comes_back(
    name: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    masks: VideoMasks = request.getfixturevalue(kind)
    target, notes = _written(masks, name, tmp_path)
    read = read_results(target)
    assert read.size == masks.size
    for k in range(len(masks.frames)):
        truth = masks.labels(k)
        if name in WITHOUT_VOID:
            truth[truth == 255] = 0
        np.testing.assert_array_equal(read.labels(k), truth)
    assert ("void (32 pixels" in notes) == (name in WITHOUT_VOID)


@pytest.mark.parametrize("name", IN_FILES)
def test_the_frames_come_back(
    name: str, video: VideoMasks, counted: VideoMasks, tmp_path: Path
) -> None:
    target, notes = _written(video, name, tmp_path)
    read = read_results(target, size=video.size)
    if name in COUNTING:
        assert "the names of frames (1001 is frame 0)" in notes
        assert [frame.number for frame in read.frames] == list(range(5))
    else:
        assert [frame.number for frame in read.frames] == [f.number for f in video.frames]
    (tmp_path / "counted").mkdir()
    target, notes = _written(counted, name, tmp_path / "counted")
    read = read_results(target, size=video.size)
    assert "names of frames" not in notes
    assert [(f.number, f.name) for f in read.frames] == [(f.number, f.name) for f in counted.frames]
    times = [frame.time for frame in read.frames]
    kept = times == [frame.time for frame in counted.frames]
    assert kept != ("the times of frames" in notes)


@pytest.mark.parametrize("name", IN_FILES)
def test_the_objects_come_back(name: str, video: VideoMasks, tmp_path: Path) -> None:
    target, notes = _written(video, name, tmp_path)
    objects = read_results(target, size=video.size).objects
    if name != "yolo-seg":
        assert [entry.id for entry in objects] == [3, 7]
    lost = "the names of objects (left, pferd süß)" in notes
    assert lost != ([entry.name for entry in objects] == ["left", "pferd süß"])
    classes = [entry.category for entry in objects]
    assert (classes == ["person", "horse"]) == (name not in (*WITHOUT_NAMES, "nnunet"))


@pytest.mark.parametrize("name", [n for n in IN_FILES if n != "davis"])
@pytest.mark.parametrize(("kind", "asked"), [("video", None), ("video", 1003), ("counted", 4)])
def test_as_a_first_mask(
    name: str, kind: str, asked: int | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    masks: VideoMasks = request.getfixturevalue(kind)
    numbers = [frame.number for frame in masks.frames]
    target, _ = _written(masks, name, tmp_path)
    frames = VideoFrames(numbers, named=kind == "video", asked=asked)
    mask = read_first_mask(target, size=masks.size, frames=frames, min_pixels=0)
    position = 0 if asked is None else numbers.index(asked)
    truth = masks.labels(position)
    if name in (*WITHOUT_VOID, "yolo-seg"):
        truth[truth == 255] = 0
    if name == "yolo-seg":
        assert int(((mask.labels > 0) != (truth > 0)).sum()) < 20
        return
    np.testing.assert_array_equal(mask.labels, truth)
    assert mask.frame == numbers[position]
    assert set(mask.ids) == set(np.unique(truth)) - {0, 255}


def test_a_polygon_of_yolo_keeps_holes_and_joins_parts(video: VideoMasks, tmp_path: Path) -> None:
    target, notes = _written(video, "yolo-seg", tmp_path)
    assert "lines 1 pixel wide join them" in notes
    read = read_results(target, size=video.size)
    for k in range(5):
        truth, found = video.labels(k), read.labels(k)
        truth[truth == 255] = 0
        assert not found[7, 7 + k]
        wrong = (truth > 0) != (found > 0)
        # Only the line between the two parts of object 3 is wrong.
        assert 0 < wrong.sum() == wrong[15:17].sum() <= 6


def test_a_polygon_of_yolo_without_parts_loses_nothing(counted: VideoMasks, tmp_path: Path) -> None:
    def read(position: int) -> UInt8Array:
        labels = counted.labels(position)
        labels[15:, :10] = 0
        return np.where(labels == 255, 0, labels).astype(np.uint8)

    plain = replace(counted, read=read)
    target, notes = _written(plain, "yolo-seg", tmp_path)
    assert "gaps" not in notes
    assert "which object" not in notes
    found = read_results(target, size=plain.size)
    ids = {entry.name: entry.id for entry in found.objects}
    for k in range(5):
        np.testing.assert_array_equal(found.labels(k) == ids["person"], read(k) == 3)
        np.testing.assert_array_equal(found.labels(k) == ids["horse"], read(k) == 7)


def test_only_boxes_of_a_video(video: VideoMasks, tmp_path: Path) -> None:
    target, notes = _written(video, "label-studio-video", tmp_path)
    assert "the masks (only their boxes)" in notes
    with pytest.raises(ValueError, match="got only boxes"):
        read_first_mask(target, size=video.size)


@pytest.mark.parametrize("name", [name for name in IN_FILES if name != "yolo-seg"])
def test_an_object_that_is_never_visible_changes_no_id(
    name: str, video: VideoMasks, tmp_path: Path
) -> None:
    video = replace(video, objects=(*video.objects, MaskObject(42, "never", "thing")))
    target, _ = _written(video, name, tmp_path)
    read = read_results(target)
    assert [entry.id for entry in read.objects if entry.id != 42] == [3, 7]
    assert not any("became" in note for note in read.notes)
    if name in (*EXACT, "supervisely"):
        assert read.objects[2] == MaskObject(42, "never", "thing")
