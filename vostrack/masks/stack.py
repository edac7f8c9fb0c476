"""One label map from one binary mask an object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.values import ParsedMask, largest

__all__ = ["stack_masks"]


def stack_masks(
    masks: Sequence[BoolArray] | BoolArray,
    ids: Sequence[int],
    names: Sequence[str],
    origin: str,
    max_objects: int,
) -> ParsedMask:
    """Lay the masks of several objects over one another; a later one wins.

    Args:
        masks: N masks (H, W) bool of one shape.
        ids: their N ids in 1..254, distinct.
        names: what to call each.
        origin: what to call them together in messages.
        max_objects: the most objects to accept.

    Raises:
        InputError: none or too many, one is empty, or one is wholly hidden by later ones.
    """
    if len(masks) == 0:
        raise InputError(f"{origin}: holds no object, expected at least one; mark one")
    areas = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)
    if len(masks) > max_objects:
        raise InputError(
            f"{origin}: holds {len(masks)} objects, more than the {max_objects} accepted, of which "
            f"the largest are {largest(areas, names)}; leave some out, or raise the limit with "
            "--max-objects (at most 254)"
        )
    labels = np.zeros(masks[0].shape, dtype=np.uint8)
    hidden = 0
    for mask, number, area, name in zip(masks, ids, areas, names, strict=True):
        if not area:
            raise InputError(
                f"{origin}: the mask of object {name} is empty, expected at least one pixel of it; "
                "leave it out, or mark it in a frame where it is seen"
            )
        hidden += int(np.count_nonzero(labels[mask]))
        labels[mask] = number
    left = np.bincount(labels.ravel(), minlength=256)
    for number, area, name in zip(ids, areas, names, strict=True):
        if not left[number]:
            raise InputError(
                f"{origin}: later objects cover all {area} pixels of object {name}, expected some "
                "of it left to track; leave a doubled mask out, or give this one after the others"
            )
    warnings = []
    if hidden:
        warnings.append(
            f"{origin}: the masks overlap in {hidden} pixels; the object given later has them"
        )
    return ParsedMask(labels, dict(zip(ids, names, strict=True)), tuple(warnings))
