"""The masks that a user gives for several frames, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.masks.same_objects import with_same_ids
from vostrack.tracking.edits import given_ids
from vostrack.tracking.frame_input import check_ids

__all__ = ["GivenMasks", "Mask", "Segment"]

Mask = UInt8Array | FirstMask
"""Object ids (H, W), or what ``read_first_mask`` returned."""


@dataclass(frozen=True)
class Segment:
    """The frames between two given masks.

    Attributes:
        start: number of the earlier frame with a mask.
        stop: number of the later frame with a mask.
        shared: ids of the objects that are known at ``start`` and in the mask of ``stop``.
    """

    start: int
    stop: int
    shared: tuple[int, ...]

    def share_of_later(self, index: int) -> float:
        """Return the weight of the later mask at a frame between, in (0, 1)."""
        return (index - self.start) / (self.stop - self.start)


class GivenMasks:
    """Masks by the number of their frame, in ascending order.

    An object begins at its first mask. A further mask of it is a correction. What was read from
    files without ids is matched by colours, labels and names, see ``with_same_ids``; an array
    means the objects that have its ids.
    """

    def __init__(self, masks: Mapping[int, Mask]) -> None:
        """Take the masks.

        Raises:
            InputError: there is none, a key is not a number, or a mask holds no ids.
        """
        if not masks or not all(isinstance(index, int | np.integer) for index in masks):
            raise InputError(
                "first_mask: expected a mask (H, W), or masks by the number of their frame, got "
                f"{dict.fromkeys(masks) or 'none'}; pass {{0: mask}} for frame 0"
            )
        arrays = {
            int(k): check_ids(mask) for k, mask in masks.items() if not isinstance(mask, FirstMask)
        }
        read = {int(k): mask for k, mask in masks.items() if isinstance(mask, FirstMask)}
        if len(masks) > 1:
            taken = {i for mask in arrays.values() for i in given_ids(mask)}
            read, _ = with_same_ids(read, taken)
        found = arrays | {index: mask.labels for index, mask in read.items()}
        self._masks = dict(sorted(found.items()))

    @property
    def indices(self) -> list[int]:
        """The numbers of the frames, ascending."""
        return list(self._masks)

    @property
    def first(self) -> int:
        """The number of the first of them."""
        return next(iter(self._masks))

    def __contains__(self, index: object) -> bool:
        """Tell whether a frame has a mask."""
        return index in self._masks

    def __getitem__(self, index: int) -> UInt8Array:
        """Return the mask (H, W) of a frame."""
        return self._masks[index]

    def holds_objects(self, index: int) -> bool:
        """Tell whether a frame has a mask with an object."""
        return index in self._masks and bool(self.ids(index))

    def only(self, index: int, ids: tuple[int, ...]) -> UInt8Array:
        """Return the mask of a frame with some of its objects."""
        mask = self._masks[index]
        return np.where(np.isin(mask, ids), mask, 0).astype(np.uint8)

    def ids(self, index: int) -> tuple[int, ...]:
        """Return the objects in the mask of a frame, ascending."""
        return given_ids(self._masks[index])

    def begin(self, number: int) -> int:
        """Return the frame in which an object begins."""
        return next(index for index in self._masks if number in self.ids(index))

    def known(self, index: int) -> set[int]:
        """Return the objects that have begun at a frame, its own mask included."""
        return {i for frame in self._masks if frame <= index for i in self.ids(frame)}

    def segment(self, index: int) -> Segment | None:
        """Return the segment that begins at or goes through a frame; None after the last mask."""
        start = max((i for i in self._masks if i <= index), default=None)
        stop = min((i for i in self._masks if i > index), default=None)
        if start is None or stop is None:
            return None
        known = self.known(start)
        return Segment(start, stop, tuple(i for i in self.ids(stop) if i in known))
