"""Fingerprints of data: the same wherever they lie, another after any change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.datasets import VideoSequence
from vostrack.datasets.fingerprint import (
    file_fingerprint,
    files_fingerprint,
    folder_fingerprint,
    show_reading,
    videos_fingerprint,
)
from vostrack.errors import InputError


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Two masks of noise, several times as long as what is read of a file."""
    folder = tmp_path / "masks"
    (folder / "part").mkdir(parents=True)
    chance = np.random.default_rng(0)
    for name in ("a.png", "part/b.png"):
        noise = chance.integers(0, 256, (200, 200), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


def _another_pixel(folder: Path) -> None:
    values = np.array(Image.open(folder / "a.png"))
    values[0, 0] ^= 1
    Image.fromarray(values).save(folder / "a.png")


def _another_name(folder: Path) -> None:
    (folder / "a.png").rename(folder / "c.png")


def _another_place(folder: Path) -> None:
    (folder / "part" / "b.png").rename(folder / "b.png")


def _one_less(folder: Path) -> None:
    (folder / "a.png").unlink()


@pytest.mark.parametrize("change", [_another_pixel, _another_name, _another_place, _one_less])
def test_every_change_shows(masks: Path, change: Callable[[Path], None]) -> None:
    before = folder_fingerprint(masks)
    assert before.startswith("2 files, digest ")
    change(masks)
    assert folder_fingerprint(masks) != before


def test_a_folder_may_move_and_notes_and_results_do_not_count(masks: Path) -> None:
    before = folder_fingerprint(masks)
    for name in (".notes.png", "notes.txt", "Thumbs.db", "train.log"):
        (masks / name).touch()
    (masks / "runs").mkdir()
    (masks / "runs" / "curves.png").touch()
    assert folder_fingerprint(masks, leave_out=masks / "runs") == before
    assert folder_fingerprint(masks) != before
    moved = masks.rename(masks.with_name("moved"))
    assert folder_fingerprint(moved, leave_out=moved / "runs") == before


def test_a_single_file_counts_as_a_whole(masks: Path) -> None:
    content = bytearray((masks / "a.png").read_bytes())
    before = file_fingerprint(masks / "a.png")
    assert before.startswith("1 file, digest ")
    content[100] ^= 1
    (masks / "a.png").write_bytes(content)
    assert file_fingerprint(masks / "a.png") != before


def test_videos_are_told_apart_by_their_names_frames_and_masks(masks: Path) -> None:
    frame, mask = masks / "a.png", masks / "part" / "b.png"
    videos = [
        VideoSequence(name, (frame,), (found,), (), "ids", "")
        for name, found in (("bear", mask), ("boat", mask), ("bear", None))
    ]
    assert len({videos_fingerprint([video]) for video in videos}) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data: .*gone\.png is missing; put it there"):
        files_fingerprint([("gone", tmp_path / "gone.png")])


def test_what_takes_long_is_shown_where_it_is_asked_for(
    masks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_reading():
        before = folder_fingerprint(masks)
    assert not capsys.readouterr().err  # it was a matter of milliseconds
    monkeypatch.setattr("vostrack.datasets.fingerprint._PATIENCE", -1)
    with show_reading():
        assert folder_fingerprint(masks) == before
    assert capsys.readouterr().err == "checking the data: 2 of 2 files\n"
    with show_reading(quiet=True):
        folder_fingerprint(masks)
    folder_fingerprint(masks)
    assert not capsys.readouterr().err
