"""Tools that count the frames of a video find the masks of a part of it at their places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vostrack.masks import (
    FORMATS,
    VideoFrames,
    VideoMasks,
    export_results,
    read_first_mask,
    read_results,
)

Same = Callable[[VideoMasks, VideoMasks], None]
# Every other frame of 1001 to 1012, from the fourth on.
PLACES = [3, 5, 7, 9, 11]
WHOLE = tuple(range(1001, 1013))


@pytest.fixture
def part(video: VideoMasks) -> VideoMasks:
    """The masks of a part of an image sequence."""
    frames = (
        replace(frame, number=WHOLE[place], name=str(WHOLE[place]), position=place)
        for frame, place in zip(video.frames, PLACES, strict=True)
    )
    return replace(video, frames=tuple(frames))


def _written(masks: VideoMasks, name: str, folder: Path) -> tuple[Path, str]:
    target = folder / f"made{FORMATS[name].suffix}"
    return target, " ".join(export_results(masks, name, target))


def _places(name: str, target: Path) -> list[int]:
    if name == "supervisely":
        (path,) = target.glob("*/ann/*.json")
        return [frame["index"] for frame in json.loads(path.read_text())["frames"]]
    if name == "label-studio-video":
        (task,) = json.loads(target.read_text())
        sequence = task["annotations"][0]["result"][0]["value"]["sequence"]
        return [box["frame"] - 1 for box in sequence]
    pattern = r'<mask frame="(\d+)" outside="0"' if name == "cvat" else r'<image id="(\d+)"'
    return sorted(set(map(int, re.findall(pattern, target.read_text()))))


@pytest.mark.parametrize("name", ["cvat", "cvat-images", "supervisely", "label-studio-video"])
def test_masks_are_at_their_places(name: str, part: VideoMasks, tmp_path: Path) -> None:
    target, notes = _written(part, name, tmp_path)
    assert _places(name, target) == PLACES
    assert ("the names of frames (1004 is frame 3)" in notes) == (name != "cvat-images")


@pytest.mark.parametrize("positions", [[None] * 5, [0, 1, None, 3, 4], [3, 2, 1, 0, 4]])
def test_without_positions_the_frames_are_counted(
    positions: list[int | None], part: VideoMasks, tmp_path: Path
) -> None:
    frames = (replace(f, position=p) for f, p in zip(part.frames, positions, strict=True))
    target, _ = _written(replace(part, frames=tuple(frames)), "cvat", tmp_path)
    assert _places("cvat", target) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["coco", "youtube-vis", "tiff", "napari"])
def test_positions_come_back(name: str, part: VideoMasks, tmp_path: Path, same: Same) -> None:
    same(read_results(_written(part, name, tmp_path)[0]), part)


@pytest.mark.parametrize("name", ["cvat", "supervisely"])
@pytest.mark.parametrize("asked", [None, 1008])
def test_as_a_first_mask_of_a_part(
    name: str, asked: int | None, part: VideoMasks, tmp_path: Path
) -> None:
    numbers = [frame.number for frame in part.frames]
    target, _ = _written(part, name, tmp_path)
    frames = VideoFrames(numbers, named=True, asked=asked, whole=WHOLE)
    mask = read_first_mask(target, frames=frames, min_pixels=0)
    position = numbers.index(asked or 1004)
    assert mask.frame == numbers[position]
    truth = part.labels(position)
    if name == "cvat":
        truth[truth == 255] = 0
    np.testing.assert_array_equal(mask.labels, truth)
