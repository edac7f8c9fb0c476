"""YOLO segmentation: a text file for each frame, with a class and a polygon on each line.

https://docs.ultralytics.com/datasets/segment/. Coordinates are shares of width and height.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.file_order import in_natural_order
from vostrack.files import atomic_path, check_link
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    Fill,
    Size,
    number_in,
    shortened,
)
from vostrack.masks.formats.contours import has_parts, polygon_with_bridges
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.shapes import outline
from vostrack.masks.palette import VOID
from vostrack.masks.picture_names import numbered_by_stems
from vostrack.masks.video_masks import VideoMasks, file_stem, present

__all__ = ["files_in", "in_pixels", "is_layout", "parse", "write"]

# The same pixel for readers that cut coordinates off, as Ultralytics does, and that round them.
_WITHIN = 0.25
_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt")


def is_layout(text: str) -> bool:
    """Tell whether text looks like labels of YOLO: a class and shares of the image."""
    values = _first_line(text)
    return len(values) >= 5 and max(values[1:5]) <= 1.5


def in_pixels(text: str) -> bool:
    """Tell whether text looks like labels of YOLO whose points are pixels."""
    values = _first_line(text)
    return len(values) >= 7 and len(values) % 2 == 1 and max(values[1:]) > 1.5


def _first_line(text: str) -> list[float]:
    """Return the numbers of the first line that begins with a class; nothing for other text."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    try:
        values = [float(field) for field in line.split()]
    except ValueError:
        return []
    return values if values and values[0] == abs(values[0]) // 1 else []


def files_in(folder: Path) -> list[Path]:
    """Return the label files in a folder or in its folder ``labels``, in natural order.

    Raises:
        InputError: one is a link to a file that is missing.
    """
    place = folder / "labels" if (folder / "labels").is_dir() else folder
    found = [p for p in place.glob("*.txt") if p.name not in ("classes.txt", "labels.txt")]
    for path in found:
        check_link(path)
    return in_natural_order(found)


def parse(paths: Sequence[Path], size: Size | None, origin: str) -> Annotations:
    """Read label files, one for each frame.

    Args:
        paths: the files, in order.
        size: H and W of the frames in pixels.
        origin: name of the folder or file in messages.

    Raises:
        InputError: a line has another form.
    """
    names = _class_names(paths[0].parent) if paths else {}
    frames = []
    for path in paths:
        entries = []
        text = path.read_text(encoding="utf-8", errors="replace")
        for count, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                entries.append(_entry(line, names, f"{path}: line {count}"))
        frames.append(AnnotatedFrame(path.name, number_in(path.name), tuple(entries), size))
    return Annotations(numbered_by_stems(frames))


def _entry(line: str, names: dict[int, str], place: str) -> Entry:
    try:
        kind, *values = (float(field) for field in line.split())
        number = int(kind)
        finite = np.isfinite(values).all() and bool((np.abs(values) < 1 << 16).all())
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{place}: expected a class and the points of a polygon as numbers, got "
            f"{shortened(line, 60)!r}; export the labels again"
        ) from error
    if not finite or len(values) < 4:
        raise InputError(
            f"{place}: expected at least three points with finite coordinates, got "
            f"{shortened(line, 60)!r}; export the labels again"
        )
    track = None
    if len(values) % 2:
        # Results with tracking end in the id of the track.
        track = str(int(values.pop()))
    name = names.get(number, f"class {number}")
    fill = None if len(values) < 6 else _fill(list(zip(values[::2], values[1::2], strict=True)))
    own = int(track) if track is not None else None
    return Entry(fill, own, name, False, None if track is None else f"{track} {name}", name)


def _fill(shares: list[tuple[float, float]]) -> Fill:
    def fill(size: Size | None) -> BoolArray:
        height, width = size or (0, 0)
        if size is None:
            return outline([shares])(None)
        points = [(math.floor(x * width), math.floor(y * height)) for x, y in shares]
        return outline([points])(size)

    return fill


def _class_names(folder: Path) -> dict[int, str]:
    """Return the names of classes from a file beside the labels or one folder up."""
    for place in (folder, folder.parent):
        for name in _NAMES:
            path = place / name
            if not path.is_file():
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix == ".txt":
                return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
            found = _yaml_names(text)
            if found:
                return found
    return {}


def _yaml_names(text: str) -> dict[int, str]:
    """Read the entry ``names`` of YAML: a list on one line, or one name a line."""
    match = re.search(r"^names:[ \t]*(.*(?:\n[ \t-].*)*)", text, flags=re.MULTILINE)
    if match is None:
        return {}
    body = match[1].strip()
    if body.startswith(("[", "{")):
        parts = [part.strip() for part in body.strip("[]{}").split(",") if part.strip()]
    else:
        parts = [line.strip() for line in body.splitlines() if line.strip()]
    names: dict[int, str] = {}
    for part in parts:
        numbered = re.fullmatch(r"(\d{1,5})\s*:\s*(.*)", part)
        number = int(numbered[1]) if numbered else len(names)
        names[number] = _plain(numbered[2] if numbered else part.removeprefix("-").strip())
    return names


def _plain(text: str) -> str:
    quoted = re.fullmatch(r"(['\"])(.*)\1", text)
    return shortened(quoted[2].replace('\\"', '"').replace("\\\\", "\\") if quoted else text)


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write ``labels/NAME.txt`` for each frame, with the name of its image, and ``data.yaml``."""
    classes = list(masks.categories)
    height, width = masks.size
    void, joined = 0, False
    for position, frame in enumerate(masks.frames):
        labels = masks.labels(position)
        void += int((labels == VOID).sum())
        lines = []
        for entry, mask in present(masks, labels):
            joined = joined or has_parts(mask)
            shares = (np.array(polygon_with_bridges(mask)) + _WITHIN) / (width, height)
            text = " ".join(f"{value:.6f}" for value in shares.ravel())
            lines.append(f"{classes.index(entry.category)} {text}\n")
        with atomic_path(output / "labels" / f"{file_stem(frame)}.txt") as temporary:
            temporary.write_text("".join(lines), encoding="ascii")
    yaml = ["path: .\n", "train: images\n", "val: images\n", "names:\n"]
    yaml += [f"  {k}: {_quoted(name)}\n" for k, name in enumerate(classes)]
    with atomic_path(output / "data.yaml") as temporary:
        temporary.write_text("".join(yaml), encoding="utf-8")
    others = []
    if len(classes) < len(masks.objects):
        others.append("which object is which (objects of a class are told apart by their order)")
    if joined:
        others.append("the gaps between the parts of an object (lines 1 pixel wide join them)")
    return losses(masks, names="objects", void=void, others=others)


def _quoted(name: Any) -> str:
    escaped = str(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
