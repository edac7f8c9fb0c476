"""Submission zips: what is written, and what is not."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence, open_davis
from vostrack.errors import InputError
from vostrack.eval.submission import check_submission, write_submission
from vostrack.masks.palette import davis_palette, write_label_map

HEIGHT, WIDTH = 6, 9
NAMES = ("swan", "goat")
Labels = Callable[..., UInt8Array]


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
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path, labels: Labels
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
                assert np.array_equal(np.asarray(image), labels())
                assert image.getpalette() == davis_palette().flatten().tolist()
    assert check_submission(target, sequences) == []
    first = target.read_bytes()
    write_submission(results, sequences, target)
    assert target.read_bytes() == first


@pytest.mark.parametrize("form", ["gray", "other colours", "few bits"])
def test_masks_of_ids_are_brought_into_form(
    sequences: tuple[VideoSequence, ...],
    results: Path,
    tmp_path: Path,
    form: str,
    labels: Labels,
    forms: dict[str, bytes],
) -> None:
    (results / "goat/00001.png").write_bytes(forms[form])
    target = tmp_path / "submission.zip"
    assert write_submission(results, sequences, target).rewritten == 1
    assert check_submission(target, sequences) == []
    with zipfile.ZipFile(target) as archive:
        rewritten = Image.open(io.BytesIO(archive.read("goat/00001.png")))
    assert np.array_equal(np.asarray(rewritten), labels())


@pytest.mark.parametrize(("depth", "accepted"), [(1, True), (2, False), (4, False)])
def test_gray_of_few_bits(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path, depth: int, accepted: bool
) -> None:
    # Readers stretch 2 and 4 bits to black and white, so nobody knows which ids were meant.
    (results / "goat/00001.png").write_bytes(_gray(depth))
    if accepted:
        assert write_submission(results, sequences, tmp_path / "s.zip").rewritten == 1
    else:
        with pytest.raises(InputError, match=f"got {depth}-bit gray"):
            write_submission(results, sequences, tmp_path / "s.zip")


def test_nothing_is_written_that_would_be_refused(
    sequences: tuple[VideoSequence, ...],
    results: Path,
    tmp_path: Path,
    labels: Labels,
    forms: dict[str, bytes],
) -> None:
    target = tmp_path / "submission.zip"
    target.write_bytes(b"the last good one")
    (results / "swan/00000.png").unlink()
    write_label_map(results / "swan/00001.png", labels(3))
    write_label_map(results / "swan/00002.png", np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    (results / "goat/00000.png").write_bytes(forms["RGB"])
    (results / "goat/00001.png").write_bytes(forms["RGB"][:60])
    with pytest.raises(InputError) as caught:
        write_submission(results, sequences, target)
    text = str(caught.value)
    assert "swan/00000.png: no mask for this frame [missing]" in text
    assert "swan/00001.png: expected ids up to 2, the first frame's objects, got 3 [ids]" in text
    assert "swan/00002.png: expected 9x6 like the frame, got 10x6 [size]" in text
    assert "goat/00000.png: expected 8-bit indexed PNG, got 8-bit RGB [format]" in text
    assert "goat/00001.png: corrupt PNG" in text
    assert len(text.splitlines()) == 6
    assert target.read_bytes() == b"the last good one"
    assert [path.name for path in tmp_path.glob("*.zip*")] == ["submission.zip"]
    assert not list(tmp_path.glob(".submission*"))


def test_missing_results(
    sequences: tuple[VideoSequence, ...], results: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write_submission(tmp_path / "absent", sequences, tmp_path / "s.zip")
    with pytest.raises(InputError, match="got none"):
        write_submission(results, (), tmp_path / "s.zip")
    (results / "goat").rename(results / "goat.bak")
    with pytest.raises(InputError, match=r"goat: expected 3 masks, found none \[missing\]$"):
        write_submission(results, sequences, tmp_path / "s.zip")


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
