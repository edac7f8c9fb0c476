"""A mask of a frame of the video that is not selected is not used for another frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import VideoFrames, encode_rle, read_first_mask, write_label_map

LABELS = np.zeros((24, 36), np.uint8)
LABELS[4:20, 5:25] = 1
WHOLE = tuple(range(1001, 1011))
LATER = VideoFrames(WHOLE[3:], named=True, whole=WHOLE)
STEPS = VideoFrames(WHOLE[::2], named=True, whole=WHOLE)
COUNTED = VideoFrames(range(10, 40, 3))


def _image(folder: Path, name: str) -> Path:
    write_label_map(folder / name, LABELS)
    return folder / name


def _coco(folder: Path, *names: str) -> Path:
    images = [
        {"id": k, "height": 24, "width": 36, "file_name": name} for k, name in enumerate(names)
    ]
    rle = encode_rle(LABELS > 0)
    notes = [{"id": k, "image_id": k, "segmentation": rle} for k in range(len(names))]
    (folder / "m.json").write_text(json.dumps({"images": images, "annotations": notes}))
    return folder / "m.json"


@pytest.mark.parametrize(
    ("name", "frames", "selected"),
    [
        ("mask.1001.png", LATER, "1001, which is not .* selected frames 1004, 1005, ..., 1010"),
        ("1003.png", VideoFrames((1004, 1005), True, None, WHOLE), "1003, .* frames 1004, 1005;"),
        ("mask.1004.png", STEPS, "1004, .* frames 1001, 1003, ..., 1009"),
        ("7.png", VideoFrames((0, 5, 10), named=True), "7, .* frames 0, 5, 10;"),
        ("00002.png", COUNTED, "2, .* frames 10, 13, ..., 37"),
        ("frame_20.png", COUNTED, "20, .* frames 10, 13, ..., 37"),
    ],
)
def test_a_mask_named_after_a_frame_that_is_left_out(
    name: str, frames: VideoFrames, selected: str, tmp_path: Path
) -> None:
    path, first = _image(tmp_path, name), frames.numbers[0]
    with pytest.raises(InputError, match=f"named after frame {selected}") as caught:
        read_first_mask(path, frames=frames)
    assert f"set `first_mask_frame={first}` to use the mask for frame {first}" in str(caught.value)
    asked = VideoFrames(frames.numbers, frames.named, first, frames.whole)
    mask = read_first_mask(path, frames=asked)
    assert f"but used for frame {first}" in mask.warnings[0]


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("mask.0999.png", LATER),
        ("mask.1011.png", STEPS),
        ("20231105.png", LATER),
        ("00000.png", COUNTED),
        ("00001.png", COUNTED),
        ("00099.png", COUNTED),
    ],
)
def test_numbers_that_may_mean_something_else_are_noted(
    name: str, frames: VideoFrames, tmp_path: Path
) -> None:
    mask = read_first_mask(_image(tmp_path, name), frames=frames)
    assert mask.frame is None
    assert len(mask.warnings) == (name != "20231105.png")


@pytest.mark.parametrize("names", [["s.1002.jpg"], ["s.1001.jpg", "s.1003.jpg"]])
def test_annotations_of_frames_that_are_left_out(names: list[str], tmp_path: Path) -> None:
    path, number = _coco(tmp_path, *names), names[0][2:6]
    with pytest.raises(InputError, match=f"belong to frame {number}, which is not") as caught:
        read_first_mask(path, frames=LATER)
    # Of several frames, no other could be meant.
    assert ("`first_mask_frame=1004`" in str(caught.value)) == (len(names) == 1)
    mask = read_first_mask(_coco(tmp_path, *names, "s.1006.jpg"), frames=LATER)
    assert mask.frame == 1006


def test_our_own_annotations_of_a_counted_video(tmp_path: Path) -> None:
    rle = encode_rle(LABELS > 0)
    content = {"size": [24, 36], "frames": [0], "objects": [{"id": 1, "segmentations": [rle]}]}
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="belong to frame 0, which is not among the selected"):
        read_first_mask(tmp_path / "m.json", frames=COUNTED)
    mask = read_first_mask(tmp_path / "m.json", frames=VideoFrames(COUNTED.numbers, asked=10))
    assert mask.frame == 10
