"""Reading a file or a folder of any annotation format."""

from __future__ import annotations

from pathlib import Path

from vostrack.masks.annotations import Annotations, Size
from vostrack.masks.formats.json_layouts import parse_json
from vostrack.masks.masks_json import load_json

__all__ = ["is_annotation_file", "read_annotations"]

_SUFFIXES = frozenset({".json"})


def is_annotation_file(path: Path) -> bool:
    """Tell whether a file contains annotations and not pixels, by its name."""
    return path.suffix.lower() in _SUFFIXES


def read_annotations(path: Path, size: Size | None = None) -> Annotations:
    """Read a file of annotations.

    Args:
        path: the file.
        size: H and W of the video in pixels, for formats that state no size.

    Raises:
        InputError: it cannot be read, or its layout is not known.
    """
    return parse_json(load_json(path), str(path))
