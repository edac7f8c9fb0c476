"""labelme: a JSON file for each frame, beside the images.

https://github.com/wkentaro/labelme. Shapes with the same label and ``group_id`` are one object.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    check_size,
    number_in,
    shortened,
    whole_number,
)
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.shapes import (
    crop,
    cropped,
    ellipse,
    outline,
    picture,
    png_text,
    points_of,
)
from vostrack.masks.palette import VOID
from vostrack.masks.video_masks import VideoMasks, file_name, file_stem, present

__all__ = ["is_layout", "parse", "parse_frame", "write"]

_VOID = frozenset({"void", "ignore", "__ignore__"})


def is_layout(content: Any) -> bool:
    """Tell whether parsed JSON is a file of labelme."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def parse_frame(content: Mapping[str, Any], origin: str) -> AnnotatedFrame:
    """Read the shapes of one image.

    Raises:
        InputError: a shape is damaged.
    """
    size = check_size(content.get("imageHeight"), content.get("imageWidth"), origin)
    path = str(content.get("imagePath") or Path(origin).name)
    number = number_in(path)
    if number is None:
        number = number_in(Path(origin).name)
    entries = tuple(_entry(shape) for shape in content["shapes"])
    return AnnotatedFrame(shortened(path), number, entries, size)


def parse(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read the file of one image."""
    return Annotations((parse_frame(content, origin),))


def _entry(shape: Mapping[str, Any]) -> Entry:
    label = shortened(shape.get("label") or "object")
    group = shape.get("group_id")
    track = None if group is None else f"{shortened(group, 20)} {label}"
    name = shape.get("description") if str(shape.get("description") or "").strip() else None
    void = label.casefold() in _VOID
    return Entry(
        _segmentation(shape),
        whole_number(group),
        shortened(name) if name else label,
        void,
        None if void else track,
        label,
    )


def _segmentation(shape: Mapping[str, Any]) -> Any:
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind == "polygon":
        return outline([points_of(points)])
    if kind == "mask":
        (left, top), *_ = ((float(x), float(y)) for x, y in points or ())
        if not (math.isfinite(left) and math.isfinite(top)):
            raise ValueError(f"a mask begins at {shortened(points, 40)}")
        return crop(picture(shape.get("mask")), int(left), int(top))
    if kind == "circle":
        (x, y), (to_x, to_y) = ((float(a), float(b)) for a, b in (points or ())[:2])
        radius = math.hypot(to_x - x, to_y - y)
        return ellipse([(x + 0.5, y + 0.5)], (radius, radius))
    return None


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file for each frame, with the mask of each object. Void is a shape "void".

    labelme finds the file of an image by its stem, and the image of a file by ``imagePath``.
    """
    for position, frame in enumerate(masks.frames):
        shapes: list[dict[str, Any]] = []
        for entry, mask in present(masks, masks.labels(position), void=True):
            box, left, top = cropped(mask)
            height, width = box.shape
            code = base64.b64encode(png_text(box.astype(np.uint8))).decode("ascii")
            own = entry.name not in (entry.category, str(entry.id))
            shapes.append(
                {
                    "label": entry.category,
                    "points": [[left, top], [left + width - 1, top + height - 1]],
                    "group_id": None if entry.id == VOID else entry.id,
                    "description": entry.name if own else "",
                    "shape_type": "mask",
                    "flags": {},
                    "mask": code,
                }
            )
        content: dict[str, Any] = {
            "version": "5.4.1",
            "flags": {},
            "shapes": shapes,
            "imagePath": file_name(frame),
            "imageData": None,
            "imageHeight": masks.size[0],
            "imageWidth": masks.size[1],
        }
        write_json(output / f"{file_stem(frame)}.json", content)
    return losses(masks)
