"""Where each object of a window can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Regions"]


@dataclass(frozen=True)
class Regions:
    """Where each of B objects can be: rectangles of one size, in cells of stride 16.

    Attributes:
        corners: top row and left column of each.
        size: rows and columns of all.
    """

    corners: tuple[tuple[int, int], ...]
    size: tuple[int, int]

    def cut(self, maps: Tensor, scale: int) -> Tensor:
        """Cut maps (1 or B, C, h, w) of ``scale`` pixels per cell: (B, C, h', w')."""
        height, width = (side * scale for side in self.size)
        parts = [
            maps[index % len(maps), :, y * scale :, x * scale :][:, :height, :width]
            for index, (y, x) in enumerate(self.corners)
        ]
        if torch.is_grad_enabled():
            return torch.stack(parts).contiguous(memory_format=torch.channels_last)
        cut = torch.empty(
            (len(parts), maps.shape[1], height, width),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=torch.channels_last,
        )
        for target, part in zip(cut, parts, strict=True):
            target.copy_(part)
        return cut

    def mirrored(self, columns: int) -> Regions:
        """Return those in maps of ``columns`` cells that are mirrored left to right."""
        width = self.size[1]
        return Regions(tuple((y, columns - x - width) for y, x in self.corners), self.size)

    def part(self, numbers: Sequence[int]) -> Regions:
        """Return those of some of the objects."""
        return Regions(tuple(self.corners[k] for k in numbers), self.size)

    def put(self, parts: Tensor, size: Sequence[int], scale: int, outside: float) -> Tensor:
        """Undo ``cut``: maps (B, C, h, w) that are ``outside`` everywhere else."""
        maps = parts.new_full((*parts.shape[:2], *size), outside)
        height, width = parts.shape[-2:]
        for index, (part, corner) in enumerate(zip(parts, self.corners, strict=True)):
            y, x = (scale * cell for cell in corner)
            maps[index, :, y : y + height, x : x + width] = part
        return maps
