"""Reading a first mask from JSON: ``masks.json``, YouTube-VIS, COCO annotations, or COCO RLE."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.frame_names import VideoFrames
from vostrack.masks.json_entries import Content, Entry, Size, shortened
from vostrack.masks.json_layouts import parse_layout
from vostrack.masks.masks_json import load_json
from vostrack.masks.palette import VOID
from vostrack.masks.rle import decode_rle, fill_polygons
from vostrack.masks.stack import stack_masks
from vostrack.masks.values import ParsedMask

__all__ = ["read_coco_json"]


def read_coco_json(
    path: Path, size: Size | None, max_objects: int, frames: VideoFrames | None = None
) -> ParsedMask:
    """Read the objects of one frame.

    The ids are those of the file if they are distinct and in 1..254, otherwise 1..N in file order.
    Regions that COCO marks as crowds are void.

    Args:
        path: the file.
        size: H and W of the video in pixels, for polygons if the file states no size.
        max_objects: maximum number of objects.
        frames: the frames of the video; one of them is chosen.

    Raises:
        InputError: the JSON is invalid or has another layout, a mask is corrupt, or ``stack_masks``
            rejects the masks.
    """
    loaded, origin = load_json(path), str(path)
    try:
        content = parse_layout(loaded, frames or VideoFrames(), origin)
        return _combined(content, size, max_objects, origin)
    except InputError:
        raise
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError, IndexError) as error:
        raise InputError(
            f"{path}: the JSON is not laid out as COCO ({shortened(error)}), expected annotations "
            "with segmentations; export the masks as COCO"
        ) from error


def _combined(content: Content, size: Size | None, limit: int, origin: str) -> ParsedMask:
    wanted = content.size or size
    entries, crowds, notes = _crowds(content, origin)
    masks = [_decode(entry, wanted, origin) for entry in entries]
    ignored = [_decode(entry, wanted, origin) for entry in crowds]
    for mask in masks + ignored:
        if mask.shape != masks[0].shape:
            raise InputError(
                f"{origin}: masks are of different sizes {masks[0].shape} and {mask.shape} "
                "(height, width), expected one; give the masks of one frame"
            )
    numbers = [entry.number for entry in entries]
    own = [n for n in numbers if n is not None and 0 < n < VOID]
    ids = own if len(set(own)) == len(numbers) else list(range(1, len(numbers) + 1))
    names = [
        entry.name or shortened(entry.number or number, 20)
        for entry, number in zip(entries, ids, strict=True)
    ]
    parsed = stack_masks(masks, ids, names, origin, limit)
    if ignored:
        void = np.logical_or.reduce(ignored) & (parsed.labels == 0)
        parsed.labels[void] = VOID
        notes += (
            f"{origin}: {np.count_nonzero(void)} pixels of {len(ignored)} crowd regions (iscrowd) "
            "are void",
        )
    return replace(parsed, frame=content.frame).noted(*content.warnings, *notes)


def _crowds(content: Content, origin: str) -> tuple[list[Entry], list[Entry], tuple[str, ...]]:
    """Separate the objects from the regions to ignore."""
    entries = [entry for entry in content.entries if not entry.void]
    crowds = [entry for entry in content.entries if entry.void]
    if crowds and not entries:
        # Some tools mark every mask that was painted with a brush.
        return (
            crowds,
            [],
            (
                f"{origin}: every annotation is marked as a crowd (iscrowd); they are read as "
                "objects",
            ),
        )
    return entries, crowds, ()


def _decode(entry: Entry, size: Size | None, origin: str) -> BoolArray:
    coded = entry.segmentation
    try:
        if isinstance(coded, dict):
            return decode_rle(coded)
        if isinstance(coded, list) and size is not None:
            return fill_polygons([part for part in coded if part != []], size)
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
