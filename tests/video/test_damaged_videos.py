"""Videos whose bytes are damaged: what is said, and what is still read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video import open_source

MakeClip = Callable[..., Path]
ReadNumber = Callable[[UInt8Array], int]


DAMAGED: dict[str, tuple[str, dict[str, Any]]] = {
    "h264": ("a.mp4", {"options": {"g": "10", "bf": "2"}}),
    "hevc": ("a.mkv", {"codec": "libx265", "options": {"x265-params": "keyint=10"}}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "10", "cpu-used": "8"}}),
    "av1": ("a.mp4", {"codec": "libsvtav1", "options": {"preset": "12", "g": "10"}}),
    "mpeg4": ("a.avi", {"codec": "mpeg4", "options": {"g": "10"}}),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_bytes_damaged_in_mid_stream(
    kind: str,
    tmp_path: Path,
    make_clip: MakeClip,
    read_number: ReadNumber,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name, options = DAMAGED[kind]
    path = make_clip(tmp_path / name, 60, **options)
    assert len(list(open_source(path))) == 60
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.dts is not None]
    random = np.random.default_rng(3)
    for position, size in packets[32:35]:
        assert position is not None
        start = position + size // 4
        data[start : position + size] = random.bytes(position + size - start)
    path.write_bytes(data)
    source = open_source(path)
    frames = list(source)
    assert source.damage
    assert all(1.0 <= time <= 1.8 for time in source.damage)
    assert f"damaged at {source.damage[0]:.2f} s" in caplog.text
    assert not source.truncated
    # What follows after the next key frame is whole, and keeps its numbers.
    late = [frame for frame in frames if frame.time >= 1.99]
    assert [read_number(frame.image) for frame in late] == list(range(50, 60))


@pytest.mark.parametrize("reader", ["opencv", "decord"])
def test_other_readers_tell_of_damage_or_are_refused(
    reader: Any, tmp_path: Path, make_clip: MakeClip
) -> None:
    path = make_clip(tmp_path / "a.avi", 60, codec="mpeg4", options={"g": "10"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.dts is not None]
    for position, size in packets[32:35]:
        assert position is not None
        data[position + size // 4 : position + size] = bytes(size - size // 4)
    path.write_bytes(data)
    with open_source(path) as source:
        frames = list(source)
    assert source.damage
    try:
        with open_source(path, reader=reader) as other:
            assert len(list(other)) == len(frames)
            assert other.damage
    except InputError as error:
        assert "use `reader='pyav'`" in str(error)  # noqa: PT017 - a refusal is as good
