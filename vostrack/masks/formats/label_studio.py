"""Label Studio: tasks of images with brush masks, bitmasks, polygons and ellipses, as JSON.

https://labelstud.io/guide/export. Places are in percent of the image. Both JSON and JSON-MIN are
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from vostrack.masks.annotations import (
    AnnotatedFrame,
    Annotations,
    Entry,
    Size,
    check_size,
    number_in,
    shortened,
)
from vostrack.masks.formats.json_file import write_json
from vostrack.masks.formats.label_studio_rle import decode_brush, encode_brush
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.shapes import crop, ellipse, picture, points_of
from vostrack.masks.video_masks import VideoMasks, file_name, present

__all__ = ["is_layout", "parse", "write"]

_OWN = re.compile(r"object-(\d{1,3})")
_VOID = frozenset({"void", "ignore"})


def is_layout(content: Any) -> bool:
    """Tell whether parsed JSON is an export of Label Studio."""
    task: Any = content[0] if isinstance(content, list) and content else content
    if not isinstance(task, dict):
        return False
    found = _annotations(task)
    if found and isinstance(found[0], dict) and "result" in found[0]:
        return True
    return bool(_minimal(task))


def parse(content: Any, origin: str) -> Annotations:
    """Read the tasks of an export; each image is a frame.

    Raises:
        InputError: a region is damaged.
    """
    tasks = content if isinstance(content, list) else [content]
    frames = [_frame(task, origin) for task in tasks if isinstance(task, dict)]
    of_video = any("video" in (task.get("data") or {}) for task in tasks if isinstance(task, dict))
    if of_video:
        frames = [
            AnnotatedFrame(
                "frame 0", 0, tuple(e for f in frames for e in f.entries), frames[0].size
            )
        ]
    return Annotations(tuple(frames))


def _annotations(task: Mapping[str, Any]) -> list[Any]:
    """Return the annotations of a task that were not cancelled, or else its predictions."""
    for key in ("annotations", "completions", "predictions"):
        found = task.get(key)
        if isinstance(found, list):
            kept = [a for a in found if not (isinstance(a, dict) and a.get("was_cancelled"))]
            if kept:
                return kept
    return []


def _minimal(task: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the regions of a task in JSON-MIN, each with the name of its control."""
    return [
        (name, item)
        for name, value in task.items()
        if isinstance(value, list)
        for item in value
        if isinstance(item, dict) and "original_width" in item
    ]


def _frame(task: Mapping[str, Any], origin: str) -> AnnotatedFrame:
    data = task.get("data")
    data = data if isinstance(data, dict) else task
    address = next((v for v in data.values() if isinstance(v, str) and "." in v), "")
    name = _file_of(address) or f"task {shortened(task.get('id', '1'), 20)}"
    found = _annotations(task)
    regions: Iterable[Mapping[str, Any]] = (
        _joined(found[0].get("result") or []) if found else map(_of_minimal, _minimal(task))
    )
    entries, size = [], None
    for region in regions:
        here = check_size(region.get("original_height"), region.get("original_width"), origin)
        size = size or here
        entries.append(_entry(region, here))
    return AnnotatedFrame(shortened(name), number_in(name), tuple(entries), size)


def _file_of(address: str) -> str:
    """Return the name of an image file in an address, without what an upload put before it."""
    name = re.split(r"[/\\=]", unquote(address))[-1].split("?")[0]
    return re.sub(r"^[0-9a-f]{8}-", "", name)


def _joined(result: list[Any]) -> list[dict[str, Any]]:
    """Join the shape and the labels of a region, which some configurations keep apart."""
    regions: dict[str, dict[str, Any]] = {}
    for position, item in enumerate(result):
        if not isinstance(item, dict) or not isinstance(item.get("value"), dict):
            continue
        key = str(item.get("id", position))
        known = regions.get(key)
        if known is None:
            regions[key] = {**item, "value": dict(item["value"])}
        else:
            for name, value in item["value"].items():
                known["value"].setdefault(name, value)
    return [r for r in regions.values() if str(r.get("type", "")) not in ("choices", "textarea")]


def _of_minimal(item: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**item[1], "value": item[1]}


def _entry(region: Mapping[str, Any], size: Size | None) -> Entry:
    value = region["value"]
    label = next(
        (
            shortened(labels[0])
            for key, labels in value.items()
            if key.endswith("labels") and isinstance(labels, list) and labels
        ),
        "object",
    )
    own = _OWN.fullmatch(str(region.get("id", "")))
    number = int(own[1]) if own else None
    meta = region.get("meta")
    texts = meta.get("text") if isinstance(meta, dict) else None
    name = shortened(texts[0]) if own and isinstance(texts, list) and texts else label
    void = label.casefold() in _VOID
    track = own[0] if own and not void else None
    segmentation = None if size is None else _segmentation(value, size)
    return Entry(segmentation, number, name, void, track, label)


def _segmentation(value: Mapping[str, Any], size: Size) -> Any:
    height, width = size
    if "rle" in value:
        return lambda _: decode_brush(value["rle"], size)
    if "imageDataURL" in value:
        return crop(picture(value["imageDataURL"]), 0, 0)
    if isinstance(value.get("points"), list):
        points = points_of(value["points"])
        return [[v for x, y in points for v in (x * width / 100, y * height / 100)]]
    if "radiusX" in value:
        x, y, across, down = (float(value[key]) for key in ("x", "y", "radiusX", "radiusY"))
        radii = (across * width / 100, down * height / 100)
        centre = [(x * width / 100, y * height / 100)]
        return ellipse(centre, radii, float(value.get("rotation") or 0))
    return None


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a task for each frame, with a brush region for each object.

    The id of a region is ``object-ID``, and its note is the name of the object.
    """
    tasks = []
    for position, frame in enumerate(masks.frames):
        result = [
            {
                "id": f"object-{entry.id}",
                "type": "brushlabels",
                "from_name": "tag",
                "to_name": "image",
                "origin": "manual",
                "image_rotation": 0,
                "original_width": masks.size[1],
                "original_height": masks.size[0],
                "meta": {"text": [entry.name]},
                "value": {
                    "format": "rle",
                    "rle": encode_brush(mask),
                    "brushlabels": [entry.category],
                },
            }
            for entry, mask in present(masks, masks.labels(position), void=True)
        ]
        tasks.append({"data": {"image": file_name(frame)}, "annotations": [{"result": result}]})
    write_json(output, tasks)
    return losses(masks)
