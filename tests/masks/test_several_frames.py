"""Which mask file belongs to which frame, where masks of several frames are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.errors import InputError
from vostrack.masks import (
    MaskFrame,
    MaskObject,
    VideoFrames,
    VideoMasks,
    export_results,
    read_first_mask,
)
from vostrack.masks.several_frames import files_by_frame, split_frame

COUNTED = VideoFrames(range(50))
NAMED = VideoFrames(range(1001, 1050), named=True)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("40=b.png", (40, "b.png")),
        ("0=a=b.png", (0, "a=b.png")),
        ("b.png", (None, "b.png")),
        ("x=b.png", (None, "x=b.png")),
        ("=b.png", (None, "=b.png")),
    ],
)
def test_entries(entry: str, wanted: tuple[int | None, str]) -> None:
    assert split_frame(entry) == wanted


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("4=b.png").touch()
    assert split_frame("4=b.png") == (None, "4=b.png")


@pytest.mark.parametrize(
    ("entries", "frames", "wanted"),
    [
        (["mask.png"], COUNTED, None),
        (["obj1.png", "obj2.png"], COUNTED, None),
        (["m0.png", "m40.png"], COUNTED, {0: ("m0.png",), 40: ("m40.png",)}),
        (["m40.png", "m0.png"], COUNTED, {0: ("m0.png",), 40: ("m40.png",)}),
        (["m0.png", "m40.png"], VideoFrames(range(50), asked=40), None),
        (["x.1001.png", "x.1002.png"], NAMED, {1001: ("x.1001.png",), 1002: ("x.1002.png",)}),
        (["3=b.png", "0=a.png", "3=c.png"], COUNTED, {0: ("a.png",), 3: ("b.png", "c.png")}),
        (["7=m.png"], COUNTED, {7: ("m.png",)}),
    ],
)
def test_files_by_frame(
    entries: list[str], frames: VideoFrames, wanted: dict[int, tuple[str, ...]] | None
) -> None:
    found = files_by_frame(entries, frames)
    assert found == wanted
    assert found is None or list(found) == sorted(found)


def test_a_folder_of_masks(tmp_path: Path) -> None:
    for number in (0, 20):
        Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / f"{number:05d}.png")
    found = files_by_frame([str(tmp_path)], COUNTED)
    assert found == {n: (str(tmp_path / f"{n:05d}.png"),) for n in (0, 20)}


@pytest.mark.parametrize("name", ["labelme", "yolo-seg", "supervisely", "nnunet"])
def test_a_folder_of_annotations_is_no_folder_of_masks(name: str, tmp_path: Path) -> None:
    """They know their frames; labelme has its pictures beside them."""
    frames = tuple(MaskFrame(k, f"{k:05d}") for k in range(3))
    labels = np.pad(np.ones((8, 8), np.uint8), 8)
    video = VideoMasks(labels.shape, frames, (MaskObject(1, "a", "a"),), lambda _: labels, "v")
    export_results(video, name, tmp_path / "m")
    for k in range(3):
        Image.fromarray(np.full((24, 24, 3), 90, np.uint8)).save(tmp_path / f"m/{k:05d}.png")
    assert files_by_frame([str(tmp_path / "m")], COUNTED) is None
    mask = read_first_mask(tmp_path / "m", size=(24, 24), frames=COUNTED)
    assert abs(int((mask.labels == 1).sum()) - 64) <= 17


@pytest.mark.parametrize(
    ("entries", "frames", "match"),
    [
        (["0=a.png", "b.png"], COUNTED, r"b\.png has no frame.*0=b\.png"),
        (["0=a.png", "60=b.png"], COUNTED, r"frame 60, .* frames 0 to 49 .*; write a frame of 0"),
        (["m0.png", "m60.png"], COUNTED, r"m60.png belongs to frame 60.*number.*as 0=m60.png"),
        (["00001.png", "00030.png"], COUNTED, r"count from 1.*0=00001\.png"),
        (["0=a.png"], VideoFrames(range(9), asked=3), "leave `first_mask_frame` out"),
    ],
)
def test_doubts_are_refused(entries: list[str], frames: VideoFrames, match: str) -> None:
    with pytest.raises(InputError, match=match):
        files_by_frame(entries, frames)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["0=a.png", "0=a.png"], "a.png is given twice for frame 0, expected each mask once"),
        (["0=a.png", "00=./a.png"], "a.png is given twice for frame 0"),
        (["3=b.png", "0=a.png", "3=b.png"], "b.png is given twice for frame 3"),
        (["a.png", "a.png"], "a.png is given twice, expected each mask once; leave one out"),
        (["00=a.png", "+3=b.png"], "begins with '+3', expected the number of a frame"),
        (["+3=b.png"], "write it such as 0=b.png"),
        (["0=a.png", "+3=missing.png"], "begins with '+3'"),
        (["-3=b.png", "0=a.png"], "begins with '-3'"),
        (["0=a.png", "1.5=b.png"], "begins with '1.5'"),
        (["0=a.png", "f3=b.png"], "begins with 'f3'"),
        (["0=a.png", "1234567890=b.png"], "begins with '1234567890'"),
    ],
)
def test_entries_that_are_slips(
    entries: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Path(name).touch()
    with pytest.raises(InputError) as caught:
        files_by_frame(entries, COUNTED)
    assert message in str(caught.value)


def test_one_file_for_two_frames(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    path.touch()
    found = files_by_frame([f"0={path}", f"40={path}"], COUNTED)
    assert found == {0: (str(path),), 40: (str(path),)}
