"""A packet is not a picture: counts, order and times of odd streams, against ffprobe."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.video.ffprobe import ffprobe, picture_times
from vostrack.arrays import UInt8Array
from vostrack.video import VideoWriter, open_source
from vostrack.video.timetable import timetable

CASES = Path(__file__).parent / "cases"
MakeClip = Callable[..., Path]
ReadNumber = Callable[[UInt8Array], int]


def bar(image: UInt8Array) -> int:
    """Return the number of pixels that are clearly red, by which the cases' pictures differ."""
    red, green, blue = (image[..., k].astype(int) for k in range(3))
    return int(((red > 150) & (green < 100) & (blue < 100)).sum())


def test_avi_with_b_frames_and_gaps(caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(CASES / "avi_h264_with_gaps" / "vfr.avi")
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(7))
    assert source.length == 7
    assert not source.damage
    assert not caplog.records
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    bars = [bar(frame.image) for frame in frames]
    assert bars == sorted(set(bars))


def test_the_count_of_an_avi_is_that_of_ffprobe() -> None:
    path = CASES / "avi_h264_with_gaps" / "vfr.avi"
    assert len(picture_times(path)) == open_source(path).length


def test_joined_files_are_shown_one_after_the_other(caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(CASES / "joined_ts" / "joined.ts")
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(10)])
    assert not caplog.records
    # The object moves on through both parts.
    truth = [CASES / "joined_ts" / "truth" / f"{n:05d}.png" for n in range(10)]
    assert all(path.is_file() for path in truth)
    from PIL import Image

    for frame, path in zip(frames, truth, strict=True):
        inside = np.asarray(Image.open(path)) > 0
        red = frame.image[..., 0].astype(int) - frame.image[..., 1]
        assert red[inside].mean() > red[~inside].mean() + 20


def test_a_clock_that_is_set_back() -> None:
    source = open_source(CASES / "clock_set_back_ts" / "reset.ts")
    assert [frame.time for frame in source] == pytest.approx([n / 25 for n in range(10)])
    assert source.frame_rate == pytest.approx(25)
    again = list(source.read(4, 6))
    assert [frame.index for frame in again] == [4, 5, 6]


@pytest.mark.parametrize("case", ["joined_ts/joined.ts", "clock_set_back_ts/reset.ts"])
def test_an_overlay_lasts_as_long_as_the_video(case: str, tmp_path: Path) -> None:
    source = open_source(CASES / case)
    with VideoWriter(tmp_path / "out.mp4", source.frame_rate) as writer:
        for frame in source:
            writer.add(frame.image, frame.time)
    found = ffprobe(tmp_path / "out.mp4", "-show_entries", "format=duration")
    assert float(found["format"]["duration"]) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("offset", [0, 300, 20_000])
def test_other_joined_streams(
    bf: str, offset: int, tmp_path: Path, make_clip: MakeClip, read_number: ReadNumber
) -> None:
    parts = [
        make_clip(
            tmp_path / f"{k}.ts",
            8,
            ticks=[k * offset + 40 * n for n in range(8)],
            options={"g": "4", "bf": bf},
        )
        for k in range(2)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(open_source(path))
    assert [read_number(frame.image) for frame in frames] == [*range(8), *range(8)]
    times = [frame.time for frame in frames]
    assert np.diff(times).min() > 0.01
    assert times[-1] < 0.7
    assert len(picture_times(path)) == len(frames)


def _ffmpeg(*arguments: str) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    command = [program, "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, capture_output=True)


SOURCE = ("-f", "lavfi", "-i", "testsrc=size=96x64:rate=50:duration=1")
CODED = {
    "fields in ts": (["-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"], "a.ts"),
    "interlaced h264 in mp4": (
        ["-vf", "interlace", "-c:v", "libx264", "-flags", "+ilme+ildct"],
        "a.mp4",
    ),
    "interlaced h264 in mkv": (
        ["-vf", "interlace", "-c:v", "libx264", "-flags", "+ilme+ildct"],
        "a.mkv",
    ),
    "b-frames in avi": (["-c:v", "libx264", "-bf", "3"], "a.avi"),
    "packed mpeg4 in avi": (["-c:v", "mpeg4", "-bf", "2"], "a.avi"),
    "mjpeg in avi": (["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"], "a.avi"),
    "flv": (["-c:v", "libx264", "-bf", "2"], "a.flv"),
    "mpeg-ps": (["-c:v", "mpeg2video", "-bf", "2"], "a.mpg"),
    "variable rate": (["-vf", "select=not(mod(n\\,7)*mod(n\\,5))", "-fps_mode", "vfr"], "a.mp4"),
    "lossless": (["-c:v", "ffv1"], "a.mkv"),
    "prores": (["-c:v", "prores_ks"], "a.mov"),
    "animated gif": (["-vf", "fps=10"], "a.gif"),
    "vp8": (["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "10"], "a.webm"),
    "vp9": (["-c:v", "libvpx-vp9", "-cpu-used", "8"], "a.webm"),
    "cut by an edit list": (["-ss", "0.3", "-c:v", "libx264", "-g", "20"], "a.mp4"),
}


@pytest.mark.parametrize("kind", CODED)
def test_counts_and_times_are_those_of_ffprobe(kind: str, tmp_path: Path) -> None:
    options, name = CODED[kind]
    path = tmp_path / name
    _ffmpeg(*SOURCE, *options, str(path))
    source = open_source(path)
    frames = list(source)
    expected = picture_times(path)
    assert source.length == len(frames) == len(expected)
    times = [frame.time for frame in frames]
    assert all(b > a for a, b in pairwise(times))
    # In AVI, the times that ffprobe reports of B-frames run backwards.
    known = [time for time in expected if time is not None]
    if len(known) == len(expected) and known == sorted(known):
        assert times == pytest.approx(known, abs=0.002)
    assert not source.damage
    middle = len(frames) // 2
    (again,) = source.read(middle, middle)
    np.testing.assert_array_equal(again.image, frames[middle].image)


def test_timetables() -> None:
    tick, rate = Fraction(1, 1000), Fraction(25)

    def seconds(stamps: list[int | None], **kind: bool) -> list[float]:
        return [float(t) for t in timetable(stamps, tick, rate, **{"restarts": True, **kind})]

    assert seconds([5, 45, 85]) == [0, 0.04, 0.08]
    assert seconds([0, 40, 90_000, 90_040]) == [0, 0.04, 0.08, 0.12]
    assert seconds([0, 40, 90_000], restarts=False) == [0, 0.04, 90]
    assert seconds([500, 540, 0, 40]) == [0, 0.04, 0.08, 0.12]
    assert seconds([0, 80, 40, 120], guessed=True) == [0, 0.04, 0.08, 0.12]
    assert seconds([None, 40]) == [0, 0.04]
    # A time that is written twice, and a picture behind those that follow it.
    assert seconds([0, 40, 80, 80, 120, 160], restarts=False) == [0, 0.04, 0.08, 0.1, 0.12, 0.16]
    assert seconds([40, 80, 0, 160, 200]) == [0, 0.04, 0.08, 0.12, 0.16]
    assert seconds([]) == []
