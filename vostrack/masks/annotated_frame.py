"""From annotations to a mask: one frame for the first mask, or all of them for a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.annotation_sense import (
    check_pixels,
    check_stated_size,
    without_background,
)
from vostrack.masks.annotations import AnnotatedFrame, Annotations, Entry, Size, shortened
from vostrack.masks.frame_choice import choose_frame
from vostrack.masks.frame_names import VideoFrames
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.masks.picture_names import numbered_by_pictures
from vostrack.masks.rle import decode_rle, fill_polygons
from vostrack.masks.stack import stack_masks
from vostrack.wording import counted

__all__ = ["decode", "mask_of_a_frame", "without_boxes"]


def mask_of_a_frame(
    annotations: Annotations,
    size: Size | None,
    max_objects: int,
    frames: VideoFrames,
    origin: str,
) -> ParsedMask:
    """Return the mask of the frame that the user asked for, or of the first one.

    The ids are those of the file if they are distinct and in 1..254, otherwise 1..N in file order.
    Regions to ignore are void.

    Args:
        annotations: what the file contains.
        size: H and W of the video in pixels, for polygons if the file states no size.
        max_objects: maximum number of objects.
        frames: the frames of the video.
        origin: name of the file in messages.

    Raises:
        MaskSizeError: the file states another size than that of the video.
        InputError: the frame cannot be told, a mask is corrupt or not in pixels, or ``stack_masks``
            rejects the masks.
    """
    annotations = without_background(annotations, origin)
    every = _numbered(annotations, frames)
    marked = [f for f in every if f.has_mask] or [f for f in every if f.entries]
    if not marked:
        raise InputError(f"{origin}: contains no object, expected at least one; mark one")
    listed = [frame.number for frame in every]
    found, number, notes = choose_frame(marked, listed, frames, origin, counted=annotations.counted)
    # A file of a whole video has many frames; there is nothing to say about the first.
    asked_for = number == frames.wanted or found.number == frames.wanted
    if annotations.video and (asked_for or not len(frames.numbers)):
        notes = ()
    entries, boxes = without_boxes(found.entries, origin)
    notes += (*boxes, *_absent(annotations, found, entries, origin))
    check_pixels(entries, origin)
    check_stated_size(entries, found.size, size, origin)
    parsed = _combined(entries, found.size or size, max_objects, origin)
    return replace(parsed, frame=number).noted(*annotations.notes, *notes)


def _numbered(annotations: Annotations, frames: VideoFrames) -> tuple[AnnotatedFrame, ...]:
    """Return the frames by the numbers of the video, where its frames have names."""
    if not (frames.named and len(frames.numbers)):
        return annotations.frames
    if not annotations.positions:
        return numbered_by_pictures(annotations.frames)
    numbers = frames.whole or frames.numbers
    return tuple(
        replace(frame, number=numbers[frame.number])
        for frame in annotations.frames
        if frame.number is not None and 0 <= frame.number < len(numbers)
    )


def without_boxes(
    entries: Sequence[Entry], origin: str
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Leave out the entries that are boxes or points.

    Raises:
        InputError: all of them are.
    """
    boxes = [entry.called(k) for k, entry in enumerate(entries) if not entry.has_mask]
    if not boxes:
        return tuple(entries), ()
    if len(boxes) == len(entries):
        raise InputError(
            f"{origin}: the segmentations are empty, expected polygons or RLE, got only boxes; "
            "export instance segmentation, not boxes"
        )
    return tuple(entry for entry in entries if entry.has_mask), (
        f"{origin}: annotations without a mask (their segmentation is empty) are left out: "
        f"{', '.join(boxes[:8])}; draw polygons or masks in place of boxes to track them",
    )


