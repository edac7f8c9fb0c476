"""Transport streams from which whole pictures are missing, and others that only look like it."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.video import open_source
from vostrack.video.gaps import gaps_in, is_steady, packets_are_lost

MakeClip = Callable[..., Path]
_VIDEO = 256
_GROUPS = {"g": "6", "bf": "0", "x264-params": "scenecut=0"}


def _packets(path: Path) -> tuple[UInt8Array, list[int]]:
    """Return the packets of a transport stream, and those at which a picture begins."""
    packets = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 188)
    numbers = (packets[:, 1] & 31).astype(int) << 8 | packets[:, 2]
    starts = np.flatnonzero((numbers == _VIDEO) & (packets[:, 1] & 64 > 0))
    return packets, starts.tolist()


def _without(path: Path, first: int, last: int, *, count_again: bool = False) -> Path:
    """Remove the packets of pictures; let the counters go on if ``count_again``."""
    packets, starts = _packets(path)
    kept = np.concatenate([packets[: starts[first]], packets[starts[last] :]]).copy()
    if count_again:
        numbers = (kept[:, 1] & 31).astype(int) << 8 | kept[:, 2]
        for number in np.unique(numbers):
            place = np.flatnonzero(numbers == number)
            kept[place, 3] = kept[place, 3] & 0xF0 | (np.arange(place.size) % 16).astype(np.uint8)
    path.write_bytes(kept.tobytes())
    return path


@pytest.mark.parametrize("reader", ["pyav", "opencv"])
@pytest.mark.parametrize("count_again", [False, True])
def test_a_hole_on_the_border_of_pictures(
    reader: Any,
    count_again: bool,
    tmp_path: Path,
    make_clip: MakeClip,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = make_clip(tmp_path / "a.ts", 60, options=_GROUPS)
    with open_source(path, reader=reader) as source:
        assert (source.length, source.damage) == (60, ())
    _without(path, 12, 18, count_again=count_again)
    assert packets_are_lost(path) != count_again
    with open_source(path, reader=reader) as source:
        assert source.length == len(list(source)) == 54
        assert source.damage == (0.48,)
    (said,) = (r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)
    assert "pictures are missing: 6 at 0.48 s;" in said


@pytest.mark.parametrize("ticks", [[40, 40, 120], [40, 40, 40, 200], [33, 41, 97, 33, 60]])
def test_a_variable_rate_is_no_hole(
    ticks: list[int], tmp_path: Path, make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    """As an encoder writes it that leaves out equal pictures, or a camera in bad light."""
    times = np.concatenate(([0], np.cumsum((ticks * 20)[:40]))).tolist()
    path = make_clip(tmp_path / "a.ts", 41, options=_GROUPS, ticks=times)
    with open_source(path) as source:
        assert [round(1000 * frame.time) for frame in source] == pytest.approx(times, abs=1)
        assert not source.damage
    assert not caplog.records


def test_files_of_constant_rate_that_leave_out_a_picture_are_right(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    """In an mp4 every picture has its own duration, so a long one is no sign of damage."""
    ticks = [40 * k for k in range(61) if k != 30]
    with open_source(make_clip(tmp_path / "a.mp4", 60, ticks=ticks)) as source:
        assert not source.damage


def test_counters_of_packets(tmp_path: Path, make_clip: MakeClip) -> None:
    path = make_clip(tmp_path / "a.ts", 40, options={"g": "6"}, audio="aac")
    whole = path.read_bytes()
    assert not packets_are_lost(path)
    packets = [whole[k : k + 188] for k in range(0, len(whole), 188)]
    own = tmp_path / "blu-ray.m2ts"
    own.write_bytes(b"".join(bytes(4) + packet for packet in packets))
    assert not packets_are_lost(own)
    twice = [*packets[:30], packets[29], *packets[30:]]
    path.write_bytes(b"".join(twice))
    assert not packets_are_lost(path)
    path.write_bytes(b"".join(packets[:30] + packets[31:]))
    assert packets_are_lost(path)
    path.write_bytes(whole[: 188 * 30] + whole[188 * 31 + 50 :])
    assert packets_are_lost(path)
    path.write_bytes(b"RIFF" + whole)
    assert not packets_are_lost(path)


def test_steps() -> None:
    steps = [Fraction(1, 25)] * 100
    times = [sum(steps[:k], Fraction(0)) for k in range(100)]
    assert gaps_in(times) == ()
    holed = [time for k, time in enumerate(times) if k not in (3, 4, 50)]
    assert [(gap.number, gap.pictures) for gap in gaps_in(holed)] == [(3, 2), (48, 1)]
    assert is_steady(holed)
    assert not is_steady([*times[::2], times[-1] + Fraction(1, 30)])
    assert gaps_in([Fraction(0)]) == gaps_in([]) == ()
    assert not is_steady([Fraction(0)])


def test_a_hole_with_decord(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """decord opens no stream of the newest encoders, so that of the system is taken."""
    pytest.importorskip("decord")
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    path = tmp_path / "a.ts"
    command = [program, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:d=2"]
    command += ["-c:v", "libx264", "-g", "5", "-bf", "0", "-x264-params", "scenecut=0", str(path)]
    subprocess.run(command, check=True)
    _without(path, 20, 25)
    with open_source(path, reader="decord") as source:
        assert (source.length, source.damage) == (45, (0.8,))
    assert "pictures are missing: 5 at 0.80 s;" in caplog.text


def test_a_hole_outside_of_the_selection(tmp_path: Path, make_clip: MakeClip) -> None:
    path = _without(make_clip(tmp_path / "a.ts", 60, options=_GROUPS), 24, 30)
    for start, end in ((0, 24), (24, None)):
        with open_source(path, start=start, end=end) as source:
            assert not source.damage
