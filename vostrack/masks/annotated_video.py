"""From the annotations of a file to the masks of a whole video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks.annotated_frame import decode, without_boxes
from vostrack.masks.annotation_sense import check_pixels, without_background
from vostrack.masks.annotations import AnnotatedFrame, Annotations, Entry, Size, shortened
from vostrack.masks.palette import VOID
from vostrack.masks.picture_names import numbered_by_pictures, picture_of, stem_of
from vostrack.masks.video_masks import MaskFrame, MaskObject, VideoMasks, class_of
from vostrack.wording import counted

__all__ = ["masks_of_video"]


def masks_of_video(annotations: Annotations, size: Size | None, origin: str) -> VideoMasks:
    """Give each object an id, and read the frames in the order of their numbers.

    The ids are those of the file if they are distinct and in 1..254. Otherwise objects are numbered
    in the order of their first appearance. Objects that the file does not tell apart by a track are
    matched by class, and by their order within the frame.

    Args:
        annotations: what the file contains.
        size: H and W in pixels, if the file states none.
        origin: name of the file in messages.

    Raises:
        InputError: there is no frame, no object or more than 254, frames differ in size, or the
            polygons are not in pixels.
    """
    if not annotations.frames:
        raise InputError(
            f"{origin}: contains no frame, expected at least one; export the masks again"
        )
    annotations = without_background(annotations, origin)
    check_pixels([entry for frame in annotations.frames for entry in frame.entries], origin)
    ordered, recounted = _ordered(annotations.frames, origin)
    frames, notes = _without_boxes(ordered, origin)
    frames, unmatched = _tracked(frames, origin)
    objects, ids, renumbered = _objects(annotations, frames, origin)
    shape = _common_size(frames, size, origin)
    hidden = [0]

    def read(position: int) -> UInt8Array:
        labels, lost = _draw(frames[position].entries, ids, shape, origin)
        hidden[0] += lost
        return labels

    def lost() -> tuple[str, ...]:
        if not hidden[0]:
            return ()
        shared = counted(hidden[0], "pixel")
        return (f"{origin}: the objects share {shared}; the later one got them",)

    return VideoMasks(
        shape,
        _identities(frames, annotations),
        objects,
        read,
        annotations.source,
        annotations.frame_rate,
        notes=(*annotations.notes, *recounted, *notes, *unmatched, *renumbered),
        lost=lost,
    )


def _ordered(
    frames: Sequence[AnnotatedFrame], origin: str
) -> tuple[tuple[AnnotatedFrame, ...], tuple[str, ...]]:
    """Sort frames by their numbers. Where these are unknown or repeat, count the frames."""
    frames = numbered_by_pictures(frames)
    numbers = [frame.number for frame in frames]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return tuple(sorted(frames, key=lambda frame: frame.number or 0)), ()
    counted = tuple(replace(frame, number=k) for k, frame in enumerate(frames))
    if set(numbers) == {None}:
        return counted, ()
    note = f"{origin}: the numbers in the names of frames repeat or are missing; they are counted"
    return counted, (note,)


def _without_boxes(
    frames: Sequence[AnnotatedFrame], origin: str
) -> tuple[tuple[AnnotatedFrame, ...], tuple[str, ...]]:
    count = sum(not entry.has_mask for frame in frames for entry in frame.entries)
    if not count:
        return tuple(frames), ()
    if not any(frame.has_mask for frame in frames):
        for frame in frames:
            if frame.entries:
                without_boxes(frame.entries, origin)
    kept = tuple(
        replace(frame, entries=tuple(e for e in frame.entries if e.has_mask)) for frame in frames
    )
    return kept, (f"{origin}: left out {counted(count, 'box', 'boxes')} without a mask",)


def _tracked(
    frames: Sequence[AnnotatedFrame], origin: str
) -> tuple[tuple[AnnotatedFrame, ...], tuple[str, ...]]:
    """Give a track to entries without one: their class, and their place among those of a class."""
    found, guessed = [], False
    for frame in frames:
        counts: dict[str, int] = {}
        entries = []
        for entry in frame.entries:
            if entry.track is None and not entry.void:
                name = entry.category or entry.name or ""
                counts[name] = counts.get(name, 0) + 1
                entry = replace(entry, track=f"{name} #{counts[name]}", number=None)
                guessed = True
            entries.append(entry)
        found.append(replace(frame, entries=tuple(entries)))
    if not guessed or len(frames) < 2:
        return tuple(found), ()
    return tuple(found), (
        f"{origin}: states no tracks; objects of successive frames are matched by their class and "
        "by their order in the frame",
    )


def _objects(
    annotations: Annotations, frames: Sequence[AnnotatedFrame], origin: str
) -> tuple[tuple[MaskObject, ...], dict[str, int], tuple[str, ...]]:
    """Number the objects: the first entry of a track names it."""
    first: dict[str, Entry] = {}
    for frame in frames:
        for entry in frame.entries:
            if not entry.void and entry.track is not None:
                first.setdefault(entry.track, entry)
    for track, entry in (annotations.objects or {}).items():
        first.setdefault(track, entry)
    if not 0 < len(first) < VOID:
        raise InputError(
            f"{origin}: contains {len(first)} objects, expected 1 to 254; "
            + ("split the video or the file" if first else "mark one")
        )
    numbers = [entry.number for entry in first.values()]
    own = [n for n in numbers if n is not None and 0 < n < VOID]
    keep = len(set(own)) == len(numbers)
    ids = dict(zip(first, own if keep else range(1, len(first) + 1), strict=True))
    objects = []
    for track, entry in first.items():
        number = ids[track]
        name = entry.name or (str(number) if entry.number is None else str(entry.number))
        objects.append(MaskObject(number, name, entry.category or class_of(name, number)))
    stated = [n for n in numbers if n is not None]
    note = (
        f"{origin}: the ids {', '.join(shortened(n, 20) for n in stated[:8])} became 1 to "
        f"{len(first)}",
    )
    changed = bool(stated) and not keep
    return tuple(sorted(objects, key=lambda entry: entry.id)), ids, note * changed


def _common_size(frames: Sequence[AnnotatedFrame], size: Size | None, origin: str) -> Size:
    sizes = {frame.size for frame in frames if frame.size is not None}
    coded = [e for f in frames for e in f.entries if isinstance(e.segmentation, dict)]
    if not sizes and coded:
        height, width = decode(coded[0], size, origin).shape
        sizes = {(height, width)}
    if not sizes and size is not None:
        sizes = {size}
    if len(sizes) == 1:
        return next(iter(sizes))
    if not sizes:
        raise InputError(f"{origin}: states no image size; give that of the video as `size`")
    shown = ", ".join(f"{w}x{h}" for h, w in sorted(sizes)[:4])
    raise InputError(
        f"{origin}: the images have different sizes ({shown}), expected the frames of one video; "
        "convert each video by itself"
    )


def _identities(
    frames: Sequence[AnnotatedFrame], annotations: Annotations
) -> tuple[MaskFrame, ...]:
    """Return names, numbers and image files. A name is kept if it is more than the number."""
    found = []
    for position, frame in enumerate(frames):
        number = position if frame.number is None else frame.number
        stem = stem_of(frame)
        counted = frame.file is None and stem in ("", f"{number:05d}", f"frame {number}")
        name = f"{number:05d}" if counted else stem
        picture = picture_of(frame)
        # Files without a known name of the picture state this one.
        file = None if picture == f"{name}.png" else picture
        found.append(MaskFrame(number, name, frame.time, not counted, file, frame.position))
    if len({frame.name for frame in found}) < len(found):
        return tuple(replace(f, name=f"{f.number:05d}", named=False, file=None) for f in found)
    return tuple(found)


def _draw(
    entries: Sequence[Entry], ids: dict[str, int], size: Size, origin: str
) -> tuple[UInt8Array, int]:
    """Draw the label map of a frame. Also return how many pixels an object lost to a later one."""
    labels = np.zeros(size, dtype=np.uint8)
    lost = 0
    for entry in sorted(entries, key=lambda e: not e.void):
        mask = decode(entry, size, origin)
        if mask.shape != size:
            raise InputError(
                f"{origin}: a mask has size {mask.shape}, expected {size} (height, width) as the "
                "image; export the masks again"
            )
        number = VOID if entry.void or entry.track is None else ids[entry.track]
        covered = labels[mask]
        lost += int(np.count_nonzero((covered != 0) & (covered != VOID) & (covered != number)))
        labels[mask] = number
    return labels, lost
