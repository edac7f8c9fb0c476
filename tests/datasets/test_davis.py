"""DAVIS folders in all their releases, built from empty files; and the real ones where they are."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from vostrack.batch import davis_jobs
from vostrack.datasets import VideoSequence, open_davis
from vostrack.datasets.video_sequence import scan_folder
from vostrack.errors import InputError


def _fill(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def _names(count: int, suffix: str) -> list[str]:
    return [f"{index:05}{suffix}" for index in range(count)]


def _list(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(lines) + "\r\n\r\n", encoding="utf-8-sig")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The 2017 release: two val sequences, one of test-dev and one of the unsupervised test."""
    base = tmp_path / "DAVIS"
    _list(base / "ImageSets/2017/val.txt", ["swan", "goat"])
    _list(base / "ImageSets/2016/val.txt", ["goat"])
    _list(base / "ImageSets/2017/test-dev.txt", ["tower"])
    _list(base / "ImageSets/2019/test-dev.txt", ["square"])
    for name in ("swan", "goat", "tower", "square"):
        _fill(base / "JPEGImages/480p" / name, [*_names(3, ".jpg"), "._00000.jpg", "notes.txt"])
        _fill(base / "JPEGImages/Full-Resolution" / name, _names(3, ".jpg"))
    for name in ("swan", "goat"):
        _fill(base / "Annotations/480p" / name, _names(3, ".png"))
        _fill(base / "Annotations/Full-Resolution" / name, _names(3, ".png"))
        _fill(base / "Annotations_unsupervised/480p" / name, _names(3, ".png"))
    _fill(base / "Annotations/480p/tower", ["00000.png"])
    return base


def test_val_of_2017(root: Path) -> None:
    sequences = open_davis(root)
    assert [seq.name for seq in sequences] == ["swan", "goat"]
    swan = sequences[0]
    assert swan.frame_names == ("00000", "00001", "00002")
    assert swan.frames[1] == root / "JPEGImages/480p/swan/00001.jpg"
    assert swan.annotations[2] == root / "Annotations/480p/swan/00002.png"
    assert swan.first_mask == root / "Annotations/480p/swan/00000.png"
    assert swan.prompts == ((0, swan.first_mask),)
    assert (swan.semantics, swan.source) == ("ids", "DAVIS 2017 val 480p")
    assert pickle.loads(pickle.dumps(swan)) == swan
    full = open_davis(root, resolution="Full-Resolution")[0]
    assert full.frames[0].parts[-3] == "Full-Resolution"
    assert full.annotations[0] == root / "Annotations/Full-Resolution/swan/00000.png"


def test_test_dev_has_first_masks_only(root: Path) -> None:
    (tower,) = open_davis(root, subset="test-dev")
    assert [path is None for path in tower.annotations] == [False, True, True]
    assert tower.first_mask == tower.annotations[0]


def test_unsupervised(root: Path) -> None:
    (square,) = open_davis(root, subset="test-dev", task="unsupervised")
    assert square.name == "square"
    assert square.prompts == ()
    assert square.first_mask is None
    assert square.annotations == (None, None, None)
    (root / "ImageSets/2017/test-dev.txt").unlink()
    with pytest.raises(InputError, match=r"no list .*`task='unsupervised'` reads"):
        open_davis(root, subset="test-dev")
    with pytest.raises(InputError, match=r"no folder for square .*`task='unsupervised'` reads"):
        open_davis(root, sequences=["square"])
    (root / "Annotations_unsupervised/480p/swan/00001.png").unlink()
    with pytest.raises(InputError, match="`annotations='Annotations_unsupervised'` needs no mask"):
        open_davis(root, task="unsupervised")
    shown = open_davis(root, task="unsupervised", annotations="Annotations_unsupervised")[0]
    assert shown.annotations[1] is None
    (root / "Annotations_unsupervised/480p/swan/00001.png").touch()
    swan = open_davis(root, task="unsupervised")[0]
    assert swan.annotations[1] == root / "Annotations_unsupervised/480p/swan/00001.png"
    assert swan.prompts == ()


