"""What earlier frames say about a new one: similar places, and a classifier in closed form.

A *memory* is a frame whose mask is known. It is kept at stride 16, as one column per cell: what the
cell looks like (a key), what the mask is like there (a value), and where it lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.compute.isolation import float32_outside_autocast
from vostrack.compute.plane_scaling import averaged

__all__ = [
    "Memory",
    "RidgeRegression",
    "Statistics",
    "confident_cells",
    "cover",
    "known_shares",
]


@dataclass(frozen=True)
class Statistics:
    """All that a least squares fit needs to know of a frame, whatever the frame's size.

    Attributes:
        gram: (B, E, E) weighted sum of the outer products of the embeddings.
        moment: (B, E, L) weighted sum of the outer products of embeddings and targets.
    """

    gram: Tensor
    moment: Tensor

    def mixed(self, other: Statistics, share: float) -> Statistics:
        """Return these with ``share`` of the weight given to ``other``, in [0, 1]."""
        return Statistics(
            torch.lerp(self.gram, other.gram, share), torch.lerp(self.moment, other.moment, share)
        )

    def part(self, index: Tensor) -> Statistics:
        """Return those of some of the objects."""
        return Statistics(self.gram[index], self.moment[index])


@dataclass(frozen=True)
class Memory:
    """A frame with its mask, for B objects; M cells.

    Attributes:
        keys: (1 or B, K, M) unit vectors; one for all objects of a frame.
        values: (B, V, M).
        mask: (B, 1, M) the share of each cell that the object covers.
        positions: (1 or B, 2, M) x and y of the cells' centres.
        statistics: for the closed-form classifier.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    positions: Tensor
    statistics: Statistics

    def part(self, index: Tensor) -> Memory:
        """Return those of some of the objects."""
        return Memory(
            _picked(self.keys, index),
            self.values[index],
            self.mask[index],
            _picked(self.positions, index),
            self.statistics.part(index),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        state = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "statistics"}
        return {**state, "gram": self.statistics.gram, "moment": self.statistics.moment}

    @staticmethod
    def from_state(state: dict[str, Tensor]) -> Memory:
        """Take up what ``state_dict`` returned."""
        rest = {k: v for k, v in state.items() if k not in ("gram", "moment")}
        return Memory(**rest, statistics=Statistics(state["gram"], state["moment"]))


def _picked(shared: Tensor, index: Tensor) -> Tensor:
    """Pick of what may be one for all."""
    return shared if len(shared) == 1 else shared[index]


class RidgeRegression(nn.Module):
    """A linear map from embeddings to targets, by regularised least squares in closed form.

    It is the small target model of Robinson et al. (2020) with the iteration taken to its end:
    nothing to tune, the same for every object, and differentiable, so that the embedding can be
    trained for it.
    """

    # The object has at least a quarter of the weight and at most three, however small it is.
    _SHARE = (0.25, 0.75)

    def __init__(self, penalty: float = 0.05) -> None:
        super().__init__()
        self.log_penalty = nn.Parameter(torch.tensor(math.log(penalty)))

    def statistics(
        self,
        embedding: Tensor,
        targets: Tensor,
        mask: Tensor,
        counted: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Statistics:
        """Summarise a frame.

        Args:
            embedding: (B, E, h, w).
            targets: (B, L, h, w) what the map is to give.
            mask: (B, 1, h, w) cover of the object, for the weights.
            counted: (B, 1, h, w) 0 for cells that are left out, else 1; None counts all.
            known: (1, 1, h, w) the share of each cell whose mask is known; None: all of it. The
                rest counts neither in the fit nor in the object's share of the frame.
        """
        with float32_outside_autocast(embedding, targets, mask) as (embedding, targets, mask):
            return self._statistics(embedding, targets, mask, (counted, known))

    def _statistics(
        self,
        embedding: Tensor,
        targets: Tensor,
        mask: Tensor,
        weights: tuple[Tensor | None, Tensor | None],
    ) -> Statistics:
        counted, known = weights
        if known is None:
            share = mask.mean((1, 2, 3), keepdim=True)
        else:
            seen = known.sum((1, 2, 3), keepdim=True).clamp(min=1e-6)
            share = (mask * known).sum((1, 2, 3), keepdim=True) / seen
            counted = known if counted is None else counted * known
        wanted = share.clamp(*self._SHARE)
        weight = mask * wanted / share.clamp(min=1e-3)
        weight = weight + (1 - mask) * (1 - wanted) / (1 - share).clamp(min=1e-3)
        if counted is not None:
            weight = weight * counted
        weight = weight / weight.sum((2, 3), keepdim=True).clamp(min=1e-6)
        x = embedding.flatten(2)
        weighted = x * weight.flatten(2)
        return Statistics(weighted @ x.transpose(1, 2), weighted @ targets.flatten(2).mT)

    def forward(self, embedding: Tensor, statistics: Statistics) -> Tensor:
        """Solve, and apply to a frame: (B, E, h, w) to (B, L, h, w)."""
        given = (embedding, statistics.gram, statistics.moment)
        with float32_outside_autocast(*given) as (embedding, gram, moment):
            eye = torch.eye(embedding.shape[1], device=embedding.device, dtype=gram.dtype)
            weights = torch.linalg.solve(gram + self.log_penalty.exp() * eye, moment)
            result: Tensor = weights.mT @ embedding.flatten(2)
        return result.view(*result.shape[:2], *embedding.shape[-2:])


def cover(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Return the share of each of ``size`` cells that a mask (B, 1, H, W) covers."""
    return averaged(mask, size)


def known_shares(cells: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the share of what is known of each cell that the object covers, and how much that is.

    Args:
        cells: (B, 1, h, w) share of each cell that the object covers.
        known: (1, 1, H, W) 1 for pixels whose label is known, else 0; None: all are known.
    """
    if known is None:
        return cells, None
    seen = cover(known, cells.shape[-2:])
    return (cells / seen.clamp(min=1e-6)).clamp(max=1), seen


def confident_cells(cells: Tensor, margin: float = 0.1) -> Tensor:
    """Mark the cells whose side is certain (Voigtlaender and Leibe 2017, online adaptation).

    Args:
        cells: (B, 1, h, w) share of each cell that the object covers.
        margin: a cell is the object's from a share of 1 - margin on, and background up to margin
            where its neighbours are too: the band between is left out.

    Returns:
        (B, 1, h, w), 1 or 0.
    """
    inside = cells >= 1 - margin
    outside = F.max_pool2d(cells, 3, stride=1, padding=1) <= margin
    return (inside | outside).to(cells.dtype)
