"""A small video whose file is cut or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np


def write_avi(path: Path, spoil: Callable[[bytearray, list[tuple[int, int]]], None]) -> Path:
    """Write 20 frames with a key frame every five, and spoil the file.

    ``spoil`` gets its bytes, and the place and size of each picture.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
        for number in range(20):
            image = np.roll(noise, 2 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        places = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    spoil(data, places)
    path.write_bytes(data)
    return path


def cut(data: bytearray, places: list[tuple[int, int]]) -> None:
    del data[places[12][0] + 20 :]


def damage(data: bytearray, places: list[tuple[int, int]]) -> None:
    position, size = places[7]
    data[position + size // 4 : position + size] = bytes(size - size // 4)