def _absent(
    annotations: Annotations, found: AnnotatedFrame, entries: Sequence[Entry], origin: str
) -> tuple[str, ...]:
    """Name the objects of the video that the frame does not show."""
    if not annotations.video:
        return ()
    names: dict[str | None, str] = {}
    for frame in annotations.frames:
        for entry in frame.entries:
            if not entry.void:
                names.setdefault(entry.track, entry.name or entry.track or "")
    for track, entry in (annotations.objects or {}).items():
        names.setdefault(track, entry.name or track)
    here = {entry.track for entry in entries}
    absent = [shortened(name, 40) for track, name in names.items() if track not in here]
    if not absent:
        return ()
    return (
        f"{origin}: left out because not visible in {found.name}: {', '.join(absent[:8])}"
        f"{', ...' if len(absent) > 8 else ''}",
    )


def _combined(entries: Sequence[Entry], wanted: Size | None, limit: int, origin: str) -> ParsedMask:
    entries, crowds, notes = _crowds(entries, origin)
    masks = [decode(entry, wanted, origin) for entry in entries]
    ignored = [decode(entry, wanted, origin) for entry in crowds]
    for mask in masks + ignored:
        if mask.shape != masks[0].shape:
            raise InputError(
                f"{origin}: masks are of different sizes {masks[0].shape} and {mask.shape} "
                "(height, width), expected one; give the masks of one frame"
            )
    entries, masks = _merged(entries, masks)
    numbers = [entry.number for entry in entries]
    own = [n for n in numbers if n is not None and 0 < n < VOID]
    ids = own if len(set(own)) == len(numbers) else list(range(1, len(numbers) + 1))
    names = [
        entry.name or shortened(entry.number or number, 20)
        for entry, number in zip(entries, ids, strict=True)
    ]
    # Numbers of annotations are none of objects: only those of tracks count in other frames.
    stated = ids == numbers and not any(entry.track is None and entry.name for entry in entries)
    parsed = replace(
        stack_masks(masks, ids, names, origin, limit),
        known_by="ids" if stated else "names",
        identities=({i: e.track for i, e in zip(ids, entries, strict=True) if e.track},),
    )
    if ignored:
        void = np.logical_or.reduce(ignored) & (parsed.labels == 0)
        parsed.labels[void] = VOID
        regions = counted(len(ignored), "region")
        notes += (
            f"{origin}: {np.count_nonzero(void)} pixels of {regions} to ignore (iscrowd, or class "
            "10 of MOTS) are void",
        )
    return parsed.noted(*notes)


def _merged(
    entries: Sequence[Entry], masks: list[BoolArray]
) -> tuple[list[Entry], list[BoolArray]]:
    """Unite the parts of one object: entries of the same track."""
    kept: list[Entry] = []
    united: list[BoolArray] = []
    places: dict[str, int] = {}
    for entry, mask in zip(entries, masks, strict=True):
        if entry.track is not None and entry.track in places:
            united[places[entry.track]] = united[places[entry.track]] | mask
            continue
        if entry.track is not None:
            places[entry.track] = len(kept)
        kept.append(entry)
        united.append(mask)
    return kept, united


def _crowds(
    entries: Sequence[Entry], origin: str
) -> tuple[list[Entry], list[Entry], tuple[str, ...]]:
    """Separate the objects from the regions to ignore."""
    objects = [entry for entry in entries if not entry.void]
    crowds = [entry for entry in entries if entry.void]
    if crowds and not objects:
        # Some tools mark every mask that was painted with a brush.
        note = (
            f"{origin}: every annotation is marked as a crowd (iscrowd); they are read as objects"
        )
        return crowds, [], (note,)
    return objects, crowds, ()


def decode(entry: Entry, size: Size | None, origin: str) -> BoolArray:
    """Draw the mask of an entry.

    Args:
        entry: the object.
        size: H and W of its frame in pixels, if known.
        origin: name of the file in messages.

    Returns:
        (H, W) bool.

    Raises:
        InputError: the mask is corrupt, or the size is needed and not known.
    """
    coded = entry.segmentation
    try:
        if callable(coded):
            filled: BoolArray = coded(size)
            return filled
        if isinstance(coded, dict):
            return decode_rle(coded if "size" in coded or size is None else coded | {"size": size})
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
