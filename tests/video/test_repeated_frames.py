"""A folder or pattern that holds a frame twice is refused; what is no repetition is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from vostrack.errors import InputError
from vostrack.video import open_source


def _save(folder: Path, *names: str) -> None:
    for value, name in enumerate(names):
        Image.new("RGB", (6, 4), (value * 20, 5, 250)).save(folder / name)


REPEATED = {
    "masks beside frames": (["0.jpg", "1.jpg", "0.png", "1.png"], "0.jpg and 0.png", "*.jpg"),
    "pictures in two formats": (["0.bmp", "0.png", "1.bmp", "1.png"], "0.bmp and 0.png", "*.bmp"),
    "one mask": (["00.jpg", "01.jpg", "01.png"], "01.jpg and 01.png", "*.jpg"),
    "a word behind": (["0.jpg", "0_mask.png", "1.jpg"], "0.jpg and 0_mask.png", "*.jpg"),
    "words before": (["frame_7.jpg", "mask_7.png"], "frame_7.jpg and mask_7.png", "*.jpg"),
    "words without a gap": (["img7.jpg", "7mask.png"], "7mask.png and img7.jpg", "*.jpg"),
    "words with a minus": (["img-7.jpg", "gt-7.png"], "gt-7.png and img-7.jpg", "*.jpg"),
    "a word between": (["s.7.jpg", "s.gt.07.png"], "s.7.jpg and s.gt.07.png", "*.jpg"),
    "one suffix": (["0.png", "0-labels.png"], "0-labels.png and 0.png", None),
    "zeros": (["7.png", "007.png", "8.png"], "007.png and 7.png", None),
    "letter case": (["F_1.png", "f_1.png"], "F_1.png and f_1.png", None),
    "case of the suffix": (["a1.PNG", "a1.png"], "a1.PNG and a1.png", "*.PNG"),
    "frames in two formats": (["0.jpg", "1.png", "2.jpg", "0.png"], "0.jpg and 0.png", None),
    "views behind": (["0_left.png", "0_right.png"], "0_left.png and 0_right.png", None),
    "views before": (["left_00.png", "right_00.png"], "left_00.png and right_00.png", None),
    "versions": (["s_v1_00.png", "s_v2_00.png"], "s_v1_00.png and s_v2_00.png", None),
    "a copy (1)": (["I_1 (1).png", "I_1.png", "I_2.png"], "I_1.png and I_1 (1).png", None),
    "a copy 2": (["I_1 2.png", "I_1.png", "I_2.png"], "I_1.png and I_1 2.png", None),
    "a copy ~1": (["I_1.png", "I_1~1.png", "I_2.png"], "I_1.png and I_1~1.png", None),
    "masks twice": (["0.jpg", "0.png", "0_mask.jpg"], "0.jpg and 0.png", None),
}


@pytest.mark.parametrize("pattern", ["", "*"])
@pytest.mark.parametrize("kind", REPEATED)
def test_a_frame_that_is_there_twice(kind: str, pattern: str, tmp_path: Path) -> None:
    names, pair, remedy = REPEATED[kind]
    _save(tmp_path, *names)
    if len(list(tmp_path.iterdir())) < len(names):
        pytest.skip("the file system ignores letter case")
    with pytest.raises(InputError) as caught:
        open_source(tmp_path / pattern)
    message = str(caught.value)
    assert f"{tmp_path} holds two images of one frame, {pair}; expected one" in message
    assert "to another folder" in message
    found = re.search("pattern such as '(.*)'", message)
    assert (found and found[1]) == (remedy and str(tmp_path / remedy))
    if found:
        assert open_source(found[1]).length == len(list(tmp_path.glob(str(remedy))))


@pytest.mark.parametrize(
    "names",
    [
        ["0_left.png", "1_left.png"],
        ["clip (1).png", "clip (2).png"],
        ["clip 1.png", "clip 2.png", "clip.png"],
        ["take2 (1).png", "take2 (2).png"],
        ["1 1.png", "1 2.png"],
        ["img_v001.png", "img_v002.png"],
        ["s1_left.png", "s2_right.png"],
        ["turn_left.png", "turn_right.png"],
    ],
)
def test_one_view_and_numbers_in_brackets_are_no_repetition(
    names: list[str], tmp_path: Path
) -> None:
    _save(tmp_path, *names)
    assert open_source(tmp_path).length == len(names)


def test_given_masks_and_chosen_frames_are_no_repetition(tmp_path: Path) -> None:
    _save(tmp_path, "0.jpg", "1.jpg", "2.jpg", "0.png", "2_mask.png")
    masks = [tmp_path / "0.png", tmp_path / "2_mask.png"]
    assert open_source(tmp_path, exclude=masks).length == 3
    assert open_source(tmp_path / "*.jpg").length == 3
    assert open_source([tmp_path / "0.jpg", tmp_path / "0.png"]).length == 2


@pytest.mark.parametrize(
    "names",
    [
        ["1.00.png", "1.05.png", "1.5.png", "1.50.png"],
        ["frame_-1.png", "frame_0.png", "frame_1.png"],
        ["frame-1.png", "frame0.png", "frame1.png"],
        ["seg1_frame1.png", "seg1_frame2.png", "seg2_frame1.png", "seg2_frame2.png"],
        ["f-01.png", "f+00.png", "f+01.png"],
        ["cam1_000.png", "cam1_001.png", "cam2_000.png", "cam2_001.png"],
        ["left.png", "right.png"],
        ["image.png", "mask.png"],
        ["mask.1.png", "mask.2.png", "masked_1.png"],
        ["img (1).png", "img (2).png", "img (10).png"],
        ["shot_8_v2.png", "shot_8_v3.png"],
    ],
)
def test_names_that_are_only_alike(names: list[str], tmp_path: Path) -> None:
    _save(tmp_path, *names)
    assert open_source(tmp_path).length == len(names)
