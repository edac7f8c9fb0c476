"""What annotations say that cannot be meant: a size of another video, and shares for pixels.

And which of them are no objects, because their label means background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vostrack.errors import InputError
from vostrack.masks.annotations import Annotations, Entry, Size, shortened
from vostrack.masks.colour_labels import is_background
from vostrack.masks.validation import MaskSizeError
from vostrack.wording import counted

__all__ = ["check_pixels", "check_stated_size", "without_background"]


def check_stated_size(
    entries: Sequence[Entry], stated: Size | None, size: Size | None, origin: str
) -> None:
    """Refuse polygons, and RLE without a size, of images that are no frames of the video.

    Args:
        entries: the objects of a frame.
        stated: H and W of the frame, as the file states them.
        size: H and W of the video, if known.
        origin: name of the file in messages.

    Raises:
        MaskSizeError: the sizes differ, and an object depends on what is stated.
    """
    if stated is None or size is None or stated == size:
        return
    if all(isinstance(e.segmentation, dict) and "size" in e.segmentation for e in entries):
        return
    problem = (
        f"{origin}: states images of {stated[1]}x{stated[0]} pixels (width x height), expected the "
        f"video's {size[1]}x{size[0]}"
    )
    remedy = (
        "width and height are swapped; correct them in the file"
        if stated == size[::-1]
        else "annotate frames of this video at full size, or correct width and height in the file"
    )
    error = MaskSizeError(f"{problem}; {remedy}")
    error.problem = problem
    raise error


def check_pixels(entries: Sequence[Entry], origin: str) -> None:
    """Refuse polygons whose coordinates are shares of the image, from 0 to 1.

    Raises:
        InputError: all polygons lie within the first pixel.
    """
    outlines = [e.segmentation for e in entries if isinstance(e.segmentation, list) and e.has_mask]
    if not outlines or not all(_within_one(part) for parts in outlines for part in parts):
        return
    raise InputError(
        f"{origin}: all coordinates of the polygons lie between 0 and 1, as if they were "
        "normalised, expected pixels; multiply x by the width and y by the height of the image"
    )


def _within_one(polygon: object) -> bool:
    if not isinstance(polygon, list):
        return False
    try:
        return all(0 <= float(v) <= 1 for v in polygon)
    except (TypeError, ValueError):
        return False


def without_background(annotations: Annotations, origin: str) -> Annotations:
    """Leave out what is labelled as background; a note says so.

    A file of our own is left as it is: what it lists was tracked, however the user called it.

    Raises:
        InputError: nothing else is annotated.
    """
    if annotations.counted and annotations.objects is not None:
        return annotations
    found = [e.category for f in annotations.frames for e in f.entries if _is_background(e)]
    if not found:
        return annotations
    name = shortened(found[0], 40)
    frames = tuple(
        replace(frame, entries=tuple(e for e in frame.entries if not _is_background(e)))
        for frame in annotations.frames
    )
    if not any(frame.entries for frame in frames):
        raise InputError(
            f"{origin}: everything is labelled {name}, expected at least one object; give the "
            "objects a label of their own"
        )
    objects = annotations.objects
    if objects is not None:
        objects = {track: e for track, e in objects.items() if not _is_background(e)}
    note = (
        f"{origin}: {counted(len(found), 'annotation')} labelled {name} "
        f"{'is' if len(found) == 1 else 'are'} background and no object"
    )
    return replace(annotations, frames=frames, objects=objects).noted(note)


def _is_background(entry: Entry) -> bool:
    return not entry.void and entry.category is not None and is_background(entry.category)
