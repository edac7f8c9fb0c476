"""COCO instances: images, annotations and categories in one JSON file.

Lin et al., "Microsoft COCO: Common Objects in Context" (2014); https://cocodataset.org/#format-data
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from vostrack.masks.formats.listed import of_first_video, of_listed
from vostrack.masks.masks_json_writer import MasksJsonWriter
from vostrack.masks.picture_names import file_or_none, position_or_none
from vostrack.masks.video_masks import VideoMasks

__all__ = [
    "categories_in",
    "entry_of",
    "info_of",
    "names_of",
    "number_of",
    "parse",
    "parse_list",
    "write",
]


def parse(content: Mapping[str, Any], origin: str) -> Annotations:
    """Read a COCO data set, or the file of one image of SA-1B.

    Annotations of one ``track_id`` are one object.

    Raises:
        InputError: there are no annotations with a segmentation, or none of them is of an image
            that the file lists.
    """
    images = content.get("images") or ([content["image"]] if "image" in content else [])
    annotations = content["annotations"]
    whole = isinstance(annotations, list) and all(isinstance(a, dict) for a in annotations)
    some = whole and any("segmentation" in a for a in annotations)
    if not some or not (isinstance(images, list) and all(isinstance(i, dict) for i in images)):
        came = "there is none" if annotations == [] else "some have none"
        raise InputError(
            f"{origin}: expected COCO annotations with a segmentation each, but {came}; export "
            "instance segmentation, not boxes"
        )
    annotations, left_out = of_listed(annotations, images, "image", origin)
    images, notes = _of_one_video(content, images, origin)
    categories = categories_in(content)
    by_image: dict[str, list[Entry]] = {}
    for item in annotations:
        found = item.get("image_id")
        if found is None and len(images) == 1:
            found = images[0].get("id")
        by_image.setdefault(str(found), []).append(
            entry_of(item, item.get("segmentation"), categories)
        )
    frames = [_frame(image, by_image.pop(str(image.get("id")), ()), origin) for image in images]
    if not notes:
        frames += [
            AnnotatedFrame(shortened(key), None, tuple(entries))
            for key, entries in by_image.items()
        ]
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    notes = (*left_out, *notes)
    read = Annotations(tuple(frames), notes=notes, source=shortened(info.get("video") or ""))
    return _of_vostrack(read, info, images) if isinstance(info.get("objects"), list) else read


def _of_one_video(
    content: Mapping[str, Any], images: list[Any], origin: str
) -> tuple[list[Any], tuple[str, ...]]:
    """Return the images of the first video that the file lists, and notes on the others."""
    videos = content.get("videos")
    if not isinstance(videos, list) or not videos or not isinstance(videos[0], dict):
        return images, ()
    if all(image.get("video_id") is None for image in images) and len(videos) == 1:
        return images, ()
    first, others = of_first_video(images, videos, "image", origin)
    if len(videos) == 1:
        return first, (f"{origin}: lists one video{others}",) if others else ()
    name = shortened(videos[0].get("name", videos[0].get("id")))
    note = f"{origin}: contains several videos; the first one, {name}, is used{others}"
    return first, (note,)


def _of_vostrack(read: Annotations, info: Mapping[str, Any], images: list[Any]) -> Annotations:
    """Take what ``masks.json`` states beyond COCO: exact frame numbers, times and all objects."""
    frames = []
    names = names_of(info, len(images))
    for k, (frame, image) in enumerate(zip(read.frames, images, strict=False)):
        number, time = image.get("frame_index"), image.get("time")
        name = names[k] if names else f"frame {shortened(number, 20)}"
        file = file_or_none(image.get("file_name")) or f"{name}.png" if names else None
        time = float(time) if isinstance(time, (int, float)) else None
        position = position_or_none(image.get("position"))
        frames.append(AnnotatedFrame(name, number, frame.entries, frame.size, time, file, position))
    listed = [o for o in info["objects"] if isinstance(o, dict)]
    objects = {
        _track(o.get("id"), o.get("category")): Entry(
            None,
            whole_number(o.get("id")),
            shortened(o.get("name", o.get("id"))),
            category=shortened(o["category"]) if o.get("category") else None,
        )
        for o in listed
    }
    rate = info.get("frame_rate")
    rate = float(rate) if isinstance(rate, (int, float)) and 0 < rate < 1e6 else None
    if any(whole_number(frame.number) is None for frame in frames):
        return read
    return Annotations(
        tuple(frames), counted=True, video=True, notes=read.notes, source=read.source,
        frame_rate=rate, objects=objects,
    )  # fmt: skip


def _frame(image: Mapping[str, Any], entries: Sequence[Entry], origin: str) -> AnnotatedFrame:
    name = shortened(image.get("file_name") or image.get("id"))
    size = check_size(image.get("height"), image.get("width"), origin)
    return AnnotatedFrame(name, number_of(image), tuple(entries), size)


def parse_list(items: Sequence[Mapping[str, Any]], origin: str) -> Annotations:
    """Read a bare list of COCO RLE, or of annotations such as results for COCO.

    Args:
        items: the list.
        origin: name of the file in messages.
    """
    if all("counts" in item for item in items):
        return Annotations((AnnotatedFrame(origin, None, tuple(map(Entry, items))),))
    images: dict[str, list[Entry]] = {}
    named = all("image" in item for item in items)
    for item in items:
        entry = entry_of(item, item.get("segmentation"), {})
        # vostrack propose names its images; the name of a video's frame is its number.
        images.setdefault(str(item.get("image_id", item.get("image", ""))), []).append(entry)
    return Annotations(
        tuple(
            AnnotatedFrame(
                f"{shortened(key, 40)}", number_in(key) if named else None, tuple(entries)
            )
            for key, entries in images.items()
        )
    )


def entry_of(item: Mapping[str, Any], segmentation: Any, categories: Mapping[str, str]) -> Entry:
    """Read the number, the name and the track of an annotation.

    The track's id is preferred to the annotation's id, and a name to the category's name.
    """
    attributes = item.get("attributes")
    given = attributes.get("track_id") if isinstance(attributes, dict) else None
    for key in ("instance_id", "track_id"):
        given = item.get(key, given)
    category = categories.get(str(item.get("category_id")))
    name = item.get("name") or category
    crowd = item.get("iscrowd") in (1, "1") or item.get("ignore") in (1, "1")
    return Entry(
        _plain(segmentation),
        whole_number(item.get("id") if given is None else given),
        shortened(name) if name else None,
        void=crowd,
        track=None if given is None or crowd else _track(given, category),
        category=category,
    )


def _track(number: Any, category: Any) -> str:
    return f"{shortened(number, 40)} {shortened(category or '', 40)}"


def _plain(segmentation: Any) -> Any:
    """Return a polygon that is a single list, or a list of points, as a list of COCO polygons.

    Tables keep it as text with JSON in it.
    """
    if isinstance(segmentation, str) and segmentation.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            segmentation = json.loads(segmentation)
    if not isinstance(segmentation, list) or not segmentation:
        return segmentation
    if not any(isinstance(v, (list, dict)) for v in segmentation):
        return [segmentation]
    if all(isinstance(part, list) and len(part) == 2 for part in segmentation):
        return [[v for part in segmentation for v in part]]
    return [
        [v for point in part for v in point]
        if isinstance(part, list) and part and all(isinstance(point, list) for point in part)
        else part
        for part in segmentation
    ]


def categories_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the categories by their ids, as text."""
    found = content.get("categories") or []
    if not isinstance(found, list):
        return {}
    return {
        str(c.get("id")): shortened(c["name"])
        for c in found
        if isinstance(c, dict) and c.get("name")
    }


