"""A feature map that stays in bytes until some of it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["ByteMap", "as_floats"]


@dataclass(frozen=True)
class ByteMap:
    """A feature map whose values are bytes times one number.

    The map at stride 2 is by far the largest, and only what is near an object is looked at.

    Attributes:
        values: (B, C, h, w) uint8.
        step: value of one step.
    """

    values: Tensor
    step: float

    @property
    def shape(self) -> torch.Size:
        """B, C, h and w."""
        return self.values.shape

    def __len__(self) -> int:
        """Return B."""
        return len(self.values)

    def __getitem__(self, index: Any) -> ByteMap:
        """Return a part of the map, as tensors do."""
        return ByteMap(self.values[index], self.step)

    def floats(self) -> Tensor:
        """Return the map in float32, channels last."""
        return self.values.to(torch.float32, memory_format=torch.channels_last).mul_(self.step)


def as_floats(level: Tensor | ByteMap) -> Tensor:
    """Return a feature map (B, C, h, w) as a tensor to compute with."""
    return level.floats() if isinstance(level, ByteMap) else level
