"""Digests of what a run reads: every byte counts, in files and in folders of images."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vostrack import ClipRequest
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.masks_json import read_masks_json
from vostrack.masks.masks_json_writer import MasksJsonWriter
from vostrack.runs.content import digest, input_digests


@pytest.mark.parametrize("place", [0, 70_000, 3_000_000, -1])
@pytest.mark.parametrize("inside", [False, True])
def test_a_change_of_one_byte_is_noticed(place: int, inside: bool, tmp_path: Path) -> None:
    content = bytearray(4_000_000)
    file = tmp_path / "frames" / "00000.bmp"
    file.parent.mkdir()
    file.write_bytes(content)
    path = file.parent if inside else file
    before = digest(path)
    content[place] = 1
    file.write_bytes(content)
    assert digest(path) != before


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert digest(tmp_path / "0") is None


def request_of(video: Path, mask: Path) -> ClipRequest:
    return ClipRequest(video=str(video), first_mask=(str(mask),), output=mask.parent / "out")


@pytest.mark.parametrize("video", ["shots", "shots/*.bin.png", "sh*/*.png", "**/*.png"])
def test_of_frames_every_byte_counts_and_nothing_else(video: str, tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    for k in range(3):
        (tmp_path / "shots" / f"{k}.bin.png").write_bytes(bytes([k]))
    mask = tmp_path / "masks" / "1" / "a.png"
    mask.parent.mkdir(parents=True)
    mask.write_bytes(b"mask")
    request = request_of(tmp_path / video, tmp_path / "masks")
    before = input_digests(request)
    (tmp_path / "shots" / "notes.txt").write_text("nice weather")
    (tmp_path / "shots" / ".DS_Store").write_text("seen")
    (tmp_path / "masks" / "out").mkdir()
    (tmp_path / "out").mkdir()
    assert input_digests(request) == before
    mask.write_bytes(b"mesk")
    after = input_digests(request)
    assert after["first_mask"] != before["first_mask"]
    (tmp_path / "shots" / "1.bin.png").write_bytes(b"9")
    assert input_digests(request)["video"] != after["video"]


def test_names_in_no_known_encoding(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.png")
    file.write_bytes(b"1")
    assert digest(file)
    assert digest(tmp_path)
    writer = MasksJsonWriter([1], (2, 3), info={"video": file.name})
    writer.save(tmp_path / "masks.json")
    assert read_masks_json(tmp_path / "masks.json").size == (2, 3)
    write_json(tmp_path / "other.json", file.name)
    assert json.loads((tmp_path / "other.json").read_text()) == file.name
