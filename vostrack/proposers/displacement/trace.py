"""What the displacement proposer found on the way, for pictures of it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from vostrack.proposers.displacement.centres import CellInstances

__all__ = ["DisplacementTrace"]


class DisplacementTrace(NamedTuple):
    """What was found on the way, on (h, w) cells.

    Attributes:
        field: (2, h, w) displacement, in cells.
        boundary: (h, w) in [0, 1].
        instances: the instances before the walk.
    """

    field: Tensor
    boundary: Tensor
    instances: CellInstances
