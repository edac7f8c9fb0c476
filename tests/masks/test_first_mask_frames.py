"""Which frame a first mask belongs to, by the names of files and the entries of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask, VideoFrames, encode_rle, read_first_mask

Save = Callable[..., Path]
SIZE = (40, 60)
COUNTED = VideoFrames(range(50))
NAMED = VideoFrames(range(1001, 1009), named=True)


def _blob(column: int = 10) -> UInt8Array:
    mask = np.zeros(SIZE, np.uint8)
    mask[8:24, column : column + 12] = 255
    return mask


def _asked(frames: VideoFrames, number: int) -> VideoFrames:
    return VideoFrames(frames.numbers, named=frames.named, asked=number)


@pytest.mark.parametrize(
    "name",
    ["mask", "m40", "obj_0004", "v002", "00000", "frame_0", "20231105", "shot_v004", "a.b"],
)
def test_names_without_another_frame_are_taken_silently(save: Save, name: str) -> None:
    mask = read_first_mask(save(f"{name}.png", _blob()), frames=COUNTED)
    assert (mask.frame, mask.warnings) == (None, ())


@pytest.mark.parametrize("name", ["00004", "frame_4", "mask.0004", "clip-img4", "4"])
def test_another_frame_of_a_counted_video_is_asked_about(save: Save, name: str) -> None:
    path = save(f"{name}.png", _blob())
    with pytest.raises(InputError, match=r"named after frame 4.*for frame 0.*`first_mask_frame=4`"):
        read_first_mask(path, frames=COUNTED)
    assert read_first_mask(path, frames=_asked(COUNTED, 4)).warnings == ()
    mask = read_first_mask(path, frames=_asked(COUNTED, 20))
    assert "named after frame 4, but used for frame 20" in mask.warnings[0]
    # Without a video, nobody can tell.
    assert read_first_mask(path).warnings == ()


def test_names_that_may_count_from_one_are_the_first_frame(save: Save) -> None:
    mask = read_first_mask(save("00001.png", _blob()), frames=COUNTED)
    assert mask.frame is None
    assert "as if its name counts from 1" in mask.warnings[0]


@pytest.mark.parametrize(("name", "frame"), [("mask.1005", 1005), ("1003", 1003), ("m.1001", None)])
def test_named_frames(save: Save, name: str, frame: int | None) -> None:
    mask = read_first_mask(save(f"{name}.png", _blob()), frames=NAMED)
    assert mask.frame == frame
    assert len(mask.warnings) == (frame is not None)


def test_a_name_outside_the_video_is_noted(save: Save) -> None:
    mask = read_first_mask(save("00099.png", _blob()), frames=COUNTED)
    assert mask.frame is None
    assert "frame 99, which is not among the frames 0 to 49" in mask.warnings[0]


@pytest.mark.parametrize(
    "names", [("m0", "m40"), ("00000", "00001"), ("frame1", "frame2"), ("x.1001", "x.1002")]
)
def test_files_of_several_frames_are_not_merged(save: Save, names: tuple[str, str]) -> None:
    paths = [save(f"{name}.png", _blob(10 + 20 * k)) for k, name in enumerate(names)]
    with pytest.raises(InputError, match=r"different frames.*each with its frame.*name them obj1"):
        read_first_mask(paths)
    number = int("".join(c for c in names[1] if c.isdigit()))
    mask = read_first_mask(paths, frames=VideoFrames(range(2000), asked=number))
    assert mask.frame == number
    np.testing.assert_array_equal(mask.labels, _blob(30) // 255)


@pytest.mark.parametrize("names", [("mask1", "mask2", "mask3"), ("a", "b", "c"), ("7", "8", "9")])
def test_overlap_tells_a_sequence(save: Save, names: tuple[str, ...]) -> None:
    apart = [save(f"{name}.png", _blob(2 + 18 * k)) for k, name in enumerate(names)]
    assert len(read_first_mask(apart).ids) == 3
    moved = [save(f"{name}.png", _blob(10 + 2 * k)) for k, name in enumerate(names)]
    if names[0] == "a":
        assert len(read_first_mask(moved).ids) == 3
        return
    with pytest.raises(InputError, match="named after different frames"):
        read_first_mask(moved)


@pytest.mark.parametrize("names", [("obj_0001", "obj_0002"), ("person10", "person40")])
def test_objects_are_objects(save: Save, names: tuple[str, str]) -> None:
    paths = [save(f"{name}.png", _blob(10 + 20 * k)) for k, name in enumerate(names)]
    mask = read_first_mask(paths)
    assert (mask.names, mask.warnings) == (names, ())


def _coco(folder: Path, names: list[str], marked: list[int], **fields: Any) -> Path:
    images = [
        {"id": 7 + k, "height": SIZE[0], "width": SIZE[1], "file_name": name}
        for k, name in enumerate(names)
    ]
    notes = [
        {"id": k, "image_id": 7 + k, "segmentation": encode_rle(_blob(k) > 0), **fields}
        for k in marked
    ]
    path = folder / "m.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}))
    return path


def _is_entry(mask: FirstMask, k: int) -> None:
    np.testing.assert_array_equal(mask.labels > 0, _blob(k) > 0)


@pytest.mark.parametrize("start", [0, 1, 120])
def test_coco_names_may_count_from_anywhere(tmp_path: Path, start: int) -> None:
    path = _coco(tmp_path, [f"f_{start + k:06d}.png" for k in range(8)], [5, 3])
    mask = read_first_mask(path, frames=VideoFrames(range(8)))
    assert mask.frame == 3
    _is_entry(mask, 3)
    _is_entry(read_first_mask(path, frames=VideoFrames(range(8), asked=5)), 5)


def test_coco_of_named_frames(tmp_path: Path) -> None:
    path = _coco(tmp_path, [f"s.{1001 + k}.jpg" for k in range(8)], [6, 2])
    mask = read_first_mask(path, frames=NAMED)
    assert mask.frame == 1003
    _is_entry(mask, 2)


def test_coco_of_a_single_image(tmp_path: Path) -> None:
    path = _coco(tmp_path, ["frame_000004.png"], [0])
    with pytest.raises(InputError, match=r"frame_000004.*for frame 0.*`first_mask_frame=4`"):
        read_first_mask(path, frames=COUNTED)
    assert read_first_mask(path, frames=_asked(COUNTED, 4)).frame == 4
    for name in ("000000397133.jpg", "photo.png", "frame_000000.png"):
        assert read_first_mask(_coco(tmp_path, [name], [0]), frames=COUNTED).frame in (None, 0)


def test_our_own_json_of_later_frames(tmp_path: Path) -> None:
    rles = [None, encode_rle(_blob(3) > 0), encode_rle(_blob(9) > 0)]
    content = {"size": SIZE, "frames": [4, 5, 6], "objects": [{"id": 2, "segmentations": rles}]}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    mask = read_first_mask(path, frames=COUNTED)
    assert mask.frame == 5
    assert "those of frame 5 are used for frame 5" in mask.warnings[0]
    _is_entry(read_first_mask(path, frames=_asked(COUNTED, 6)), 9)
    with pytest.raises(InputError, match="no masks of frame 4, expected one of 5, 6"):
        read_first_mask(path, frames=_asked(COUNTED, 4))


@pytest.mark.parametrize("names", [None, "numbers", "words"])
def test_videos_whose_objects_come_later(tmp_path: Path, names: str | None) -> None:
    track = [None, None, encode_rle(_blob(5) > 0), encode_rle(_blob(8) > 0)]
    video: dict[str, Any] = {"id": 3, "height": SIZE[0], "width": SIZE[1]}
    if names is not None:
        video["file_names"] = [
            f"v/{10 + k:05d}.jpg" if names == "numbers" else f"v/{'abcd'[k]}.jpg" for k in range(4)
        ]
    notes = [{"id": 1, "video_id": 3, "category_id": 1, "segmentations": track}]
    notes.append({"id": 2, "video_id": 4, "category_id": 1, "segmentations": track})
    content = {"videos": [video, {"id": 4}], "categories": [], "annotations": notes}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    mask = read_first_mask(path, frames=VideoFrames(range(4)))
    assert (mask.ids, mask.frame) == ((1,), 2)
    _is_entry(mask, 5)
    assert "several videos" in " ".join(mask.warnings)


@pytest.mark.parametrize("mark", ["iscrowd", "ignore"])
def test_regions_to_ignore(tmp_path: Path, mark: str) -> None:
    rles = [encode_rle(_blob(k) > 0) for k in (5, 12, 40)]
    notes = [{"id": k, "segmentation": rle, mark: int(k > 0)} for k, rle in enumerate(rles)]
    (tmp_path / "m.json").write_text(json.dumps(notes))
    mask = read_first_mask(tmp_path / "m.json")
    assert mask.ids == (1,)
    _is_entry(FirstMask((mask.labels == 1).astype(np.uint8), (1,), ("1",)), 5)
    assert (mask.labels[10, 18:24] == 255).all()
    assert "2 regions to ignore" in mask.warnings[0]


def test_where_everything_is_a_crowd_all_are_objects(tmp_path: Path) -> None:
    path = _coco(tmp_path, ["0000.png"], [0], iscrowd=1)
    mask = read_first_mask(path)
    assert mask.ids == (1,)
    assert "every annotation is marked as a crowd" in mask.warnings[0]


@pytest.mark.parametrize("empty", [[], [[]], None])
def test_boxes_among_masks_are_left_out(tmp_path: Path, empty: Any) -> None:
    notes = [{"id": 5, "segmentation": encode_rle(_blob() > 0)}, {"id": 6, "segmentation": empty}]
    (tmp_path / "m.json").write_text(json.dumps({"annotations": notes}))
    mask = read_first_mask(tmp_path / "m.json")
    assert mask.ids == (5,)
    assert "left out: 6;" in mask.warnings[0]
    (tmp_path / "m.json").write_text(json.dumps({"annotations": notes[1:]}))
    with pytest.raises(InputError, match=r"only boxes.*instance segmentation, not boxes"):
        read_first_mask(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        ({"_via_img_metadata": {}}, "VGG Image Annotator"),
        ({"frames": {"0": {}}}, "a video annotation tool"),
    ],
)
def test_other_tools_are_named(tmp_path: Path, content: Any, tool: str) -> None:
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"layout of {tool}, which is not read"):
        read_first_mask(tmp_path / "m.json")


@pytest.mark.parametrize("number", ["1e999", "9" * 300, "-1e999", "NaN"])
@pytest.mark.parametrize("field", ["id", "frames", "size"])
def test_impossible_numbers_are_cut(tmp_path: Path, number: str, field: str) -> None:
    parts = {"id": "1", "frames": "0", "size": "40", field: number}
    (tmp_path / "m.json").write_text(
        f'{{"size": [{parts["size"]}, 60], "frames": [{parts["frames"]}], "objects": [{{"id": '
        f'{parts["id"]}, "segmentations": [{{"size": [{parts["size"]}, 60], '
        '"counts": [2400]}]}]}'
    )
    with pytest.raises(InputError) as caught:
        read_first_mask(tmp_path / "m.json")
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


@pytest.mark.parametrize("form", ["labelmap.txt", "class_dict.csv", "label_colors.txt"])
@pytest.mark.parametrize("palette", [False, True])
def test_label_files(save: Save, tmp_path: Path, form: str, palette: bool) -> None:
    colours = {"background": (10, 200, 90), "cat": (250, 10, 10), "dog": (10, 10, 10)}
    lines = {
        "labelmap.txt": [f"{n}:{r},{g},{b}::" for n, (r, g, b) in colours.items()],
        "class_dict.csv": ["name,r,g,b", *(f"{n},{r},{g},{b}" for n, (r, g, b) in colours.items())],
        "label_colors.txt": [f"{r} {g} {b}\t{n}" for n, (r, g, b) in colours.items()],
    }
    (tmp_path / form).write_text("\n".join(lines[form]))
    image = np.full((*SIZE, 3), colours["background"], np.uint8)
    image[5:20, 5:20], image[5:20, 30:50] = colours["cat"], colours["dog"]
    path = save("SegmentationClass/0000.png", image)
    if palette:
        Image.fromarray(image).quantize(8).save(path)
    mask = read_first_mask(path)
    assert sorted(mask.names) == ["cat", "dog"]
    assert mask.labels[-1, -1] == 0
    assert form in mask.warnings[0]
