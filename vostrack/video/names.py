"""Detecting the kind of a source from its name."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "is_pattern", "is_url", "plain_path"]

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

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv", ".y4m"}
)
"""Suffixes of files that are taken for videos, in lower case."""

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
