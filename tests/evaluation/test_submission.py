"""Submission zips: what is written, and what is found wrong in other people's."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vostrack.datasets import Sequence, open_davis
from vostrack.datasets.sequence import Semantics
from vostrack.errors import InputError
from vostrack.eval.submission import (
    Trouble,
    check_submission,
    describe_troubles,
    write_submission,
)
from vostrack.masks.palette import davis_palette, write_label_map

HEIGHT, WIDTH = 6, 9
NAMES = ("swan", "goat")


def _labels(highest: int = 2) -> NDArray[np.uint8]:
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[1:3, 2:5] = 1
    labels[4:, 6:] = highest
    return labels


@pytest.fixture
def sequences(tmp_path: Path) -> tuple[Sequence, ...]:
    """A test-dev subset of two sequences, three frames and two objects each."""
    root = tmp_path / "DAVIS"
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/test-dev.txt").write_text("swan\ngoat\n")
    for name in NAMES:
        (root / "JPEGImages/480p" / name).mkdir(parents=True)
        for index in range(3):
            frame = Image.new("RGB", (WIDTH, HEIGHT))
            frame.save(root / "JPEGImages/480p" / name / f"{index:05}.jpg")
        write_label_map(root / "Annotations/480p" / name / "00000.png", _labels())
    return open_davis(root, subset="test-dev")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Right results of both sequences, with a record beside them."""
    root = tmp_path / "results"
    for name in NAMES:
        for index in range(3):
            write_label_map(root / name / f"{index:05}.png", _labels())
        (root / name / "done.json").write_text("{}")
    return root


def _kinds(troubles: list[Trouble]) -> list[str]:
    return [trouble.kind for trouble in troubles]


def _png(array: NDArray[np.generic], mode_of: Callable[[Image.Image], Image.Image]) -> bytes:
    buffer = io.BytesIO()
    mode_of(Image.fromarray(array)).save(buffer, format="PNG")
    return buffer.getvalue()


def _with_palette(image: Image.Image) -> Image.Image:
    image.putpalette(list(range(256)) * 3)
    return image


def _few_bits() -> bytes:
    """A 2-bit indexed PNG, which Pillow writes when the palette is small."""
    image = Image.fromarray(_labels())
    image.putpalette(davis_palette()[:4].tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=2)
    data = buffer.getvalue()
    assert data[24] == 2
    return data