def test_2016_is_binary(root: Path) -> None:
    (goat,) = open_davis(root, year=2016)
    assert (goat.name, goat.semantics) == ("goat", "binary")


@pytest.mark.parametrize(("resolution", "folder"), [("480p", "480p"), ("Full-Resolution", "1080p")])
def test_original_release_of_2016(tmp_path: Path, resolution: str, folder: str) -> None:
    pairs = [
        f"/JPEGImages/{folder}/{name}/{index:05}.jpg /Annotations/{folder}/{name}/{index:05}.png"
        for name in ("swan", "goat")
        for index in range(3)
    ]
    _list(tmp_path / f"ImageSets/{folder}/val.txt", pairs)
    for name in ("swan", "goat"):
        _fill(tmp_path / "JPEGImages" / folder / name, _names(3, ".jpg"))
        _fill(tmp_path / "Annotations" / folder / name, _names(3, ".png"))
    sequences = open_davis(tmp_path, year=2016, resolution=resolution)
    assert [seq.name for seq in sequences] == ["swan", "goat"]
    assert sequences[0].frames[0] == tmp_path / "JPEGImages" / folder / "swan/00000.jpg"
    (tmp_path / "JPEGImages" / folder / "goat/00001.jpg").unlink()
    (tmp_path / "Annotations" / folder / "goat/00001.png").unlink()
    with pytest.raises(InputError, match=r"goat lacks 1 frame that.*00001"):
        open_davis(tmp_path, year=2016, resolution=resolution)


