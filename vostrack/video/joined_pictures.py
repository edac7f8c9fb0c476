"""Picture files written one behind the other into one file, as FFmpeg's image2pipe does.

Readers of images show the first of them and do not mention the others.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from vostrack.errors import InputError

__all__ = ["check_one_picture"]

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_SIZE = _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})"
_BITS = re.compile(rb"P4" + _SIZE + rb"\s")
_SAMPLES = re.compile(rb"P([56])" + _SIZE + _GAP + rb"(\d{1,5})\s")
_NETPBM = re.compile(rb"\s*P[1-7]\s")
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 1024


def check_one_picture(path: Path) -> None:
    """Refuse a Netpbm, PNG or BMP file that is followed by another one in the same file.

    Raises:
        InputError: it is.
    """
    with path.open("rb") as file:
        if not _goes_on(file):
            return
    raise InputError(
        f"{path} holds several pictures, one behind the other, expected one; write each frame to a "
        f"file of its own, for example with `ffmpeg -f image2pipe -i {path.name} frames/%05d.png`"
    )


def _goes_on(file: BinaryIO) -> bool:
    """Tell whether another picture of the same kind begins where the first one ends."""
    head = file.read(_HEAD)
    if head.startswith(_PNG):
        return _behind_png(file) == _PNG
    if head.startswith(b"BM") and len(head) > 14:
        (size,) = struct.unpack("<I", head[2:6])
        file.seek(size)
        # Some programs state no size.
        return size > 14 and file.read(2) == b"BM"
    end = _end_of_netpbm(head)
    if end is None:
        return False
    file.seek(end)
    return _NETPBM.match(file.read(16)) is not None


def _end_of_netpbm(head: bytes) -> int | None:
    """Return how many bytes a binary PBM, PGM or PPM has; None if it is none."""
    if found := _BITS.match(head):
        width, height = int(found[1]), int(found[2])
        return found.end() + (width + 7) // 8 * height
    if found := _SAMPLES.match(head):
        width, height, peak = int(found[2]), int(found[3]), int(found[4])
        channels = 3 if found[1] == b"6" else 1
        return found.end() + width * height * channels * (1 if peak < 256 else 2)
    return None


def _behind_png(file: BinaryIO) -> bytes:
    """Return the first bytes behind the last chunk of a PNG."""
    file.seek(len(_PNG))
    while len(chunk := file.read(8)) == 8:
        length, name = struct.unpack(">L4s", chunk)
        file.seek(length + 4, os.SEEK_CUR)
        if name == b"IEND":
            return file.read(len(_PNG))
    return b""