def _gray(depth: int) -> bytes:
    """A gray PNG of fewer bits than eight, chunk by chunk; all pixels are zero."""
    rows = bytes(1 + -(-WIDTH * depth // 8)) * HEIGHT
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    return data


def test_written_zip_is_what_the_server_wants(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new/submission.zip"
    written = write_submission(results, sequences, target)
    assert (written.path, written.sequences, written.frames, written.rewritten) == (target, 2, 6, 0)
    with zipfile.ZipFile(target) as archive:
        members = [f"{name}/{index:05}.png" for name in NAMES for index in range(3)]
        assert archive.namelist() == members
        for member in members:
            assert archive.read(member) == (results / member).read_bytes()
            with Image.open(io.BytesIO(archive.read(member))) as image:
                assert (image.mode, image.size) == ("P", (WIDTH, HEIGHT))
                assert np.array_equal(np.asarray(image), _labels())
                assert image.getpalette() == davis_palette().flatten().tolist()
    assert check_submission(target, sequences) == []
    first = target.read_bytes()
    write_submission(results, sequences, target)
    assert target.read_bytes() == first


@pytest.mark.parametrize("form", ["gray", "other colours", "few bits"])
def test_masks_of_ids_are_brought_into_form(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path, form: str
) -> None:
    data = {
        "gray": _png(_labels(), lambda image: image),
        "other colours": _png(_labels(), _with_palette),
        "few bits": _few_bits(),
    }[form]
    (results / "goat/00001.png").write_bytes(data)
    target = tmp_path / "submission.zip"
    assert write_submission(results, sequences, target).rewritten == 1
    assert check_submission(target, sequences) == []
    with zipfile.ZipFile(target) as archive:
        rewritten = Image.open(io.BytesIO(archive.read("goat/00001.png")))
    assert np.array_equal(np.asarray(rewritten), _labels())


@pytest.mark.parametrize(("depth", "accepted"), [(1, True), (2, False), (4, False)])
def test_gray_of_few_bits(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path, depth: int, accepted: bool
) -> None:
    # Readers stretch 2 and 4 bits to black and white, so nobody knows which ids were meant.
    (results / "goat/00001.png").write_bytes(_gray(depth))
    if accepted:
        assert write_submission(results, sequences, tmp_path / "s.zip").rewritten == 1
    else:
        with pytest.raises(InputError, match=f"got {depth}-bit gray"):
            write_submission(results, sequences, tmp_path / "s.zip")


def test_nothing_is_written_that_would_be_refused(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    target = tmp_path / "submission.zip"
    target.write_bytes(b"the last good one")
    (results / "swan/00000.png").unlink()
    write_label_map(results / "swan/00001.png", _labels(3))
    write_label_map(results / "swan/00002.png", np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    rgb = _png(_labels(), lambda image: image.convert("RGB"))
    (results / "goat/00000.png").write_bytes(rgb)
    (results / "goat/00001.png").write_bytes(rgb[:60])
    with pytest.raises(InputError) as caught:
        write_submission(results, sequences, target)
    text = str(caught.value)
    assert "swan/00000.png: no mask for this frame [missing]" in text
    assert "swan/00001.png: expected ids up to 2, the first frame's objects, got 3 [ids]" in text
    assert "swan/00002.png: expected 9x6 as the frame, got 10x6 [size]" in text
    assert "goat/00000.png: expected 8-bit indexed PNG, got 8-bit RGB [format]" in text
    assert "goat/00001.png: damaged PNG" in text
    assert len(text.splitlines()) == 6
    assert target.read_bytes() == b"the last good one"
    assert [path.name for path in tmp_path.glob("*.zip*")] == ["submission.zip"]
    assert not list(tmp_path.glob(".submission*"))


def test_missing_results(sequences: tuple[Sequence, ...], results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write_submission(tmp_path / "absent", sequences, tmp_path / "s.zip")
    with pytest.raises(InputError, match="got none"):
        write_submission(results, (), tmp_path / "s.zip")
    (results / "goat").rename(results / "goat.bak")
    with pytest.raises(InputError, match=r"goat: expected 3 masks, found none \[missing\]$"):
        write_submission(results, sequences, tmp_path / "s.zip")


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
    sequences: tuple[Sequence, ...],
    results: Path,
    tmp_path: Path,
    semantics: Semantics,
    supervised: bool,
    highest: int,
    too_high: int,
) -> None:
    subset = [
        replace(seq, semantics=semantics, prompts=seq.prompts if supervised else ())
        for seq in sequences
    ]
    write_label_map(results / "goat/00002.png", _labels(highest))
    troubles = check_submission(_zip(tmp_path, results, {}), subset)
    assert _kinds(troubles) == ["ids"] * too_high
    assert [("black and white" in t.message) for t in troubles] == [highest == 255] * too_high


FOREIGN: dict[str, tuple[dict[str, bytes | None], list[str]]] = {
    "frame missing": ({"goat/00000.png": None}, ["missing"]),
    "sequence missing": ({f"goat/{i:05}.png": None for i in range(3)}, ["missing"]),
    "sequence too many": ({"yak/00000.png": b"", "yak/00001.png": b""}, ["extra"]),
    "frame too many": ({"goat/00003.png": b""}, ["stray"]),
    "record left in": ({"goat/done.json": b"{}"}, ["stray"]),
    "file at the root": ({"README.txt": b"hello"}, ["stray"]),
    "macOS": ({"__MACOSX/goat/._00000.png": b"", "goat/.DS_Store": b""}, ["stray", "stray"]),
    "colours": (
        {"goat/00000.png": _png(_labels(), lambda image: image.convert("RGB"))},
        ["format"],
    ),
    "gray": ({"goat/00000.png": _png(_labels(), lambda image: image)}, ["format"]),
    "16 bits": (
        {"goat/00000.png": _png(_labels().astype(np.uint16), lambda image: image)},
        ["format"],
    ),
    "few bits": ({"goat/00000.png": _few_bits()}, ["format"]),
    "other palette": ({"goat/00000.png": _png(_labels(), _with_palette)}, ["palette"]),
    "no PNG": ({"goat/00000.png": b"GIF89a"}, ["corrupt"]),
    "backslashes": ({"goat/00000.png": None, "goat\\00000.png": b""}, ["layout", "corrupt"]),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_zip(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path, case: str
) -> None:
    changes, kinds = FOREIGN[case]
    troubles = check_submission(_zip(tmp_path, results, changes), sequences)
    assert _kinds(troubles) == kinds
    assert [trouble.fatal for trouble in troubles] == [kind != "palette" for kind in kinds]


def test_wrapping_folder_is_named_and_looked_into(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    troubles = check_submission(_zip(tmp_path, results, {}, top="submission/"), sequences)
    assert [(t.kind, t.where) for t in troubles] == [("layout", "submission")]
    changes: dict[str, bytes | None] = {"goat/00001.png": None}
    target = _zip(tmp_path, results, changes, top="submission/")
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("__MACOSX/submission/goat/._00001.png", b"")
    assert [(t.kind, t.where) for t in check_submission(target, sequences)] == [
        ("stray", "__MACOSX/submission/goat/._00001.png"),
        ("layout", "submission"),
        ("missing", "goat/00001.png"),
    ]


def test_sizes_and_ids_in_a_foreign_zip(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    write_label_map(tmp_path / "large.png", np.full((HEIGHT + 1, WIDTH), 3, np.uint8))
    changes: dict[str, bytes | None] = {"goat/00001.png": (tmp_path / "large.png").read_bytes()}
    assert _kinds(check_submission(_zip(tmp_path, results, changes), sequences)) == ["size", "ids"]


def test_damaged_zips(sequences: tuple[Sequence, ...], results: Path, tmp_path: Path) -> None:
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
    troubles = check_submission(target, sequences)
    assert [(t.kind, t.where) for t in troubles] == [("corrupt", "goat/00000.png")]


def test_checksum_of_a_chunk_counts(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    data = bytearray((results / "goat/00000.png").read_bytes())
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    data[start + 4 + length] ^= 0xFF
    changes: dict[str, bytes | None] = {"goat/00000.png": bytes(data)}
    assert _kinds(check_submission(_zip(tmp_path, results, changes), sequences)) == ["corrupt"]


def test_zip_bomb_is_not_unpacked(
    sequences: tuple[Sequence, ...], results: Path, tmp_path: Path
) -> None:
    header = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"")
    changes: dict[str, bytes | None] = {"goat/00000.png": header + bytes(65 * 2**20)}
    troubles = check_submission(_zip(tmp_path, results, changes), sequences)
    assert _kinds(troubles) == ["corrupt", "missing"]
    assert "when unpacked" in troubles[0].message


def test_description_is_short() -> None:
    troubles = [Trouble("ids", f"a/{index}", "too high") for index in range(9)]
    troubles.append(Trouble("palette", "b", "other colours", fatal=False))
    assert describe_troubles(troubles, per_kind=2).splitlines() == [
        "  a/0: too high [ids]",
        "  a/1: too high [ids]",
        "  and 7 more [ids]",
        "  b: other colours [palette, accepted by the server]",
    ]


@pytest.mark.shared_data
def test_published_results_are_packed(shared_dir: Path, tmp_path: Path) -> None:
    data = shared_dir / "data"
    masks = sorted((data / "oracle").rglob("00000.png"))
    folder = masks[0].parents[1]
    sequences = open_davis(data / "davis-dev", year=2016)
    target = tmp_path / "oracle.zip"
    written = write_submission(folder, sequences, target)
    assert written.frames == 322
    assert not [t for t in check_submission(target, sequences) if t.fatal]
