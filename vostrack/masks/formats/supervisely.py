"""Supervisely: projects and files of images and videos, with bitmaps and polygons.

https://docs.supervisely.com/data-organization/00_ann_format_navi. A bitmap is a PNG at a place of
the image, compressed with zlib and in base64.
"""

from __future__ import annotations

import base64
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
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
from vostrack.masks.formats.losses import frame_positions, losses
from vostrack.masks.formats.shapes import crop, cropped, outline, picture, png_text, points_of
from vostrack.masks.palette import VOID, davis_palette
from vostrack.masks.video_masks import VideoMasks, present

__all__ = ["is_image", "is_project", "is_video", "parse_image", "parse_video", "write"]

_VOID = frozenset({"void", "ignore"})
_DATASET = "dataset"


def is_project(folder: Path) -> bool:
    """Tell whether a folder is a project."""
    return (folder / "meta.json").is_file() and any(folder.glob("*/ann"))


def is_video(content: Any) -> bool:
    """Tell whether parsed JSON is the file of a video."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("frames"), list)
        and isinstance(content.get("objects"), list)
        and isinstance(content.get("size"), dict)
    )


def is_image(content: Any) -> bool:
    """Tell whether parsed JSON is the file of an image."""
    objects = content.get("objects") if isinstance(content, dict) else None
    first: Any = objects[0] if isinstance(objects, list) and objects else None
    return isinstance(first, dict) and ("geometryType" in first or "classTitle" in first)


def parse_image(content: Mapping[str, Any], origin: str) -> AnnotatedFrame:
    """Read the objects of one image.

    Raises:
        InputError: an object is damaged.
    """
    size = content.get("size") or {}
    name = Path(origin).name.removesuffix(".json")
    entries = tuple(_entry(item, item, item.get("classTitle"), None) for item in content["objects"])
    return AnnotatedFrame(
        shortened(name),
        number_in(name),
        entries,
        check_size(size.get("height"), size.get("width"), origin),
    )


def parse_video(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read the figures of a video.

    Raises:
        InputError: a figure is damaged.
    """
    size = content["size"]
    shape = check_size(size.get("height"), size.get("width"), origin)
    objects = {_key(o): o for o in content["objects"]}
    frames: dict[int, list[Entry]] = {}
    for frame in content["frames"]:
        number = whole_number(frame.get("index"))
        if number is None or not 0 <= number < 1 << 24:
            raise InputError(
                f"{origin}: a frame states the index {shortened(frame.get('index'), 20)}, expected "
                "a number from 0; export the video again"
            )
        for figure in frame.get("figures") or ():
            key = str(figure.get("objectKey") or figure.get("objectId"))
            owner = objects.get(key, {})
            geometry = figure.get("geometry") or {}
            kind = figure.get("geometryType")
            frames.setdefault(number, []).append(
                _entry(owner, {"geometryType": kind, **geometry}, owner.get("classTitle"), key)
            )
    count = whole_number(content.get("framesCount")) or 0
    last = max([count - 1 if count < 1 << 20 else 0, *frames, 0])
    listed = {
        key: _entry(item, {}, item.get("classTitle"), key)
        for key, item in objects.items()
        if str(item.get("classTitle")).casefold() not in _VOID
    }
    return Annotations(
        tuple(
            AnnotatedFrame(f"frame {n}", n, tuple(frames.get(n, ())), shape)
            for n in range(last + 1)
        ),
        counted=True,
        positions=True,
        video=True,
        source=shortened(content.get("videoName") or Path(origin).name.removesuffix(".json")),
        objects=listed,
    )


def _key(item: Mapping[str, Any]) -> str:
    return str(item.get("key") or item.get("id"))


def _name(item: Mapping[str, Any]) -> str | None:
    """Return the value of the tag "name" of an object."""
    for tag in item.get("tags") or ():
        if isinstance(tag, dict) and tag.get("name") == "name" and tag.get("value"):
            return shortened(tag["value"])
    return None