def test_names_with_spaces(root: Path) -> None:
    for name in ("swan", "swan 2"):
        _fill(root / "JPEGImages/480p" / name, _names(3, ".jpg"))
        _fill(root / "Annotations/480p" / name, _names(3, ".png"))
    _list(root / "ImageSets/2017/val.txt", ["swan 2", "swan"])
    assert [seq.name for seq in open_davis(root)] == ["swan 2", "swan"]
    pair = "/JPEGImages/480p/swan 2/00001.jpg /Annotations/480p/swan 2/00001.png"
    _list(root / "ImageSets/2016/val.txt", [pair])
    assert [seq.name for seq in open_davis(root, year=2016)] == ["swan 2"]
    _list(root / "ImageSets/2017/val.txt", ["swan 3"])
    with pytest.raises(InputError, match=r"no folder for swan 3 \(1 missing\)"):
        open_davis(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"swan\xe9\n", r"2017.val\.txt: expected text in UTF-8, got .* 0xe9"),
        ("swan\n".encode("utf-16"), r"2017.val\.txt: expected text in UTF-8"),
        (b"swan\n../goat\n", r"expected the name of a sequence, .*got the line '\.\./goat'"),
    ],
)
def test_odd_lists(root: Path, content: bytes, message: str) -> None:
    (root / "ImageSets/2017/val.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_davis(root)


def test_other_annotations_and_chosen_sequences(root: Path) -> None:
    _fill(root / "Firsts/480p/goat", ["00000.png"])
    with pytest.raises(InputError, match=r"Firsts.480p and found no folder for swan \(1 missing\)"):
        open_davis(root, annotations="Firsts")
    (goat,) = open_davis(root, annotations="Firsts", sequences=["goat"])
    assert goat.first_mask == root / "Firsts/480p/goat/00000.png"
    (root / "ImageSets/2017/val.txt").unlink()
    assert [seq.name for seq in open_davis(root, sequences=["goat", "swan"])] == ["goat", "swan"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"year": 2018}, "expected 2016 or 2017, got 2018"),
        ({"subset": "test"}, "expected one of train, val, test-dev, test-challenge, got 'test'"),
        ({"task": "guided"}, "got 'guided'"),
        ({"task": "unsupervised", "year": 2016}, "belongs to year 2017"),
        ({"subset": "train"}, r"looked for .*ImageSets.2017.train\.txt"),
        ({"subset": "train", "year": 2016}, r"2016.train\.txt and .*480p.train\.txt"),
        ({"resolution": "240p"}, "there are 480p, Full-Resolution"),
        ({"sequences": ["goat", "yak"]}, "no folder for yak"),
        ({"sequences": []}, "no sequence is listed"),
    ],
)
def test_what_is_missing_is_said(root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_davis(root, **settings)


def test_incomplete_downloads_are_found(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_davis(tmp_path / "absent")
    mask = root / "Annotations/480p/goat/00001.png"
    mask.unlink()
    with pytest.raises(InputError, match=r"no annotation of 1 frame of goat.*00001\.png"):
        open_davis(root)
    (root / "Annotations/480p/goat/00002.png").unlink()
    with pytest.raises(InputError, match=r"`annotations='Annotations'` needs first masks only"):
        open_davis(root)
    assert open_davis(root, annotations="Annotations", sequences=["goat"])[0].first_mask
    (root / "Annotations/480p/goat/00002.png").touch()
    mask.touch()
    frame = root / "JPEGImages/480p/goat/00002.jpg"
    frame.rename(frame.with_suffix(".bak"))
    with pytest.raises(InputError, match=r"goat lacks 1 frame that.*00002"):
        open_davis(root)
    frame.with_suffix(".bak").rename(frame)
    (root / "JPEGImages/480p/goat/00002.png").touch()
    with pytest.raises(InputError, match="have the same frame name"):
        open_davis(root)
    (root / "Annotations/480p/tower/00000.png").unlink()
    with pytest.raises(InputError, match=r"no annotation of \d+ frames? of tower"):
        open_davis(root, subset="test-dev")


def test_natural_order(tmp_path: Path) -> None:
    _fill(tmp_path, ["10.jpg", "9.jpg", "b.jpg", "a10.jpg", "a9.jpg"])
    assert list(scan_folder(tmp_path, {".jpg"})) == ["9", "10", "a9", "a10", "b"]
    assert scan_folder(tmp_path / "absent", {".jpg"}) == {}


def test_sequence_checks_its_parts() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        VideoSequence("s", (), (), (), "ids", "test")
    with pytest.raises(InputError, match="each of the 1 frames, got 0"):
        VideoSequence("s", (Path("0.jpg"),), (), (), "ids", "test")


def test_jobs_of_a_subset(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    jobs = davis_jobs(open_davis("DAVIS", year=2016), "out", {"steps": 30})
    assert [job.name for job in jobs] == ["goat"]
    assert jobs[0].frames[0] == root / "JPEGImages/480p/goat/00000.jpg"
    assert jobs[0].first_mask == root / "Annotations/480p/goat/00000.png"
    assert jobs[0].output == str(root.parent / "out/goat")
    assert (jobs[0].semantics, jobs[0].options) == ("binary", {"steps": 30})
    assert jobs[0].later_masks == ()
    url = davis_jobs(open_davis("DAVIS"), "s3://bucket/run/")
    assert [job.output for job in url] == ["s3://bucket/run/swan", "s3://bucket/run/goat"]


@pytest.mark.shared_data
def test_real_sequences(shared_dir: Path) -> None:
    root = shared_dir / "data/davis-dev"
    sequences = open_davis(root, year=2016)
    assert [seq.name for seq in sequences] == [
        "blackswan", "car-shadow", "dance-twirl", "horsejump-high", "libby", "scooter-black"
    ]  # fmt: skip
    assert sum(len(seq.frames) for seq in sequences) == 322
    names = [seq.name for seq in sequences]
    first = open_davis(root, annotations="Annotations_2017_first_frame", sequences=names)
    assert [sum(a is not None for a in seq.annotations) for seq in first] == [1] * 6
    train = open_davis(shared_dir / "data/davis-train", year=2016, subset="train")
    assert (len(train), sum(len(seq.frames) for seq in train)) == (30, 703)
