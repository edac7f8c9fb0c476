"""First masks as other tools write them, with the files of ``tests/masks/cases``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask, VideoFrames, read_first_mask

CASES = Path(__file__).parent / "cases"


def _read(name: str, asked: int | None = None) -> FirstMask:
    frames = VideoFrames(range(8), asked=asked)
    return read_first_mask(CASES / name, size=(128, 192), frames=frames)


def _ball(frame: int) -> UInt8Array:
    """The ball of the clip: a disc that moves 3 pixels to the right in each frame."""
    rows, columns = np.mgrid[:128, :192]
    disc = (rows - 50) ** 2 + (columns - 40 - 3 * frame) ** 2 < 22**2
    return np.asarray(disc, dtype=np.uint8)


def _overlap(mask: FirstMask, number: int, expected: UInt8Array) -> float:
    found = mask.labels == number
    both, either = found & (expected > 0), found | (expected > 0)
    return int(both.sum()) / int(either.sum())


def test_coco_box_without_a_polygon() -> None:
    mask = _read("coco_empty_segmentation/instances.json")
    assert mask.names == ("ball",)
    assert _overlap(mask, 1, _ball(0)) > 0.9
    assert "2 (box)" in mask.warnings[0]
    assert "left out" in mask.warnings[0]


def test_coco_crowds_are_void() -> None:
    mask = _read("coco_iscrowd/instances.json")
    assert mask.ids == (1,)
    assert np.count_nonzero(mask.labels == 255) == 3264
    assert "3264 pixels of 1 region to ignore (iscrowd" in mask.warnings[0]


@pytest.mark.parametrize("name", ["only_frame_4", "from_frame_4"])
def test_coco_of_a_later_frame(name: str) -> None:
    mask = _read(f"coco_of_a_later_frame/{name}.json")
    assert mask.frame == 4
    assert "no masks of frame 0; those of frame_000004.PNG are used for frame 4" in mask.warnings[0]
    assert _overlap(mask, 1, _ball(4)) > 0.9


def test_coco_of_images_in_random_order() -> None:
    first = _read("coco_of_a_later_frame/shuffled.json")
    assert first.frame == 0
    assert _overlap(first, first.ids[0], _ball(0)) > 0.9
    assert "only those of image clip-0000_png" in first.warnings[0]
    sixth = _read("coco_of_a_later_frame/shuffled.json", asked=6)
    assert _overlap(sixth, sixth.ids[0], _ball(6)) > 0.9


def test_a_coco_frame_without_masks_is_refused() -> None:
    with pytest.raises(InputError, match=r"no masks of frame 2, expected one of 4, 5, 6, 7"):
        _read("coco_of_a_later_frame/from_frame_4.json", asked=2)


def test_youtube_vis() -> None:
    first = _read("other_video_json/ytvis.json")
    assert (first.names, first.warnings) == (("ball", "box"), ())
    assert _overlap(first, 1, _ball(0)) > 0.9
    assert _overlap(_read("other_video_json/ytvis.json", asked=5), 1, _ball(5)) > 0.9


def test_supervisely() -> None:
    mask = _read("other_video_json/supervisely.json")
    assert mask.names == ("ball",)
    assert _overlap(mask, 1, _ball(0)) == 1


def test_masks_of_successive_frames() -> None:
    folder = "folder_of_successive_masks/Annotations"
    with pytest.raises(InputError, match=r"different frames \(0, 1, .*`first_mask_frame`") as error:
        _read(folder)
    assert "00000.png" in str(error.value)
    mask = _read(folder, asked=3)
    with Image.open(CASES / folder / "00003.png") as image:
        np.testing.assert_array_equal(mask.labels, np.asarray(image) // 255)
    assert "00003.png is used for frame 3" in mask.warnings[0]


@pytest.mark.parametrize("where", ["SegmentationClass", "."])
def test_cvat_with_a_coloured_background(where: str) -> None:
    mask = _read(f"cvat_coloured_background/{where}")
    assert sorted(mask.names) == ["ball", "box"]
    assert _overlap(mask, mask.ids[mask.names.index("ball")], _ball(0)) > 0.9
    assert "labelmap.txt" in mask.warnings[0]


def test_a_palette_without_index_0() -> None:
    mask = _read("palette_without_index_0/mask.png")
    assert mask.ids == (2, 3)
    assert mask.labels[0, -1] == 0
    assert "index 1, which is black, is background" in mask.warnings[0]


@pytest.mark.parametrize(("name", "ids"), [("gray2", (1, 2, 3)), ("gray4", (1, 2))])
def test_gray_of_few_bits(name: str, ids: tuple[int, ...]) -> None:
    mask = _read(f"gray_png_of_2_and_4_bits/{name}.png")
    assert (mask.ids, mask.warnings) == (ids, ())


def test_ids_spread_over_gray() -> None:
    mask = _read("ids_spread_over_gray/mask.png")
    assert mask.ids == (1, 2, 3)
    assert mask.names == ("85", "170", "255")
    assert "255 is not void here" in mask.warnings[0]


def test_a_mask_in_alpha_only() -> None:
    mask = _read("mask_in_alpha_only/mask.png")
    assert mask.ids == (1,)
    assert mask.labels[0, -1] == 0
    assert "black shape on transparent" in mask.warnings[0]
