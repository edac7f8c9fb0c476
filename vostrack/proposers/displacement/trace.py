"""Intermediate results of the displacement proposer, for their visualization."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from vostrack.proposers.displacement.centres import CellInstances

__all__ = ["DisplacementTrace"]


class DisplacementTrace(NamedTuple):
    """Intermediate results, on (h, w) cells.

    Attributes:
        field: (2, h, w) displacement, in cells.
        boundary: (h, w) in [0, 1].
        instances: the instances before the random walk.
    """

    field: Tensor
    boundary: Tensor
    instances: CellInstances
