"""CVAT for video 1.1 and CVAT for images 1.1: XML with masks, polygons and ellipses.

https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/. A track has a shape on some frames;
it holds until the next one, or ends where a shape is ``outside``. CVAT writes each mask as a track
of its own; a group may tell which belong together. The run lengths of a mask go row by row through
its box, background first.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    Size,
    check_size,
    number_in,
    shortened,
    whole_number,
)
from vostrack.masks.formats.cvat_tracks import Shape, Track, expand, joined
from vostrack.masks.formats.shapes import crop, ellipse

__all__ = ["parse", "read"]

_SHAPES = frozenset(
    {"mask", "polygon", "ellipse", "box", "polyline", "points", "cuboid", "skeleton"}
)
_COUNTED = r"frame_\d{6,}(\.\w+)?"  # how CVAT calls the frames of a video
_MOST_FRAMES = 1 << 24
_IGNORED = frozenset({"ignore", "void", "dontcare", "don't care"})


def read(path: Path) -> Annotations:
    """Read an XML file.

    Raises:
        InputError: it is no XML, or not of CVAT.
    """
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: cannot be read as XML ({shortened(error)}), expected a CVAT export; export "
            "the task as CVAT for video 1.1"
        ) from error
    return parse(root, str(path))


def parse(root: ET.Element, origin: str) -> Annotations:
    """Read the tracks, or else the images.

    Raises:
        InputError: there are neither, or a shape is damaged.
    """
    if root.tag == "annotations" and root.find("meta") is not None and not _has_shapes(root):
        raise InputError(
            f"{origin}: contains labels but no shape, expected tracks or images with masks; draw "
            "the objects first, and export the task as CVAT for video 1.1"
        )
    if root.tag == "annotation" and root.find("object/bndbox") is not None:
        raise InputError(
            f"{origin}: the boxes of a PASCAL VOC file, expected masks; give the images of its "
            "folder SegmentationObject"
        )
    if root.tag != "annotations" or (root.find("track") is None and root.find("image") is None):
        raise InputError(
            f"{origin}: expected annotations with tracks or images as CVAT writes them, got "
            f"<{shortened(root.tag, 40)}>; export the task as CVAT for video 1.1"
        )
    if root.find("track") is not None:
        return _of_tracks(root, origin)
    return _of_images(root, origin)


def _has_shapes(root: ET.Element) -> bool:
    return any(e.tag in _SHAPES for owner in root for e in owner if owner.tag != "meta")


def _of_tracks(root: ET.Element, origin: str) -> Annotations:
    size = _task_size(root, origin)
    notes: tuple[str, ...] = ()
    tracks = root.findall("track")
    tasks = list(dict.fromkeys(track.get("task_id") for track in tracks))
    if len(tasks) > 1:
        tracks = [track for track in tracks if track.get("task_id") == tasks[0]]
        name = shortened(tasks[0] or "without a number", 20)
        notes += (f"{origin}: contains several tasks; the first one, {name}, is used",)
    last = _last_frame(root, tracks)
    listed = [Track.read(e, k, _shapes(e, origin)) for k, e in enumerate(tracks)]
    frames: dict[int, list[Entry]] = {}
    guessed = 0
    for track in joined(listed, last):
        void = track.label.casefold() in _IGNORED
        identity = None if void else track.key
        for frame, segmentation, between in expand(track.shapes, last):
            guessed += between
            entry = Entry(segmentation, track.number, track.label, void, identity, track.label)
            frames.setdefault(frame, []).append(entry)
    if guessed:
        notes += (
            f"{origin}: {guessed} shapes between key frames are not in the file; polygons were "
            "interpolated, masks repeated",
        )
    start = min([0, *frames])
    return Annotations(
        tuple(
            AnnotatedFrame(f"frame {n}", n, tuple(frames.get(n, ())), size)
            for n in range(start, last + 1)
        ),
        counted=True,
        positions=True,
        video=True,
        notes=notes,
        source=_source(root),
    )


def _shapes(track: ET.Element, origin: str) -> list[Shape]:
    return [_shape(element, origin) for element in track if element.tag in _SHAPES]


def _of_images(root: ET.Element, origin: str) -> Annotations:
    frames = []
    for image in root.findall("image"):
        size = check_size(image.get("height"), image.get("width"), origin)
        name = shortened(image.get("name") or f"image {image.get('id')}")
        number = number_in(name)
        if re.fullmatch(_COUNTED, name):
            name = f"frame {number}"
        entries = []
        for element in image:
            if element.tag not in _SHAPES:
                continue
            label = shortened(element.get("label", "object"))
            track = _attribute(element, "track_id") or element.get("group_id")
            track = track if track and track != "0" else None
            void = label.casefold() in _IGNORED
            entries.append(
                Entry(
                    _shape(element, origin, alone=True).segmentation,
                    whole_number(track) if track else None,
                    label,
                    void,
                    None if void or track is None else f"{shortened(track, 40)} {label}",
                    label,
                )
            )
        frames.append(AnnotatedFrame(name, number, tuple(entries), size))
    return Annotations(tuple(frames), source=_source(root))


def _attribute(element: ET.Element, name: str) -> str | None:
    for attribute in element.findall("attribute"):
        if attribute.get("name") == name and attribute.text:
            return attribute.text.strip()
    return None


def _shape(element: ET.Element, origin: str, *, alone: bool = False) -> Shape:
    """Read a shape of a track, or one that stands alone in an image."""
    frame = whole_number(element.get("frame"))
    if not alone and (frame is None or not 0 <= frame < _MOST_FRAMES):
        raise InputError(
            f"{origin}: a {element.tag} states frame {shortened(element.get('frame'), 20)!r}, "
            "expected a number from 0; export the task again"
        )
    outside = element.get("outside") == "1"
    points = None
    segmentation: Any = None
    try:
        if outside:
            pass
        elif element.tag == "mask":
            segmentation = _mask(element.attrib)
        elif element.tag == "polygon":
            points = _points(element.get("points", ""))
            segmentation = [[v for point in points for v in point]]
        elif element.tag == "ellipse":
            cx, cy, rx, ry, turn = (
                float(element.get(name, "0" if name == "rotation" else "nan"))
                for name in ("cx", "cy", "rx", "ry", "rotation")
            )
            segmentation = ellipse([(cx, cy)], (rx, ry), turn)
    except (InputError, ValueError) as error:
        raise InputError(
            f"{origin}: a {element.tag} in frame {shortened(frame, 20)} is damaged "
            f"({shortened(error, 100)}); export the task again"
        ) from error
    return Shape(frame or 0, outside, segmentation, points, element.tag == "mask")


def _mask(attributes: Mapping[str, str]) -> Any:
    runs = [int(text) for text in re.split(r"[,\s]+", attributes.get("rle", "").strip()) if text]
    left, top, width, height = (
        whole_number(attributes.get(name)) for name in ("left", "top", "width", "height")
    )
    if width is None or height is None or check_size(height, width, "mask") is None:
        raise ValueError("it states no width and height")
    if min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise ValueError(f"the run lengths cover {sum(runs)} pixels, expected {width * height}")
    inside = np.arange(len(runs)) % 2 == 1
    box: BoolArray = np.repeat(inside, runs).reshape(height, width)
    return crop(box, left or 0, top or 0)


def _points(text: str) -> list[tuple[float, float]]:
    found = []
    for part in text.split(";"):
        if part.strip():
            x, y = (float(value) for value in part.split(","))
            found.append((x, y))
    if len(found) < 3:
        raise ValueError(f"a polygon has {len(found)} points")
    return found


def _task_size(root: ET.Element, origin: str) -> Size | None:
    found = root.find(".//original_size")
    if found is None:
        return None
    return check_size(found.findtext("height"), found.findtext("width"), origin)


def _last_frame(root: ET.Element, tracks: Iterable[ET.Element]) -> int:
    """Return the last frame of the task, or the last one that a shape names."""
    numbers = (whole_number(shape.get("frame")) or 0 for track in tracks for shape in track)
    last = max((n for n in numbers if n < _MOST_FRAMES), default=0)
    stop = whole_number(root.findtext(".//stop_frame"))
    return max(last, stop) if stop is not None and stop - last < 1 << 16 else last


def _source(root: ET.Element) -> str:
    return shortened(root.findtext(".//source") or root.findtext(".//task/name") or "")
