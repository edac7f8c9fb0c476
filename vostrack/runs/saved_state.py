"""Files of a tracker's state, with a checksum: a changed byte must not change masks in silence."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vostrack.files import atomic_path

__all__ = ["read_state", "write_state"]

_BYTES_OF_SUM = 4


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write a state: what ``torch.save`` makes of it, and a CRC-32 behind it.

    Args:
        path: the file, which is replaced at once.
        content: tensors, numbers and strings.

    Raises:
        OSError: the disk is full.
    """
    # Through memory: torch reports a full disk as an error of its own, without the reason.
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    buffer.write(zlib.crc32(buffer.getbuffer()).to_bytes(_BYTES_OF_SUM, "big"))
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_state(path: Path) -> dict[str, Any]:
    """Read what ``write_state`` wrote; tensors are on the CPU.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    content = path.read_bytes()
    found = zlib.crc32(memoryview(content)[:-_BYTES_OF_SUM])
    if found != int.from_bytes(content[-_BYTES_OF_SUM:], "big"):
        raise ValueError(f"{path.name} is damaged")
    return dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
