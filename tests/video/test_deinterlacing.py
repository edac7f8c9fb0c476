"""Interlaced videos: a bar that moves between the fields, encoded by Debian's ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.video.ffprobe import picture_times
from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import open_source

_KINDS = {
    "mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme"),
    "mp4": ("-c:v", "libx264", "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
    "mov": ("-c:v", "prores_ks", "-flags", "+ildct+ilme", "-top", "1"),
}
_COUNT = 8


def moving(path: Path, *, interlaced: bool = True) -> Path:
    """Write a white bar that moves by 4 pixels a field, two fields to a frame."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    fields = np.zeros((2 * _COUNT, 48, 96, 3), np.uint8)
    for number in range(len(fields)):
        fields[number, :, 8 + 4 * number : 24 + 4 * number] = 255
    command = [program, "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x48"]
    command += ["-r", "50", "-i", "-"]
    options = _KINDS[path.suffix[1:]]
    if interlaced:
        command += ["-vf", "tinterlace=interleave_top", *options]
    else:
        command += ["-vf", "select=not(mod(n\\,2))", "-r", "25", *options[:2]]
    pixels = "yuv422p10le" if path.suffix == ".mov" else "yuv420p"
    command += ["-pix_fmt", pixels, str(path)]
    subprocess.run(command, input=fields.tobytes(), check=True)
    return path


def combing(image: UInt8Array) -> float:
    """How much rows differ from the mean of their neighbours."""
    rows = image.astype(np.float64)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize("kind", _KINDS)
def test_the_comb_goes_and_the_times_stay(kind: str, tmp_path: Path) -> None:
    path = moving(tmp_path / f"clip.{kind}")
    times = picture_times(path)
    with open_source(path, deinterlace="off") as source:
        assert not source.deinterlaced
        combed = [frame.image for frame in source]
    with open_source(path) as source:
        assert source.deinterlaced
        frames = list(source)
    assert len(frames) == len(combed) == len(times) == _COUNT
    for frame, time in zip(frames, times, strict=True):
        assert time is None or frame.time == pytest.approx(time, abs=1e-3)
    assert [frame.index for frame in frames] == list(range(_COUNT))
    for frame, before in list(zip(frames, combed, strict=True))[1:-1]:
        assert combing(before) > 20
        assert combing(frame.image) < 0.3 * combing(before)
        # The picture is that of the first field: the bar is at its place.
        bar = np.flatnonzero(frame.image[24, :, 0] > 128)
        assert abs(bar.mean() - (15.5 + 8 * frame.index)) < 2


def test_a_frame_is_the_same_wherever_reading_begins(tmp_path: Path) -> None:
    path = moving(tmp_path / "clip.mp4")
    with open_source(path) as source:
        whole = [frame.image for frame in source]
        for first, last in ((0, 2), (3, 3), (4, 7), (7, 7)):
            part = list(source.read(first, last))
            assert [frame.index for frame in part] == list(range(first, last + 1))
            for frame in part:
                assert (frame.image == whole[frame.index]).all()


def test_progressive_videos_stay_as_they_are(tmp_path: Path) -> None:
    path = moving(tmp_path / "clip.mp4", interlaced=False)
    with open_source(path) as source, open_source(path, deinterlace="off") as plain:
        assert not source.deinterlaced
        for a, b in zip(source, plain, strict=True):
            assert (a.image == b.image).all()


def test_other_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="deinterlace: expected auto or off, got 'yes'"):
        open_source(tmp_path, deinterlace="yes")  # type: ignore[arg-type]
