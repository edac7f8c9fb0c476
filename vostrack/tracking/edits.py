"""Adding, removing and correcting objects: what becomes of the label maps."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import SupportsIndex

import cv2
import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.tracking.frame_input import VOID, resized
from vostrack.tracking.object_table import ObjectTable

__all__ = ["Edit", "add", "check_pixels_left", "correct", "given_ids", "remove", "whole_ids"]


@dataclass(frozen=True)
class Edit:
    """The objects of a frame after a change.

    Attributes:
        objects: the objects.
        slots: (h, w) uint8, the label map of slots at the working size.
        labels: (H, W) uint8, the label map of ids at the frame's size.
        before: the earlier slot of each object; None if it is new or corrected.
        void: (h, w) bool, where the given mask says nothing; None where no mask was given.
        changed: the slots of the new or corrected objects.
    """

    objects: ObjectTable
    slots: UInt8Array
    labels: UInt8Array
    before: tuple[int | None, ...]
    void: BoolArray | None = None

    @property
    def learned(self) -> UInt8Array:
        """The label map (h, w) of slots to learn from, 255 where the given mask says nothing."""
        if self.void is None:
            return self.slots
        return np.where(self.void, np.uint8(VOID), self.slots)

    @property
    def changed(self) -> list[int]:
        """The slots of the objects that are new or corrected."""
        return [slot for slot, old in enumerate(self.before, start=1) if old is None]


def given_ids(labels: UInt8Array) -> tuple[int, ...]:
    """Return the object ids in a label map, ascending."""
    counts = np.bincount(labels.ravel(), minlength=VOID)[1:VOID]
    return tuple((np.flatnonzero(counts) + 1).tolist())


def whole_ids(call: str, ids: Iterable[SupportsIndex]) -> list[int]:
    """Return object ids as Python's integers: saved states hold no others.

    Args:
        call: what they were given to.
        ids: integers of any kind.

    Raises:
        InputError: these are no integers.
    """
    try:
        found = list(ids)
        if any(isinstance(i, bool) for i in found):
            raise TypeError("True is no id, though it counts as 1")
        return [operator.index(i) for i in found]
    except TypeError as error:
        raise InputError(
            f"{call}: expected a list of object ids such as [1, 2], got {ids!r}; put a single id "
            "into a list, too"
        ) from error


def check_pixels_left(slots: UInt8Array, objects: ObjectTable, wanted: Sequence[int]) -> None:
    """Check that objects have pixels at the working size.

    Args:
        slots: (h, w) uint8, the label map at the working size.
        objects: the objects.
        wanted: the slots that must have a pixel.

    Raises:
        InputError: one has none.
    """
    for slot in wanted:
        if not (slots == slot).any():
            height, width = slots.shape
            raise InputError(
                f"mask: object {objects.ids[slot - 1]} has no pixel left at the working size of "
                f"{width} x {height}; increase `max_size` or leave out the object"
            )


def add(
    objects: ObjectTable,
    slots: UInt8Array,
    labels: UInt8Array,
    mask: UInt8Array,
    removed: Collection[int],
) -> Edit:
    """Add the objects of a mask. Their pixels are taken from the other objects.

    Args:
        objects: the present objects.
        slots: (h, w) uint8, their label map at the working size.
        labels: (H, W) uint8, their label map of ids.
        mask: (H, W) uint8, the ids of the new objects; 255 says nothing.
        removed: ids that must not be used again.

    Raises:
        InputError: an id is in use or was removed, or an object has no pixel at the working size.
    """
    ids = given_ids(mask)
    for number in ids:
        if number in objects:
            raise InputError(
                f"add_objects: object {number} is tracked already; give the new object another "
                "id, or call `correct` to change the mask of a tracked object"
            )
        if number in removed:
            raise InputError(
                f"add_objects: the id {number} belonged to an object that was removed; give the "
                "new object another id, or allow it with `reuse_ids=True`"
            )
    edit = _with_mask(objects.add(ids), slots, labels, np.isin(mask, ids) * mask)
    before = (*range(1, len(objects) + 1), *[None] * len(ids))
    check_pixels_left(edit.slots, edit.objects, range(len(objects) + 1, len(before) + 1))
    return replace(edit, before=before, void=_void(mask, slots))


def correct(
    objects: ObjectTable,
    slots: UInt8Array,
    labels: UInt8Array,
    mask: UInt8Array,
    ids: Iterable[SupportsIndex] | None,
) -> Edit:
    """Replace the masks of some objects.

    Args:
        objects: the present objects.
        slots: (h, w) uint8, their label map at the working size.
        labels: (H, W) uint8, their label map of ids.
        mask: (H, W) uint8, ids; those outside ``ids`` and 255 say nothing.
        ids: the objects to correct; None for those in the mask.

    Raises:
        InputError: no object has one of the ids, there is none, or an object of the mask has no
            pixel at the working size.
    """
    wanted = given_ids(mask) if ids is None else tuple(dict.fromkeys(whole_ids("correct", ids)))
    if not wanted:
        raise InputError(
            "correct: the mask has no object; name an object that is not in this frame with `ids`"
        )
    for number in wanted:
        if number not in objects:
            raise InputError(
                f"correct: object {number} is not tracked, expected one of {list(objects.ids)}; "
                "call `add_objects` for a new object"
            )
    given = np.isin(mask, wanted) * mask
    numbers = [objects.slot(number) for number in wanted]
    kept_slots = np.where(np.isin(slots, numbers), 0, slots).astype(np.uint8)
    kept_labels = np.where(np.isin(labels, wanted), 0, labels).astype(np.uint8)
    edit = _with_mask(objects, kept_slots, kept_labels, given)
    check_pixels_left(edit.slots, objects, [objects.slot(i) for i in given_ids(given)])
    every = range(1, len(objects) + 1)
    before = tuple(None if slot in numbers else slot for slot in every)
    return replace(edit, before=before, void=_void(mask, slots))


def remove(objects: ObjectTable, slots: UInt8Array, labels: UInt8Array, ids: Sequence[int]) -> Edit:
    """Remove objects; their pixels become background.

    Raises:
        InputError: no object has one of the ids.
    """
    gone = [objects.slot(number) for number in ids]
    kept = [slot for slot in range(1, len(objects) + 1) if slot not in gone]
    table = np.zeros(256, np.uint8)
    table[kept] = np.arange(1, len(kept) + 1)
    left = np.where(np.isin(labels, list(ids)), 0, labels).astype(np.uint8)
    return Edit(objects.remove(ids), table[slots], left, tuple(kept))


def _void(mask: UInt8Array, slots: UInt8Array) -> BoolArray | None:
    """Return where a mask (H, W) is void, at the size of ``slots``; None where it is nowhere."""
    void = mask == VOID
    if not void.any():
        return None
    small: BoolArray = resized(void.astype(np.uint8), slots.shape, cv2.INTER_NEAREST) > 0
    return small


def _with_mask(
    objects: ObjectTable, slots: UInt8Array, labels: UInt8Array, mask: UInt8Array
) -> Edit:
    """Put a mask (H, W) of ids over label maps."""
    small = resized(objects.to_slots(mask), slots.shape, cv2.INTER_NEAREST)
    return Edit(objects, np.where(small > 0, small, slots), np.where(mask > 0, mask, labels), ())
