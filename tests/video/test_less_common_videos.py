"""Videos of less common formats, against what Debian's ffprobe and ffmpeg say of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video.ffprobe import picture_times
from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import open_source

_PICTURES = "testsrc2=size=64x48:rate=25:duration=0.32"
_FIELDS = "testsrc2=size=64x48:rate=50:duration=0.32,tinterlace=mode=interleave_top"


def make(path: Path, *options: str, pictures: str = _PICTURES) -> Path:
    """Encode a test pattern with Debian's ffmpeg; skip the test where it or its encoder lacks."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    command = [program, "-v", "error", "-f", "lavfi", "-i", pictures, *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "nknown encoder" in done.stderr:
        pytest.skip(f"this ffmpeg has no such encoder: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return path


def shown_by_ffmpeg(path: Path, shape: tuple[int, ...]) -> UInt8Array:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vsync", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, *shape)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pal8.avi", ("-c:v", "rawvideo", "-pix_fmt", "pal8")),
        ("gray.mov", ("-c:v", "qtrle", "-pix_fmt", "gray")),
        ("repeats.ogv", ("-c:v", "libtheora")),
        ("alpha.mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        ("mono.nut", ("-c:v", "rawvideo", "-pix_fmt", "monow")),
    ],
)
@pytest.mark.parametrize("start", [0, 3])
def test_every_picture_is_that_of_ffmpeg(
    name: str, options: tuple[str, ...], start: int, tmp_path: Path
) -> None:
    path = make(tmp_path / name, *options)
    with open_source(path, start=start) as source:
        frames = list(source)
        assert not source.damage
        assert source.length == len(frames)
    times = picture_times(path)
    assert [frame.time for frame in frames] == pytest.approx(times[start:], abs=1e-3)
    expected = shown_by_ffmpeg(path, frames[0].image.shape)[start:]
    for frame, image in zip(frames, expected, strict=True):
        # Blocks, because versions of FFmpeg place chroma differently.
        blocks = [part.reshape(12, 4, 16, 4, 3).mean(axis=(1, 3)) for part in (frame.image, image)]
        assert np.abs(blocks[0] - blocks[1]).mean() < 1


def test_interlaced_videos_are_refused_with_opencv(tmp_path: Path) -> None:
    flags = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")
    path = make(tmp_path / "fields.mpg", *flags, pictures=_FIELDS)
    with pytest.raises(InputError, match="is interlaced, which OpenCV cannot convert"):
        open_source(path, reader="opencv")
    with open_source(path) as source:
        assert len(list(source)) == len(picture_times(path))


def test_times_with_decord_are_those_of_ffprobe(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.avi", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0")
    with open_source(path, reader="decord") as source:
        assert [frame.time for frame in source] == pytest.approx(picture_times(path), abs=1e-3)


def test_what_decord_cannot_read_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "clip.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    decord = pytest.importorskip("decord")

    def fail(self: Any, *_: Any) -> None:
        raise decord.DECORDError("[07:23:50] video_reader.cc:430: Unable to handle EOF")

    monkeypatch.setattr(decord.VideoReader, "__getitem__", fail)
    with pytest.raises(InputError, match=r"decord cannot read the frames of .*Unable to handle"):
        open_source(path, reader="decord")
