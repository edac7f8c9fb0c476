"""COCO, YouTube-VIS, MOTS text, BURST and SA-V as other versions of the tools write them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.masks.formats.variants import (
    BOX,
    CORNERS,
    OTHER,
    SIZE,
    Save,
    box,
    is_box,
    mots_line,
    plain_rle,
    read_mask,
)
from vostrack.errors import InputError
from vostrack.masks import encode_rle, read_results

FLAT = [v for point in CORNERS for v in point]
COCO_IMAGES = [{"id": "a", "file_name": "f_0000.jpg", "height": 20, "width": 30}]


@pytest.mark.parametrize(
    "annotation",
    [
        {"image_id": "a", "segmentation": encode_rle(BOX)},
        {"image_id": "a", "segmentation": plain_rle(BOX)},
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
    mask = read_mask(path)
    is_box(mask, "schöner Ball")
    assert mask.ids == ({"17": 17}.get(annotation.get("id", ""), 5 if "attributes" in annotation
                        else 1),)  # fmt: skip
    assert mask.warnings == ()


def test_coco_parts_of_one_track(save: Save) -> None:
    parts = [{"image_id": 1, "track_id": 4, "segmentation": encode_rle(m)} for m in (BOX, OTHER)]
    mask = read_mask(save("m.json", {"images": [], "annotations": parts}))
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
    other = box(8, 10, 16, 20)
    content = [{"image_id": 1, "id": k, "segmentation": encode_rle(m)}
               for k, m in ((1, BOX), (2, other))]  # fmt: skip
    masks = read_results(save("m.json", {"images": [], "annotations": content}))
    masks.labels(0)
    assert masks.lost() == (f"{save('m.json', '')}: the objects share 20 pixels; the later "
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
    track = {"id": 9, "video_id": 1, "segmentations": [plain_rle(BOX), None]}
    empty = {"id": 8, "video_id": 1, "segmentations": [encode_rle(BOX & False), encode_rle(OTHER)]}
    mask = read_mask(save("m.json", {"videos": [video], "annotations": [track, empty]}))
    is_box(mask)
    assert mask.ids == (9,)
    assert "not visible in" in mask.warnings[0]


@pytest.mark.parametrize(
    "lines",
    [
        [mots_line(0, 1003, 1, BOX), mots_line(2, 1003, 1, OTHER)],
        ["", mots_line(0, 1003, 1, BOX), mots_line(0, 10000, 10, OTHER)],
        [mots_line(3, 1003, 1, OTHER) + "\r", mots_line(0, 1003, 1, BOX) + "\r"],
    ],
)
def test_mots_text(lines: list[str], save: Save) -> None:
    mask = read_mask(save("m.txt", "\n".join(lines)))
    is_box(mask)
    assert mask.ids == (3,)
    assert bool((mask.labels == 255).any()) == ("10000" in "".join(lines))


def test_mots_text_counted_from_1(save: Save) -> None:
    path = save("m.txt", "\n".join(mots_line(k, 2001, 2, BOX) for k in (1, 2, 3)))
    masks = read_results(path)
    assert [frame.number for frame in masks.frames] == [1, 2, 3]
    assert masks.objects[0].category == "pedestrian"


@pytest.mark.parametrize("coded", [encode_rle(BOX)["counts"], plain_rle(BOX), encode_rle(BOX)])
def test_burst(coded: Any, save: Save) -> None:
    sequence = {
        "height": 20,
        "width": 30,
        "annotated_image_paths": ["frame0000.jpg", "frame0003.jpg"],
        "track_category_ids": {"2": 805},
        "segmentations": [{"2": {"rle": coded}}, {}],
    }
    mask = read_mask(save("m.json", {"sequences": [sequence]}))
    is_box(mask, "class 805")
    assert mask.ids == (2,)


@pytest.mark.parametrize("count", [7, 8, 5])
def test_sa_v_annotates_every_fourth_frame(count: int, save: Save) -> None:
    empty = encode_rle(BOX & False)
    masklets = [[encode_rle(BOX), empty], [None, encode_rle(OTHER)]]
    content = {"video_frame_count": count, "video_height": 20.0, "video_width": 30.0}
    path = save("m.json", {**content, "masklet": masklets, "masklet_id": [0, 1]})
    is_box(read_mask(path))
    numbers = [frame.number for frame in read_results(path).frames]
    assert numbers == [0, {7: 4, 8: 4, 5: 2}[count]]


def test_pycocotools_agrees_about_plain_rle() -> None:
    coded = coco_mask.frPyObjects(plain_rle(BOX), *SIZE)
    np.testing.assert_array_equal(coco_mask.decode(coded), BOX)


@pytest.mark.parametrize("asked", [None, 2])
def test_frames_counted_from_1_in_the_file(asked: int | None, save: Save) -> None:
    """File names 00001 to 00008 are those of frames 0 to 7 of a video of 8 frames."""
    coded = [encode_rle(box(4, 5 + k, 12, 15 + k)) for k in range(8)]
    video = {"id": 1, "file_names": [f"{k:05d}.jpg" for k in range(1, 9)]}
    track = {"id": 1, "video_id": 1, "segmentations": coded}
    lines = [mots_line(k + 1, 1001, 1, box(4, 5 + k, 12, 15 + k)) for k in range(8)]
    paths = [save("m.json", {"videos": [video], "annotations": [track]})]
    for path in [*paths, save("m.txt", "\n".join(lines))]:
        mask = read_mask(path, asked)
        expected = box(4, 5 + (asked or 0), 12, 15 + (asked or 0))
        np.testing.assert_array_equal(mask.labels > 0, expected)
        assert mask.frame == (asked or 0)


def test_coco_annotations_of_images_that_are_not_listed(save: Save) -> None:
    parts = [
        {"id": 1, "image_id": "a", "segmentation": encode_rle(BOX)},
        {"id": 2, "image_id": 77, "segmentation": encode_rle(OTHER)},
    ]
    mask = read_mask(save("some.json", {"images": COCO_IMAGES, "annotations": parts}))
    is_box(mask)
    assert mask.ids == (1,)
    assert len(mask.warnings) == 1
    words = r"left out 1 annotation of images that the file does not list \(image_id 77\)"
    assert re.search(words, mask.warnings[0])
    path = save("all.json", {"images": COCO_IMAGES, "annotations": parts[1:]})
    with pytest.raises(InputError, match=r"all\.json: .* does not list \(image_id 77\); export"):
        read_mask(path)
