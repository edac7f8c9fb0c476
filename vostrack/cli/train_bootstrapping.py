"""The flags that choose which cells count in the loss of a light localisation head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping

__all__ = ["BootstrappingFlags"]


@dataclass(frozen=True, kw_only=True)
class BootstrappingFlags:
    """Bootstrapping, and weights by size."""

    keep: int = 256
    """Bootstrapping: at least this many of the hardest cells of a scene count in the loss."""

    threshold: float = 0.0
    """Bootstrapping: all cells whose box overlaps the true one by less count in the loss; 1: all
    cells."""

    size_exponent: float = 0.5
    """Weight of a cell: (mean area / area of its object's box) to this power; 0: no weights."""

    def bootstrapping(self) -> Bootstrapping:
        """Return the rule that the flags describe."""
        from vostrack.proposers.hough_voting.bootstrapping import Bootstrapping

        return Bootstrapping(self.keep, self.threshold)
