"""The cells of memories in the order of the objects that cover them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CellsByOwner", "cells_by_owner"]


class CellsByOwner(NamedTuple):
    """Cells of memories, in the order of the objects that cover them.

    Attributes:
        order: (M,) the cells: first those that no object covers, then those that the first covers
            alone, and so on; those that several cover come last.
        counts: of each of these, B + 2 numbers.
    """

    order: Tensor
    counts: list[int]


def cells_by_owner(mask: Tensor, least: float) -> CellsByOwner:
    """Sort cells by the objects that cover them. The device is waited for once.

    Args:
        mask: (B, 1, M) share of each cell that an object covers.
        least: a cell counts as covered above this share.
    """
    covered = (mask[:, 0] > least).view(torch.uint8)
    several = len(covered) + 1
    first = covered.argmax(0) + 1
    owner = torch.where(covered.sum(0) > 1, several, first * covered.amax(0))
    return CellsByOwner(
        owner.argsort(stable=True), torch.bincount(owner, minlength=several + 1).tolist()
    )
