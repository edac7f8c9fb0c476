"""Annotations of videos that a file does not list, or that are not the one that is read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.masks.formats.variants import BOX, OTHER, Save, is_box, read_mask
from vostrack.errors import InputError
from vostrack.masks import encode_rle

VIDEO = {"id": 1, "height": 20, "width": 30, "length": 1}


def _track(number: int, video: Any, mask: Any = OTHER) -> dict[str, Any]:
    return {"id": number, "video_id": video, "segmentations": [encode_rle(mask)]}


def _image(number: int, video: Any) -> dict[str, Any]:
    name = f"f_{number:04d}.jpg"
    return {"id": number, "video_id": video, "file_name": name, "height": 20, "width": 30}


def _mask(image: int, mask: Any) -> dict[str, Any]:
    return {"id": image, "track_id": 1, "image_id": image, "segmentation": encode_rle(mask)}


def test_tracks_of_videos_that_are_not_listed_are_named(save: Save) -> None:
    tracks = [_track(1, 1, BOX), *(_track(k, 70 + k) for k in range(2, 13))]
    mask = read_mask(save("m.json", {"videos": [VIDEO], "annotations": tracks}))
    is_box(mask)
    assert mask.ids == (1,)
    (warning,) = mask.warnings
    assert warning.endswith(
        "left out 11 annotations of videos that the file does not list "
        "(video_id 72, 73, 74, 75, 76, 77, 78, 79, ...)"
    )


def test_tracks_of_no_listed_video_are_refused(save: Save) -> None:
    path = save("m.json", {"videos": [VIDEO], "annotations": [_track(1, 5)]})
    with pytest.raises(InputError, match=r"m\.json: .* does not list \(video_id 5\); export the"):
        read_mask(path)


def test_tracks_of_the_videos_that_are_not_read_are_counted(save: Save) -> None:
    tracks = [_track(1, "1", BOX), _track(2, 2), _track(3, 2)]
    path = save("m.json", {"videos": [VIDEO, {"id": 2}], "annotations": tracks})
    mask = read_mask(path)
    is_box(mask)
    (warning,) = mask.warnings
    assert warning.endswith("is used; left out 2 annotations of others (video_id 2)")
    path = save("m.json", {"videos": [VIDEO, {"id": 2}], "annotations": tracks[1:]})
    with pytest.raises(InputError, match=r"of its first video, 1, got only .* \(video_id 2\)"):
        read_mask(path)


def test_the_only_video_need_not_be_named(save: Save) -> None:
    track = {"id": 1, "segmentations": [encode_rle(BOX)]}
    mask = read_mask(save("m.json", {"videos": [VIDEO], "annotations": [track]}))
    is_box(mask)
    assert mask.warnings == ()


def test_tracks_of_boxes_are_counted(save: Save) -> None:
    tracks = [_track(1, 1, BOX), {"id": 2, "video_id": 1, "bboxes": [[0, 0, 2, 2]]}]
    mask = read_mask(save("m.json", {"videos": [VIDEO], "annotations": tracks}))
    (warning,) = mask.warnings
    assert warning.endswith("left out 1 annotation without segmentations")


def test_results_of_other_videos_are_counted(save: Save) -> None:
    mask = read_mask(save("m.json", [_track(1, 3, BOX), _track(2, 4), _track(3, 5)]))
    is_box(mask)
    assert mask.warnings[0].endswith("3, is used; left out 2 results of others (video_id 4, 5)")


@pytest.mark.parametrize("listed", [[1], [1, 2]])
def test_images_of_other_videos_are_named(listed: list[int], save: Save) -> None:
    content = {
        "videos": [{"id": number} for number in listed],
        "images": [_image(0, 1), _image(1, 1), _image(2, 2), _image(3, 2)],
        "annotations": [_mask(k, BOX if k < 2 else OTHER) for k in range(4)],
    }
    mask = read_mask(save("m.json", content))
    is_box(mask)
    assert any("left out 2 images of others (video_id 2)" in text for text in mask.warnings)
    path = save("m.json", {**content, "images": content["images"][2:]})
    with pytest.raises(InputError, match=r"does not list|of its first video"):
        read_mask(path)
