"""Combining one binary mask per object into a label map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.object_count import largest
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.wording import counted

__all__ = ["stack_masks"]


def stack_masks(
    masks: Sequence[BoolArray] | BoolArray,
    ids: Sequence[int],
    names: Sequence[str],
    origin: str,
    max_objects: int,
) -> ParsedMask:
    """Combine the masks of several objects. Where they overlap, the later one wins.

    Args:
        masks: N masks (H, W) bool of the same shape.
        ids: N distinct ids in 1..254.
        names: N names.
        origin: name of the masks in messages.
        max_objects: maximum number of objects.

    Raises:
        InputError: there is no mask or there are too many, a mask is empty, or a mask is completely
            hidden by later ones.
    """
    if len(masks) == 0:
        raise InputError(f"{origin}: contains no object, expected at least one; mark one")
    areas = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
    if len(masks) > max_objects:
        raise InputError(
            f"{origin}: contains {len(masks)} objects, expected at most {max_objects}; the largest "
            f"are {largest(areas, names)}; leave some out, or increase `max_objects` (at most 254)"
        )
    labels = np.zeros(masks[0].shape, dtype=np.uint8)
    hidden = 0
    for mask, number, area, name in zip(masks, ids, areas, names, strict=True):
        if not area:
            raise InputError(
                f"{origin}: the mask of object {name} is empty, expected at least one pixel; "
                "leave it out, or mark it in a frame where it is visible"
            )
        hidden += int(np.count_nonzero(labels[mask]))
        labels[mask] = number
    left = np.bincount(labels.ravel(), minlength=256)
    for number, area, name in zip(ids, areas, names, strict=True):
        if not left[number]:
            raise InputError(
                f"{origin}: later objects cover all {area} pixels of object {name}, expected some "
                "visible pixels; leave out duplicate masks, or put this one after the others"
            )
    warnings = []
    if hidden:
        warnings.append(
            f"{origin}: the masks overlap in {counted(hidden, 'pixel')}; the later object gets them"
        )
    return ParsedMask(labels, dict(zip(ids, names, strict=True)), tuple(warnings))
