"""Detecting the kind of a source from its name."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from vostrack.errors import InputError

__all__ = ["IMAGE_SUFFIXES", "check_regular", "is_pattern", "is_url", "plain_path"]

IMAGE_SUFFIXES = frozenset(
    {
        ".apng",
        ".avif",
        ".avifs",
        ".bmp",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Suffixes of image files, in lower case."""

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_url(name: str) -> bool:
    """Tell whether this is an address such as ``rtsp://host/stream`` and not a path."""
    return _SCHEME.match(name) is not None


def is_pattern(name: str) -> bool:
    """Tell whether this contains a glob wildcard."""
    return any(sign in name for sign in "*?[")


def plain_path(path: Path) -> str:
    """Return the name by which FFmpeg opens a file, whatever characters it contains.

    FFmpeg takes what precedes a colon in a relative name for a protocol.
    """
    return str(path.absolute())


def check_regular(path: Path) -> None:
    """Refuse a pipe: a file is opened several times, and a pipe would then wait for ever.

    Raises:
        InputError: it is a pipe or a socket.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise InputError(
            f"{path} is a pipe, which can be read only once; write the video to a file first, for "
            f"example with `cat {path} > clip.mkv`"
        )
