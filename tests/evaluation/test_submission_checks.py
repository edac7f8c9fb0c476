"""Submission zips: what is found wrong in other people's."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.datasets.video_sequence import Semantics
from vostrack.errors import InputError
from vostrack.eval.submission import (
    Problem,
    SubmissionForm,
    check_submission,
    describe_problems,
)
from vostrack.masks.palette import write_label_map

HEIGHT, WIDTH = 6, 9
NAMES = ("swan", "goat")
Labels = Callable[..., UInt8Array]


def _kinds(problems: list[Problem]) -> list[str]:
    return [problem.kind for problem in problems]


def _zip(tmp_path: Path, results: Path, changes: dict[str, bytes | None], top: str = "") -> Path:
    members = {
        f"{name}/{index:05}.png": (results / name / f"{index:05}.png").read_bytes()
        for name in NAMES
        for index in range(3)
    }
    target = tmp_path / "foreign.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if top:
            archive.writestr(top, b"")
        for member, data in {**members, **changes}.items():
            if data is not None:
                archive.writestr(top + member, data)
    return target


@pytest.mark.parametrize(
    ("semantics", "supervised", "highest", "too_high"),
    [
        ("ids", True, 2, 0),
        ("ids", True, 3, 1),
        ("ids", True, 255, 1),
        ("binary", True, 2, 6),
        ("ids", False, 20, 0),
        ("ids", False, 21, 1),
    ],
)
def test_limits_of_ids(
    sequences: tuple[VideoSequence, ...],
    results: Path,
    tmp_path: Path,
    semantics: Semantics,
    supervised: bool,
    highest: int,
    too_high: int,
    labels: Labels,
) -> None:
    subset = [
        replace(seq, semantics=semantics, prompts=seq.prompts if supervised else ())
        for seq in sequences
    ]
    write_label_map(results / "goat/00002.png", labels(highest))
    problems = check_submission(_zip(tmp_path, results, {}), subset)
    assert _kinds(problems) == ["ids"] * too_high
    assert [("black and white" in t.message) for t in problems] == [highest == 255] * too_high


def test_a_truth_of_0_and_255_belongs_to_the_other_year(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    white = tmp_path / "white.png"
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:4, 3:5] = 255
    write_label_map(white, mask)
    subset = [replace(seq, prompts=((0, white),), semantics="ids") for seq in sequences]
    problems = check_submission(_zip(tmp_path, results, {}), subset)
    assert {problem.kind for problem in problems} == {"ids"}
    assert all("use `year=2016`" in problem.message for problem in problems)


# What is in the zip instead: bytes, the name of a form, or nothing; and what that is called.
FOREIGN: dict[str, tuple[dict[str, bytes | str | None], list[str]]] = {
    "frame missing": ({"goat/00000.png": None}, ["missing"]),
    "sequence missing": ({f"goat/{i:05}.png": None for i in range(3)}, ["missing"]),
    "sequence too many": ({"yak/00000.png": b"", "yak/00001.png": b""}, ["extra"]),
    "frame too many": ({"goat/00003.png": b""}, ["stray"]),
    "record left in": ({"goat/done.json": b"{}"}, ["stray"]),
    "file at the root": ({"README.txt": b"hello"}, ["stray"]),
    "macOS": ({"__MACOSX/goat/._00000.png": b"", "goat/.DS_Store": b""}, ["stray", "stray"]),
    "colours": (
        {"goat/00000.png": "RGB"},
        ["format"],
    ),
    "gray": ({"goat/00000.png": "gray"}, ["format"]),
    "16 bits": (
        {"goat/00000.png": "16 bits"},
        ["format"],
    ),
    "few bits": ({"goat/00000.png": "few bits"}, ["format"]),
    "other palette": ({"goat/00000.png": "other colours"}, ["palette"]),
    "no PNG": ({"goat/00000.png": b"GIF89a"}, ["corrupt"]),
    "backslashes": ({"goat/00000.png": None, "goat\\00000.png": b""}, ["layout", "corrupt"]),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_zip(
    sequences: tuple[VideoSequence, ...],
    results: Path,
    tmp_path: Path,
    case: str,
    forms: dict[str, bytes],
) -> None:
    named, kinds = FOREIGN[case]
    changes = {k: forms[v] if isinstance(v, str) else v for k, v in named.items()}
    problems = check_submission(_zip(tmp_path, results, changes), sequences)
    assert _kinds(problems) == kinds
    assert [problem.fatal for problem in problems] == [kind != "palette" for kind in kinds]


def test_wrapping_folder_is_named_and_looked_into(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    problems = check_submission(_zip(tmp_path, results, {}, top="submission/"), sequences)
    assert [(t.kind, t.where) for t in problems] == [("layout", "submission")]
    changes: dict[str, bytes | None] = {"goat/00001.png": None}
    target = _zip(tmp_path, results, changes, top="submission/")
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("__MACOSX/submission/goat/._00001.png", b"")
    assert [(t.kind, t.where) for t in check_submission(target, sequences)] == [
        ("stray", "__MACOSX/submission/goat/._00001.png"),
        ("layout", "submission"),
        ("missing", "goat/00001.png"),
    ]


@pytest.mark.parametrize(
    ("top", "form", "said"),
    [
        ("deep/Annotations/", "", "in deep/Annotations/; expected them at the root of the zip"),
        ("deep/Annotations/", "Annotations", "in deep/Annotations/; expected them in Annotations/"),
        ("", "Annotations", "at the root; expected them in Annotations/"),
    ],
)
def test_the_place_of_the_sequences_is_named_at_any_depth(
    sequences: tuple[VideoSequence, ...],
    results: Path,
    tmp_path: Path,
    top: str,
    form: str,
    said: str,
) -> None:
    target = _zip(tmp_path, results, {}, top=top)
    problems = check_submission(target, sequences, form=SubmissionForm(form))
    assert [(t.kind, t.message) for t in problems] == [("layout", f"the sequences are {said}")]
    # A file beside them changes nothing.
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("README.txt", b"hello")
    problems = check_submission(target, sequences, form=SubmissionForm(form))
    assert _kinds(problems) == ["layout", "stray"]


def test_a_zip_without_the_sequences_says_so(
    sequences: tuple[VideoSequence, ...], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("README.txt", b"hello")
    problems = check_submission(
        tmp_path / "other.zip", sequences, form=SubmissionForm("Annotations")
    )
    assert problems[0].message == "no folder of a sequence is there; expected them in Annotations/"
    assert _kinds(problems) == ["layout", "stray", "missing", "missing"]


def test_sizes_and_ids_in_a_foreign_zip(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    write_label_map(tmp_path / "large.png", np.full((HEIGHT + 1, WIDTH), 3, np.uint8))
    changes: dict[str, bytes | None] = {"goat/00001.png": (tmp_path / "large.png").read_bytes()}
    assert _kinds(check_submission(_zip(tmp_path, results, changes), sequences)) == ["size", "ids"]


def test_masks_have_the_size_of_a_turned_frame_as_it_is_displayed(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for frame in sequences[0].frames:
        Image.new("RGB", (HEIGHT, WIDTH)).save(frame, exif=exif)
    assert check_submission(_zip(tmp_path, results, {}), sequences) == []


def test_damaged_zips(sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_submission(tmp_path / "absent.zip", sequences)
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    assert _kinds(check_submission(tmp_path / "no.zip", sequences)) == ["zip"]
    target = _zip(tmp_path, results, {})
    with zipfile.ZipFile(target) as archive:
        info = archive.getinfo("goat/00000.png")
    data = bytearray(target.read_bytes())
    # Behind the local header (30 bytes), the name, and the start of the compressed data.
    data[info.header_offset + 30 + len(info.filename) + 40] ^= 0xFF
    target.write_bytes(data)
    problems = check_submission(target, sequences)
    assert [(t.kind, t.where) for t in problems] == [("corrupt", "goat/00000.png")]


def test_checksum_of_a_chunk_counts(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    data = bytearray((results / "goat/00000.png").read_bytes())
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    data[start + 4 + length] ^= 0xFF
    changes: dict[str, bytes | None] = {"goat/00000.png": bytes(data)}
    assert _kinds(check_submission(_zip(tmp_path, results, changes), sequences)) == ["corrupt"]


def test_zip_bomb_is_not_unpacked(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    header = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"")
    changes: dict[str, bytes | None] = {"goat/00000.png": header + bytes(65 * 2**20)}
    problems = check_submission(_zip(tmp_path, results, changes), sequences)
    assert _kinds(problems) == ["corrupt", "missing"]
    assert "when unpacked" in problems[0].message


def test_description_is_short() -> None:
    problems = [Problem("ids", f"a/{index}", "too high") for index in range(9)]
    problems.append(Problem("palette", "b", "other colours", fatal=False))
    assert describe_problems(problems, per_kind=2).splitlines() == [
        "  a/0: too high [ids]",
        "  a/1: too high [ids]",
        "  and 7 more [ids]",
        "  b: other colours [palette, accepted by the server]",
    ]