def _number(item: Mapping[str, Any]) -> int | None:
    """Return the value of the tag "id" of an object."""
    for tag in item.get("tags") or ():
        if isinstance(tag, dict) and tag.get("name") == "id":
            return whole_number(tag.get("value"))
    return None


def _entry(
    owner: Mapping[str, Any], figure: Mapping[str, Any], title: Any, track: str | None
) -> Entry:
    label = shortened(title or "object")
    void = label.casefold() in _VOID
    name = _name(owner) or label
    own = None if void else track
    return Entry(_segmentation(figure), _number(owner), name, void, own, label)


def _segmentation(figure: Mapping[str, Any]) -> Any:
    kind = figure.get("geometryType")
    if kind == "polygon":
        points = figure["points"]
        inside = [points_of(hole) for hole in points.get("interior") or ()]
        return outline([points_of(points["exterior"])], inside)
    if kind in ("bitmap", "alpha_mask") and isinstance(figure.get("bitmap"), dict):
        left, top = (whole_number(n) or 0 for n in figure["bitmap"]["origin"])
        return crop(picture(figure["bitmap"].get("data"), packed=True), left, top)
    return None


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a project of one video: ``meta.json`` and ``dataset/ann/VIDEO.json``.

    The tags "id" and "name" of an object hold its id and its name. Void is an object of class void.
    """
    positions = frame_positions(masks.frames)
    video = Path(masks.video).name or "video.mp4"
    keys = {entry.id: _hex(video, entry.id) for entry in masks.objects}
    frames, void = [], False
    for k, index in enumerate(positions):
        figures = []
        for entry, mask in present(masks, masks.labels(k), void=True):
            void = void or entry.id == VOID
            key = keys.setdefault(entry.id, _hex(video, entry.id))
            figures.append(
                {
                    "key": _hex(video, entry.id, index),
                    "objectKey": key,
                    "geometryType": "bitmap",
                    "geometry": {"bitmap": _bitmap(mask)},
                }
            )
        frames.append({"index": index, "figures": figures})
    objects = [
        {
            "key": keys[entry.id],
            "classTitle": entry.category,
            "tags": [
                {"name": "id", "value": entry.id, "key": _hex(video, entry.id, "id")},
                {"name": "name", "value": entry.name, "key": _hex(video, entry.id, "name")},
            ],
        }
        for entry in masks.objects
    ]
    if void:
        objects.append({"key": keys[VOID], "classTitle": "void", "tags": []})
    content = {
        "size": {"height": masks.size[0], "width": masks.size[1]},
        "description": "",
        "key": _hex(video),
        "tags": [],
        "objects": objects,
        "frames": frames,
        "framesCount": max(positions) + 1,
    }
    titles = [*masks.categories, *(["void"] if void else [])]
    write_json(output / "meta.json", _meta(titles))
    write_json(output / _DATASET / "ann" / f"{video}.json", content)
    return losses(
        masks, frame_names=True, others=[f"the video: add it as {_DATASET}/video/{video}"]
    )


def _bitmap(mask: BoolArray) -> dict[str, Any]:
    box, left, top = cropped(mask)
    packed = zlib.compress(png_text(box.astype(np.uint8), transparency=True))
    return {"data": base64.b64encode(packed).decode("ascii"), "origin": [left, top]}


def _hex(*parts: object) -> str:
    """Return a key that is the same each time the same video is written."""
    return uuid.uuid5(uuid.NAMESPACE_OID, " ".join(map(str, parts))).hex


def _meta(titles: list[str]) -> dict[str, Any]:
    colours = davis_palette()[1:]
    return {
        "classes": [
            {"title": title, "shape": "bitmap", "color": "#{:02X}{:02X}{:02X}".format(*colours[k])}
            for k, title in enumerate(titles)
        ],
        "tags": [
            {"name": "id", "value_type": "any_number", "color": "#808080"},
            {"name": "name", "value_type": "any_string", "color": "#404040"},
        ],
        "projectType": "videos",
    }
