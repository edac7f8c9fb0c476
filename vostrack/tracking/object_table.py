"""Mapping between the user's object ids and tensor positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError

__all__ = ["ObjectTable"]


_VOID = 255
_UNKNOWN = -1


@dataclass(frozen=True)
class ObjectTable:
    """Mapping between object ids and slots.

    An *id* (1..254) is the user's number for an object and never changes. A *slot* (1..N) is the
    object's position in arrays: channel ``slot - 1``. Label maps of both kinds use 0 for background
    and 255 for void. A table is immutable: ``add`` and ``remove`` return a new one.

    Attributes:
        ids: the id of each slot, in the order of the slots.
        names: the name of each object; by default its id.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...] = ()
    _slot_of_id: NDArray[np.int16] = field(init=False, repr=False, compare=False)
    _id_of_slot: NDArray[np.int16] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the ids and build both lookup tables.

        Raises:
            InputError: an id is outside 1..254 or repeated, or the number of names differs.
        """
        if len(set(self.ids)) != len(self.ids) or not all(0 < n < _VOID for n in self.ids):
            raise InputError(f"object ids: expected distinct ids in 1..254, got {self.ids}")
        if not self.names:
            object.__setattr__(self, "names", tuple(str(n) for n in self.ids))
        if len(self.names) != len(self.ids):
            raise InputError(
                f"object names: expected one for each of {len(self.ids)} ids, got {self.names}"
            )
        slot_of_id, id_of_slot = (np.full(256, _UNKNOWN, dtype=np.int16) for _ in range(2))
        slot_of_id[[0, _VOID]] = id_of_slot[[0, _VOID]] = 0, _VOID
        slots = np.arange(1, len(self.ids) + 1, dtype=np.int16)
        slot_of_id[list(self.ids)] = slots
        id_of_slot[slots] = self.ids
        object.__setattr__(self, "_slot_of_id", slot_of_id)
        object.__setattr__(self, "_id_of_slot", id_of_slot)

    def __len__(self) -> int:
        """Return N, the number of objects."""
        return len(self.ids)

    def __contains__(self, number: object) -> bool:
        """Tell whether an object has this id."""
        return number in self.ids

    def slot(self, number: int) -> int:
        """Return the slot (1..N) of an id.

        Raises:
            InputError: no object has this id.
        """
        if number not in self.ids:
            raise InputError(f"object {number}: unknown, expected one of {list(self.ids)}")
        return self.ids.index(number) + 1

    def to_slots(self, labels: UInt8Array) -> UInt8Array:
        """Convert a label map of ids (H, W) uint8 to slots.

        Raises:
            InputError: no object has one of the ids.
        """
        return self._translate(labels, self._slot_of_id, "ids")

    def to_ids(self, labels: UInt8Array) -> UInt8Array:
        """Convert a label map of slots (H, W) uint8 to ids.

        Raises:
            InputError: a slot is above N.
        """
        return self._translate(labels, self._id_of_slot, "slots")

    def add(self, ids: Iterable[int], names: Iterable[str] | None = None) -> ObjectTable:
        """Return a table with more objects. Existing objects keep their slots.

        Args:
            ids: ids of the new objects, in 1..254.
            names: their names; by default their ids.

        Raises:
            InputError: an id is already in use or outside 1..254.
        """
        more = tuple(ids)
        called = tuple(str(n) for n in more) if names is None else tuple(names)
        return ObjectTable(self.ids + more, self.names + called)

    def remove(self, ids: Iterable[int]) -> ObjectTable:
        """Return a table without some objects. Later objects move up and keep their ids.

        Raises:
            InputError: no object has one of these ids.
        """
        gone = {self.slot(n) for n in ids}
        kept = [slot - 1 for slot in range(1, len(self) + 1) if slot not in gone]
        return ObjectTable(tuple(self.ids[k] for k in kept), tuple(self.names[k] for k in kept))

    def _translate(self, labels: UInt8Array, table: NDArray[np.int16], kind: str) -> UInt8Array:
        if labels.dtype != np.uint8:
            raise InputError(f"label map of {kind}: expected uint8, got {labels.dtype}")
        if kind == "slots" and labels.size and int(labels.max()) <= len(self):
            # Slots as the tracker makes them: a table of bytes is several times as fast.
            return cast(UInt8Array, cv2.LUT(labels, table.astype(np.uint8)))
        translated = table[labels]
        if translated.size and translated.min() < 0:
            unknown = np.unique(labels[translated < 0]).tolist()
            raise InputError(
                f"label map of {kind}: {unknown} belong to no object, expected 0, 255 or the "
                f"{kind} of objects {list(self.ids)}; add the objects first"
            )
        return translated.astype(np.uint8)
