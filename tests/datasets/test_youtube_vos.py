"""YouTube-VOS folders built from empty files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vostrack.batch import davis_jobs
from vostrack.datasets import SequenceObject, open_youtube_vos
from vostrack.errors import InputError

META = {
    "videos": {
        "b10": {
            "objects": {
                "2": {"category": "sheep", "frames": ["00010", "00015"]},
                "1": {"category": "dog", "frames": ["00005", "00010", "00015"]},
            }
        },
        "b9": {"objects": {"1": {"category": "owl", "frames": ["00000"]}}},
    }
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    valid = tmp_path / "valid"
    valid.mkdir()
    (valid / "meta.json").write_text(json.dumps(META))
    frames = {"b10": (0, 5, 10, 15), "b9": (0,)}
    masks = {"b10": (5, 10), "b9": (0,)}
    for name in frames:
        for folder, suffix, numbers in (
            (valid / "JPEGImages", ".jpg", frames[name]),
            (valid / "Annotations", ".png", masks[name]),
            (tmp_path / "valid_all_frames/JPEGImages", ".jpg", range(16)),
        ):
            (folder / name).mkdir(parents=True)
            for number in numbers:
                (folder / name / f"{number:05}{suffix}").touch()
    return tmp_path


def test_objects_appear_when_the_metadata_say(root: Path) -> None:
    owl, pair = open_youtube_vos(root)
    assert (owl.name, pair.name) == ("b9", "b10")
    masks = root / "valid/Annotations/b10"
    assert pair.prompts == ((1, masks / "00005.png"), (2, masks / "00010.png"))
    assert pair.first_mask == masks / "00005.png"
    assert pair.annotations == (None, masks / "00005.png", masks / "00010.png", None)
    assert pair.objects == (
        SequenceObject(1, "dog", ("00005", "00010", "00015")),
        SequenceObject(2, "sheep", ("00010", "00015")),
    )
    assert (pair.semantics, pair.source) == ("ids", "YouTube-VOS valid")


def test_jobs_start_where_the_first_object_does(root: Path) -> None:
    (pair,) = open_youtube_vos(root, sequences=["b10", "b10"])
    (job,) = davis_jobs([pair], root / "out")
    assert job.frame_names == ("00005", "00010", "00015")
    assert job.first_mask == pair.prompts[0][1]
    assert job.later_masks == ((1, pair.prompts[1][1]),)


def test_all_frames(root: Path) -> None:
    pair = open_youtube_vos(root, all_frames=True)[1]
    assert len(pair.frames) == 16
    assert pair.frames[1] == root / "valid_all_frames/JPEGImages/b10/00001.jpg"
    assert [index for index, _ in pair.prompts] == [5, 10]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset": "val"}, "expected train, valid, test, got 'val'"),
        ({"subset": "test"}, r"no .*test.meta\.json"),
        ({"sequences": ["c1"]}, "does not list c1"),
    ],
)
def test_what_is_missing_is_said(root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_youtube_vos(root, **settings)


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("JPEGImages/b10/00015.jpg", "b10 lacks 1 frame that.*the first being 00015"),
        ("JPEGImages/b9/00000.jpg", "no frame of b9; looked in"),
        ("Annotations/b10/00010.png", "no annotation of frame 00010"),
    ],
)
def test_incomplete_downloads_are_found(root: Path, removed: str, message: str) -> None:
    (root / "valid" / removed).unlink()
    with pytest.raises(InputError, match=message):
        open_youtube_vos(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON with videos"),
        ("[]", "expected JSON with videos"),
        ('{"videos": {}}', "expected JSON with videos .*got no video"),
        ('{"videos": {"b9": 3}}', r"meta\.json: video b9: expected a mapping .*got '3'"),
        ('{"videos": {"b9": {}}}', "objects of video b9: expected a mapping .*got nothing"),
        ('{"videos": {"b9": {"objects": {}}}}', "video b9 has no object"),
        ('{"videos": {"b9": {"objects": {"1": {"frames": "00000"}}}}}', "b9: expected a list"),
        ('{"videos": {"b9": {"objects": {"1": {"frames": []}}}}}', "no frame to the objects of b9"),
    ],
)
def test_damaged_metadata(root: Path, text: str, message: str) -> None:
    (root / "valid/meta.json").write_text(text)
    with pytest.raises(InputError, match=message):
        open_youtube_vos(root)


@pytest.mark.parametrize("key", ["0", "-1", "255", "300", "1.5", "x", "9" * 5000])
def test_ids_that_no_mask_can_hold(root: Path, key: str) -> None:
    meta = {"videos": {"b9": {"objects": {key: {"frames": ["00000"]}}}}}
    (root / "valid/meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match=r"meta\.json: video b9: .*must be 1 to 254 .*got"):
        open_youtube_vos(root)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_metadata_with_a_byte_order_mark(root: Path, encoding: str) -> None:
    (root / "valid/meta.json").write_text(json.dumps(META), encoding=encoding)
    assert len(open_youtube_vos(root)) == 2
