"""Label maps as the page sends and takes them: one byte per pixel, in a zlib stream."""

from __future__ import annotations

import zlib

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.studio.access import TOO_LARGE

__all__ = ["pack", "unpack"]


def pack(labels: UInt8Array) -> bytes:
    """Return a label map (H, W) as a zlib stream."""
    return zlib.compress(np.ascontiguousarray(labels).tobytes(), 1)


def unpack(data: bytes, width: int, height: int) -> UInt8Array:
    """Return the label map (H, W) of a request; it is never unpacked beyond its size.

    Raises:
        InputError: it is damaged, or holds more or less than one label map.
    """
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, width * height + 1)
    except zlib.error:
        raise InputError("mask: the upload is damaged; send it again") from None
    if len(plain) > width * height:
        raise InputError(f"mask: {TOO_LARGE}")
    if len(plain) != width * height:
        raise InputError(
            f"mask: expected {width * height} values for {width} x {height} pixels, got "
            f"{len(plain)}"
        )
    return np.frombuffer(plain, np.uint8).reshape(height, width)
