"""Files of annotation tools that say which colour belongs to which label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Colour", "find_colour_labels", "is_background"]

Colour = tuple[int, int, int]

_NAMES = ("labelmap.txt", "class_dict.csv", "label_colors.txt")
_BACKGROUND = frozenset({"background", "_background_", "bg", "back ground", "unlabeled"})
_LABEL_FIRST = re.compile(r"^\s*([^:,]+?)\s*[:,]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?:[:,].*)?$")
_COLOUR_FIRST = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.+?)\s*$")


def find_colour_labels(mask: Path) -> tuple[Path, Mapping[Colour, str]] | None:
    """Find the colours of labels beside a mask or in the folder above it.

    ``labelmap.txt`` of CVAT and Datumaro (``label:r,g,b:parts:actions``), ``class_dict.csv`` and
    ``label_colors.txt`` of CamVid are known.

    Args:
        mask: the image file of the mask.

    Returns:
        The file and the label of each colour; None if there is no such file.
    """
    for folder in (mask.absolute().parent, mask.absolute().parent.parent):
        for name in _NAMES:
            labels = _read(folder / name)
            if labels:
                return folder / name, labels
    return None


def is_background(label: str) -> bool:
    """Tell whether a label means background."""
    return label.strip().lower() in _BACKGROUND


def _read(path: Path) -> dict[Colour, str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        return {}
    labels: dict[Colour, str] = {}
    for line in lines[:1000]:
        if line.lstrip().startswith("#"):
            continue
        if found := _LABEL_FIRST.match(line):
            name, *channels = found.groups()
        elif found := _COLOUR_FIRST.match(line):
            *channels, name = found.groups()
        else:
            continue
        red, green, blue = (int(value[:4]) for value in channels)
        if max(red, green, blue) <= 255:
            labels.setdefault((red, green, blue), name)
    return labels
