"""Small clips whose every frame carries its own number, for a test to read back."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vostrack.arrays import UInt8Array

MakeClip = Callable[..., Path]

_BITS = 8
_CELL = 12


def _burn(number: int, height: int = 64, width: int = 112) -> UInt8Array:
    """A frame with ``number`` in eight black or white cells, and a white mark in one corner."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows + 60, columns + 40, np.full_like(rows, 90)], axis=-1) % 200
    for bit in range(_BITS):
        column = 4 + bit * _CELL
        image[20 : 20 + _CELL, column : column + _CELL] = 255 * (number >> bit & 1)
    image[:8, :16] = 255
    return image.astype(np.uint8)


def _read(image: UInt8Array) -> int:
    """The number that ``_burn`` wrote."""
    number = 0
    for bit in range(_BITS):
        column = 4 + bit * _CELL
        cell = image[23 : 17 + _CELL, column + 3 : column + _CELL - 3]
        number |= int(cell.mean() > 128) << bit
    return number


def _make_clip(
    path: Path,
    count: int = 30,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (64, 112),
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    audio: str | None = None,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Encode frames 0 to count - 1 at 25 frames per second, or at ``ticks`` thousandths."""
    ticks = [40 * number for number in range(count)] if ticks is None else ticks
    with _usual_schedule(), av.open(str(path), "w", options=muxer or {}) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = None
        if audio is not None:
            sound = container.add_stream(audio, rate=48000)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(_burn(number, *size), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _encode_tone(container, sound, seconds=ticks[-1] / 1000 + 0.04)
    return path


@contextmanager
def _usual_schedule() -> Iterator[None]:
    """Undo what SVT-AV1 does for root: the thread runs before all others from then on.

    Threads of other codecs, for which a thread of this kind waits in a loop, would never run.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before[0]:
            os.sched_setscheduler(0, *before)


def _encode_tone(container: Any, stream: Any, seconds: float) -> None:
    samples = (8000 * np.sin(np.arange(int(seconds * 48000)) * 0.06)).astype(np.int16)
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(
            samples[None, start : start + 1024], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = 48000, start
        frame.time_base = Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _rotate(path: Path, degrees: int) -> Path:
    """Write a display matrix into the track header: ``degrees`` clockwise, as a phone does."""
    data = bytearray(path.read_bytes())
    # tkhd version 0: the matrix follows 4 + 36 bytes after the box type.
    place = data.index(b"tkhd") + 4 + 40
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    data[place : place + 36] = struct.pack(
        ">9i", cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(data)
    return path


def _trim(path: Path, frames: int, tail: int = 0, seconds_each: float = 0.04) -> Path:
    """Let the edit list of an mp4 skip frames at both ends, as a lossless cut does."""
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 4 + 8
    duration, start = struct.unpack(">Ii", data[place : place + 8])
    scale = {}
    for box in (b"mvhd", b"mdhd"):
        at = data.index(box) + 4 + 12
        (scale[box],) = struct.unpack(">I", data[at : at + 4])
    skipped = frames * seconds_each
    data[place : place + 8] = struct.pack(
        ">Ii",
        duration - round((skipped + tail * seconds_each) * scale[b"mvhd"]),
        start + round(skipped * scale[b"mdhd"]),
    )
    path.write_bytes(data)
    return path


@pytest.fixture
def make_clip() -> MakeClip:
    return _make_clip


@pytest.fixture
def rotate() -> Callable[[Path, int], Path]:
    return _rotate


@pytest.fixture
def trim() -> Callable[..., Path]:
    return _trim


@pytest.fixture
def burn() -> Callable[..., UInt8Array]:
    return _burn


@pytest.fixture
def read_number() -> Callable[[UInt8Array], int]:
    return _read
