"""Containers without an index, cut short, with edit lists of several parts, or begun in mid group.

Counts and times are ffprobe's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.video.ffprobe import picture_times
from vostrack.errors import InputError
from vostrack.video import open_source

MakeClip = Callable[..., Path]


def _like_ffprobe(path: Path, truncated: bool = False) -> int:
    """Read a video with every reader; return the number of its frames."""
    times = picture_times(path)
    for reader in ("pyav", "opencv"):
        try:
            with open_source(path, reader=reader) as source:
                frames = list(source)
        except InputError as error:
            assert reader != "pyav"
            assert "use `reader='pyav'`" in str(error)  # noqa: PT017 - a refusal is as good
            continue
        assert [frame.time for frame in frames] == pytest.approx(times, abs=2e-3)
        assert source.truncated == truncated
    return len(times)


def test_an_avi_without_an_index(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.avi", 12, codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])
    assert _like_ffprobe(path) == 12


def test_a_matroska_stream_without_cues(tmp_path: Path, make_clip: MakeClip) -> None:
    """As from a recorder that cannot go back to write them."""
    path = make_clip(tmp_path / "a.mkv", 12, options={"bf": "2"}, muxer={"live": "1"})
    assert b"\x1c\x53\xbb\x6b" not in path.read_bytes()  # the id of cues
    assert _like_ffprobe(path) == 12


@pytest.mark.parametrize("missing", [200, 900])
def test_the_tail_of_an_mp4_is_missing(missing: int, tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.mp4", 40, muxer={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[:-missing])
    with open_source(path) as source:
        frames = list(source)
    assert 0 < len(frames) < 40
    assert source.truncated


def test_an_mp4_whose_header_is_missing(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.mp4", 12)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="cannot be opened as a video"):
        open_source(path)


def _edited(path: Path, parts: Sequence[tuple[int, int]]) -> Path:
    """Replace the edit list; parts are (frames shown, first frame), -1 for a gap."""
    data = bytearray(path.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov")
    (movie,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    (media,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    (first,) = struct.unpack_from(">i", data, data.index(b"elst") + 16)
    listed = b"".join(
        struct.pack(
            ">IiHH", count * movie // 25, -1 if start < 0 else first + start * media // 25, 1, 0
        )
        for count, start in parts
    )
    listed = struct.pack(">I4sII", 16 + len(listed), b"elst", 0, len(parts)) + listed
    whole = struct.pack(">I4s", 8 + len(listed), b"edts") + listed
    place = data.index(b"edts") - 4
    (old,) = struct.unpack_from(">I", data, place)
    data[place : place + old] = whole
    for name in (b"trak", b"moov"):
        box = data.index(name) - 4
        (size,) = struct.unpack_from(">I", data, box)
        struct.pack_into(">I", data, box, size + len(whole) - old)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "parts",
    [
        [(20, 0)],
        [(10, -1), (20, 0)],
        [(5, 0), (5, 12)],
        [(5, 0), (10, -1), (5, 12)],
        [(5, 0), (5, 0)],
    ],
    ids=["one", "late", "two", "with a gap", "twice"],
)
def test_edit_lists(parts: list[tuple[int, int]], tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.mp4", 20, options={"bf": "2", "g": "20"})
    _edited(path, parts)
    assert _like_ffprobe(path) >= 10


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_stream_that_begins_in_mid_group(codec: str, tmp_path: Path, make_clip: MakeClip) -> None:
    """B-frames before the first key frame need pictures that are not there."""
    settings = "open-gop=1:bframes=3:keyint=8:min-keyint=8:scenecut=0"
    name = "x264-params" if codec == "libx264" else "x265-params"
    extra = ":log-level=none" if codec == "libx265" else ""
    path = make_clip(tmp_path / "a.ts", 24, codec=codec, options={name: settings + extra})
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 3 // 188 * 188 :])
    with open_source(path) as source:
        frames = list(source)
    assert 0 < len(frames) < 24
    assert frames[0].time == 0
    # Versions of FFmpeg differ in whether they show B-frames before the first key frame.
    assert abs(len(frames) - len(picture_times(path))) <= 4
