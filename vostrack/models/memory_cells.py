"""The cells of several memories, put together to be read."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vostrack.models.byte_convolution import ByteConvolution
from vostrack.models.cells_by_owner import CellsByOwner
from vostrack.models.memory_cues import Memory

__all__ = ["CellsOfFrames", "MemoryCells", "joined_cells"]


@dataclass(frozen=True)
class MemoryCells:
    """The M cells of some memories.

    Attributes:
        keys: (1 or B, M, K).
        values: (B, V, M).
        mask: (B, 1, M) share of each cell that an object covers.
        places: (1 or B, M, 2), x and y.
        owned: in which order they are; None for any.
        products: of queries with the keys, where these are computed in 8 bits.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    places: Tensor
    owned: CellsByOwner | None = None
    products: ByteConvolution | None = None


def joined_cells(memories: Sequence[Memory]) -> MemoryCells:
    """Put the cells of memories together, one memory after the other."""
    # Networks lay out their maps with channels last, so rows are copied as they are.
    keys, places = (
        torch.cat([getattr(memory, name).mT for memory in memories], dim=1)
        for name in ("keys", "positions")
    )
    values, mask = (
        torch.cat([getattr(memory, name) for memory in memories], dim=2)
        for name in ("values", "mask")
    )
    return MemoryCells(keys, values, mask, places)


class CellsOfFrames:
    """Cells that are kept from frame to frame, as long as the memories are the same."""

    # Objects that are followed and objects that are lost have memories of their own, and the
    # first frame is read alone as well.
    _MOST = 4

    def __init__(self) -> None:
        self._kept: list[tuple[list[weakref.ref[Memory]], MemoryCells]] = []

    def of(
        self, memories: Sequence[Memory], make: Callable[[Sequence[Memory]], MemoryCells]
    ) -> MemoryCells:
        """Return the cells of some memories, made only if they are not kept."""
        kept = self._kept
        for number, (known, cells) in enumerate(kept):
            if len(known) == len(memories) and all(
                ref() is memory for ref, memory in zip(known, memories, strict=True)
            ):
                # One assignment: other threads see one list or the other.
                self._kept = [kept[number], *kept[:number], *kept[number + 1 :]]
                return cells
        cells = make(memories)
        self._kept = [([weakref.ref(one) for one in memories], cells), *kept[: self._MOST - 1]]
        return cells

    def __reduce__(self) -> tuple[type[CellsOfFrames], tuple[()]]:
        """Leave all of it out of copies."""
        return CellsOfFrames, ()
