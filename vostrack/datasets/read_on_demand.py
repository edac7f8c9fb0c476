"""Collections whose items are read when they are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

__all__ = ["ReadOnDemand"]

Item = TypeVar("Item")


class ReadOnDemand(Sequence[Item], ABC):
    """A sequence that keeps no item; a subclass reads one at a time."""

    @abstractmethod
    def read(self, index: int) -> Item:
        """Read the item at ``index``, 0 .. len - 1."""

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """Read one item, or several."""
        places = range(len(self))[index]
        return self.read(places) if isinstance(places, int) else [self.read(k) for k in places]
