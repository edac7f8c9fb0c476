"""Reading a first mask from JSON: ``masks.json``, COCO annotations, or bare COCO RLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.masks_json import load_json, parse_masks_json
from vostrack.masks.palette import VOID
from vostrack.masks.rle import decode_rle, fill_polygons
from vostrack.masks.stack import stack_masks
from vostrack.masks.values import ParsedMask

__all__ = ["read_coco_json"]

Size = tuple[int, int]


@dataclass(frozen=True)
class _Entry:
    """One object of the file: its encoded mask, number and name."""

    segmentation: Any
    number: int | None
    name: str | None


@dataclass(frozen=True)
class _Content:
    entries: Sequence[_Entry]
    size: Size | None = None
    warnings: tuple[str, ...] = ()


def read_coco_json(path: Path, size: Size | None, max_objects: int) -> ParsedMask:
    """Read the objects of one frame.

    The ids are those of the file if they are distinct and in 1..254, otherwise 1..N in file order.

    Args:
        path: the file.
        size: H and W of the video in pixels, for polygons if the file states no size.
        max_objects: maximum number of objects.

    Raises:
        InputError: the JSON is invalid or has another layout, a mask is corrupt, or ``stack_masks``
            rejects the masks.
    """
    loaded = load_json(path)
    try:
        content = _parse(loaded, str(path))
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: the JSON is not laid out as COCO ({error}), expected annotations with "
            "segmentations; export the masks as COCO"
        ) from error
    wanted = content.size or size
    masks = [_decode(entry, wanted, str(path)) for entry in content.entries]
    for mask in masks:
        if mask.shape != masks[0].shape:
            raise InputError(
                f"{path}: masks are of different sizes {masks[0].shape} and {mask.shape} (height, "
                "width), expected one; give the masks of one frame"
            )
    numbers = [entry.number for entry in content.entries]
    own = [n for n in numbers if n is not None and 0 < n < VOID]
    ids = own if len(set(own)) == len(numbers) else list(range(1, len(numbers) + 1))
    names = [
        entry.name or str(entry.number or number)
        for entry, number in zip(content.entries, ids, strict=True)
    ]
    parsed = stack_masks(masks, ids, names, str(path), max_objects)
    return ParsedMask(parsed.labels, parsed.names, (*content.warnings, *parsed.warnings))


def _parse(content: Any, origin: str) -> _Content:
    """Detect the layout."""
    if isinstance(content, dict):
        if "objects" in content:
            return _from_masks_json(content, origin)
        if "annotations" in content:
            return _from_dataset(content, origin)
        content = [content]
    is_list = isinstance(content, list) and all(isinstance(item, dict) for item in content)
    if is_list and all("counts" in item for item in content):
        return _Content([_Entry(item, None, None) for item in content])
    if is_list and all("segmentation" in item for item in content):
        return _Content([_annotation(item, {}) for item in content])
    raise InputError(
        f"{origin}: expected masks.json, COCO annotations, or a list of COCO RLE (size and "
        "counts), got other JSON; export the masks as COCO"
    )


def _from_masks_json(content: Any, origin: str) -> _Content:
    """Read the first frame of ``masks.json``."""
    video = parse_masks_json(content, origin)
    if not video.frames:
        raise InputError(
            f"{origin}: contains no frame, expected at least one; write the file again"
        )
    seen = [track for track in video.objects if track.segmentations[0] is not None]
    absent = [track.name for track in video.objects if track.segmentations[0] is None]
    warnings = []
    if absent:
        warnings.append(
            f"{origin}: left out because not visible in frame {video.frames[0]}: "
            f""
            f"{', '.join(absent)}"
        )
    entries = [_Entry(track.segmentations[0], track.id, track.name) for track in seen]
    return _Content(entries, video.size, tuple(warnings))


def _from_dataset(content: Mapping[str, Any], origin: str) -> _Content:
    """Read the annotations of the first image of a COCO data set."""
    images, annotations = content.get("images") or [], content["annotations"]
    whole = isinstance(annotations, list) and all(
        isinstance(a, dict) and "segmentation" in a for a in annotations
    )
    if not whole or not (isinstance(images, list) and all(isinstance(i, dict) for i in images)):
        raise InputError(
            f"{origin}: expected COCO annotations with a segmentation each, but some have none; "
            "export instance segmentation, not boxes"
        )
    shown = list(dict.fromkeys(a.get("image_id") for a in annotations))
    listed = [i.get("id") for i in images if i.get("id") in shown]
    warnings = []
    if len(shown) > 1:
        first = (listed or shown)[0]
        annotations = [a for a in annotations if a.get("image_id") == first]
        warnings.append(
            f"{origin}: contains masks of {len(shown)} images; only those of image {first} are used"
        )
        images = [i for i in images if i.get("id") == first]
    elif listed:
        images = [i for i in images if i.get("id") == listed[0]]
    height, width = (images[0].get(k) if images else None for k in ("height", "width"))
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    categories = {
        c.get("id"): str(c.get("name")) for c in content.get("categories") or [] if c.get("name")
    }
    return _Content([_annotation(a, categories) for a in annotations], size, tuple(warnings))


def _annotation(item: Mapping[str, Any], categories: Mapping[Any, str]) -> _Entry:
    """Prefer the track's id to the annotation's id, and a name to the category's name."""
    number = item.get("track_id", item.get("id"))
    name = item.get("name") or categories.get(item.get("category_id"))
    return _Entry(
        item["segmentation"],
        number if isinstance(number, int) else None,
        str(name) if name else None,
    )


def _decode(entry: _Entry, size: Size | None, origin: str) -> BoolArray:
    coded = entry.segmentation
    try:
        if isinstance(coded, dict):
            return decode_rle(coded)
        if isinstance(coded, list) and size is not None:
            return fill_polygons(coded, size)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    if isinstance(coded, list):
        raise InputError(
            f"{origin}: polygons need the image size, expected images with height and width, got "
            "none; export the whole COCO file, or use RLE"
        )
    raise InputError(
        f"{origin}: a segmentation is {type(coded).__name__}, expected RLE or polygons; "
        "export the masks as COCO"
    )
