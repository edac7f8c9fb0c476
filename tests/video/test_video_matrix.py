"""Codecs, containers, fields, B-frames, edit lists, clocks, pixels and ranges, against ffprobe.

A dozen videos stand for the rest by default; ``-m slow`` takes all of them.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video.ffprobe import ffprobe, times_of
from vostrack.arrays import AnyArray
from vostrack.errors import InputError
from vostrack.video import open_source

_BARS = "smptebars=size=64x48:rate=25:duration=0.32,hue=h=300*t"
_PATTERNS = {
    "bars": _BARS,
    "fields": _BARS.replace("rate=25", "rate=50") + ",tinterlace=mode=interleave_top",
    "odd": _BARS.replace("64x48", "61x47"),
    "wide": _BARS.replace("64x48", "256x128"),
}
_LINES = Path(__file__).with_name("matrix.txt").read_text().splitlines()[1:]
VIDEOS = {line.split()[0]: line.split(maxsplit=3)[1:] for line in _LINES}
_DOZEN = (
    *("h264_b_mp4", "h264_frag", "h264_b_avi", "hevc_12", "vp9_altref", "mpeg2_interlaced"),
    *("prores_4444_alpha", "ffv1_411", "raw_pal8_avi", "vfr_mp4_b", "bt709_full", "two_programs"),
)
_CHOICE = [pytest.param(name, marks=() if name in _DOZEN else pytest.mark.slow) for name in VIDEOS]


@pytest.fixture(scope="module")
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, made once for all readers."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    suffix, pattern, *options = VIDEOS[request.param]
    path = tmp_path_factory.mktemp("video") / f"{request.param}.{suffix}"
    command = [program, "-v", "error", "-f", "lavfi", "-i", _PATTERNS[pattern]]
    command += shlex.split(" ".join(options))
    done = subprocess.run([*command, str(path)], capture_output=True, text=True)
    if "nknown encoder" in done.stderr:
        pytest.skip(f"this ffmpeg has no such encoder: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return path


@cache
def said_of(path: Path, stream: int) -> dict[str, Any]:
    return ffprobe(path, "-select_streams", f"v:{stream}", "-show_streams", "-show_frames")


@lru_cache(maxsize=1)  # all readers of one video come in turn
def shown_by_ffmpeg(path: Path, shape: tuple[int, ...]) -> AnyArray:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-vsync", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, *shape)


@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
@pytest.mark.parametrize("video", _CHOICE, indirect=True)
def test_it_is_read_as_by_ffmpeg_or_refused(video: Path, reader: Any) -> None:
    stream = 0
    try:
        with open_source(video, reader=reader, deinterlace="off") as source:
            frames = list(source)
    except InputError as error:
        if reader == "pyav" or "use `reader='pyav'`" not in str(error):
            raise
        return
    if video.stem == "two_programs":
        # The larger of two pictures is shown.
        stream = 1
    if video.suffix in (".h264", ".m2v", ".mjpeg"):
        times: list[float | None] = [None] * 8  # raw streams have no times
    else:
        times = times_of(said_of(video, stream)["frames"])
    assert source.length == len(frames) == len(times)
    assert not source.damage
    assert not source.truncated
    for frame, time in zip(frames, times, strict=True):
        # Where the first picture has no time, ffprobe's cannot be counted from it.
        assert time is None or times[0] is None or frame.time == pytest.approx(time, abs=2e-3)
    said = said_of(video, stream)["streams"][0]
    assert frames[0].image.shape[:2] == (said["height"], said["width"])
    aspect = said.get("sample_aspect_ratio", "1:1")
    if aspect != "0:1" and reader == "pyav":
        assert f"{source.pixel_aspect.numerator}:{source.pixel_aspect.denominator}" == aspect
    if said.get("color_primaries") == "bt2020" or stream:
        return  # ffmpeg does not convert these to BT.709
    expected = shown_by_ffmpeg(video, frames[0].image.shape)
    for frame, image in zip(frames, expected, strict=True):
        # The median, because versions of FFmpeg place chroma differently at the edges of bars.
        assert np.median(np.abs(frame.image.astype(int) - image)) < 3.5