def number_of(item: Mapping[str, Any]) -> int | None:
    """Return the number of the frame that an image entry states: in its name or in a field."""
    name = item.get("file_name")
    found = number_in(str(name)) if name else None
    if found is None:
        for key in ("frame_index", "frame_id"):
            if whole_number(item.get(key)) is not None:
                return whole_number(item[key])
    return found


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a file that ``pycocotools.coco.COCO`` loads.

    Annotations of one object have the same ``track_id``. Void is a crowd.
    """
    writer = MasksJsonWriter(
        [entry.id for entry in masks.objects],
        masks.size,
        names={entry.id: entry.name for entry in masks.objects},
        categories={entry.id: entry.category for entry in masks.objects},
        info=info_of(masks),
    )
    for position, frame in enumerate(masks.frames):
        writer.add(frame.number, masks.labels(position), frame)
    writer.save(output)
    return ()


def names_of(info: Any, count: int) -> list[str] | None:
    """Return the own names of the frames; None if they are counted or another tool wrote this."""
    names = info.get("frame_names") if isinstance(info, dict) else None
    if not isinstance(names, list) or len(names) != count:
        return None
    return list(map(shortened, names))


def info_of(masks: VideoMasks) -> dict[str, Any]:
    """Return what is known of the video."""
    info: dict[str, Any] = {"description": "made by vostrack", "video": masks.video}
    info["frame_rate"] = masks.frame_rate
    if any(frame.named for frame in masks.frames):
        info["frame_names"] = [frame.name for frame in masks.frames]
    return info
