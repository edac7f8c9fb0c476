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
from vostrack.models.cells_by_owner import CellsByOwner, cells_by_owner

__all__ = [
    "Memory",
    "MemoryReader",
    "RidgeRegression",
    "Statistics",
    "confident_cells",
    "cover",
    "similarity_channels",
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


def similarity_channels(values: int) -> int:
    """Return the number of channels that ``MemoryReader`` gives for values of ``values``."""
    return values + 2


class MemoryReader(nn.Module):
    """Read the values of the memory's most similar cells (Oh et al. 2019, space-time memory).

    Beside the mean value, weighted by a softmax of the cosine similarities, it gives how much
    better the best cell of the object matches than the best of the background, and how well.
    """

    # A cell counts for the object as far as the object covers it; the logarithm makes a cell that
    # is covered to a tenth 0.7 worse, and the floor keeps an empty memory from giving infinities.
    _COVER_WEIGHT = 0.3
    _COVER_FLOOR = 1e-4
    _LOWEST = -3.0

    def __init__(self, scale: float = 12.0, nearness: float | None = None) -> None:
        """Build.

        Args:
            scale: what the cosine is multiplied by before the softmax; learnt from here.
            nearness: the logit lost per squared distance; learnt from here. None: places do not
                matter.
        """
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.log_nearness = (
            nn.Parameter(torch.tensor(math.log(nearness))) if nearness is not None else None
        )

    def forward(
        self, query: Tensor, positions: Tensor, memories: Sequence[Memory], near: Tensor
    ) -> Tensor:
        """Read.

        Args:
            query: (1 or B, K, h, w) unit vectors. Where those of the memories are one for all
                objects too, similarities are computed once.
            positions: (1 or B, 2, h, w), in the units of the memories.
            memories: at least one.
            near: (B,) 1 where distance counts, 0 where it does not.

        Returns:
            (B, V + 2, h, w).
        """
        keys, values, mask = (
            torch.cat([getattr(memory, name) for memory in memories], dim=2)
            for name in ("keys", "values", "mask")
        )
        scale = self.log_scale.exp()
        shared = len(query) == len(keys) == 1 < len(mask)
        owned = None
        if shared and self.log_nearness is None:
            owned = cells_by_owner(mask, self._COVER_FLOOR)
            keys, values, mask = (x.index_select(2, owned.order) for x in (keys, values, mask))
        looked = query.flatten(2).mT * scale
        if self.log_nearness is None:
            logits = looked @ keys
        else:
            places = torch.cat([memory.positions for memory in memories], dim=2)
            penalty = self.log_nearness.exp() * near.view(-1, 1, 1)
            apart = positions.flatten(2).mT, places, penalty
            if shared:
                # One product for all objects, and a thin one of distances for each.
                alike = (looked @ keys).expand(len(mask), -1, -1)
                thin = _with_distances(looked[..., :0], keys[:, :0], *apart)
                logits = torch.baddbmm(alike, *thin)
            else:
                logits = torch.bmm(*_with_distances(looked, keys, *apart))
        value = _weighted_values(logits.softmax(2), values)
        found = self._best_matches(logits, mask, scale, owned)
        best, second = (logit / scale for logit in found)
        cues = torch.stack([best - second, best], dim=1).clamp(min=self._LOWEST)
        read: Tensor = torch.cat([value, cues], dim=1)
        return read.view(*read.shape[:2], *query.shape[-2:])

    def _best_matches(
        self, logits: Tensor, mask: Tensor, scale: Tensor, owned: CellsByOwner | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (B, A): the best of the object's cells, and the best of the background's.

        Args:
            logits: (B, A, M), or (1, A, M) with ``owned``.
            mask: (B, 1, M) share of each cell that the object covers.
            scale: of the logits.
            owned: in which order the cells are.
        """
        weight = self._COVER_WEIGHT * scale
        if owned is None:
            return self._with_cover(logits, mask, weight)
        # A cell that an object does not cover has the same weights for it as any other such cell:
        # one maximum over the cells of each owner serves all other objects.
        plain = torch.stack(
            [
                part.amax(1) if part.shape[1] else part.new_full(part.shape[:1], -torch.inf)
                for part in torch.split(logits[0], owned.counts, dim=1)[:-1]
            ]
        )
        floor = weight * math.log(self._COVER_FLOOR)
        best = []
        for number, places in enumerate(owned.places()):
            rest = torch.cat([plain[: number + 1], plain[number + 2 :]]).amax(0)
            match, other = [rest + floor], [rest]
            for place in places:
                found = self._with_cover(logits[0, :, place], mask[number, :, place], weight)
                match.append(found[0])
                other.append(found[1])
            best.append((torch.stack(match).amax(0), torch.stack(other).amax(0)))
        return torch.stack([one for one, _ in best]), torch.stack([one for _, one in best])

    def _with_cover(self, logits: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best of the object's cells and of the background's over the last axis."""
        match = logits + weight * mask.clamp(min=self._COVER_FLOOR).log()
        other = logits + weight * (1 - mask).clamp(min=self._COVER_FLOOR).log()
        return match.amax(-1), other.amax(-1)


def _with_distances(
    query: Tensor, keys: Tensor, at: Tensor, places: Tensor, penalty: Tensor
) -> tuple[Tensor, Tensor]:
    """Extend both so that their product is less by ``penalty`` times the squared distance.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b is a product too: one pass in place of five over (A, M).

    Args:
        query: (1 or B, A, K).
        keys: (1 or B, K, M).
        at: (1 or B, A, 2), x and y.
        places: (1 or B, 2, M).
        penalty: (B, 1, 1).
    """
    count = max(len(penalty), len(query), len(at))
    ones = penalty.expand(-1, at.shape[1], 1)
    left = [query, 2 * penalty * at, -penalty * at.square().sum(2, keepdim=True), -ones]
    lengths = places.square().sum(1, keepdim=True)
    right = [keys, places, torch.ones_like(lengths), lengths]
    return (
        torch.cat([part.expand(count, -1, -1) for part in left], dim=2),
        torch.cat([part.expand(count, -1, -1) for part in right], dim=1),
    )


def _weighted_values(weights: Tensor, values: Tensor) -> Tensor:
    """Return (B, V, A) from weights (1 or B, A, M) and values (B, V, M)."""
    if len(weights) == len(values):
        return (weights @ values.mT).mT
    rows = weights[0] @ values.flatten(0, 1).mT
    return rows.mT.reshape(*values.shape[:2], -1)


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
        self, embedding: Tensor, targets: Tensor, mask: Tensor, counted: Tensor | None = None
    ) -> Statistics:
        """Summarise a frame.

        Args:
            embedding: (B, E, h, w).
            targets: (B, L, h, w) what the map is to give.
            mask: (B, 1, h, w) cover of the object, for the weights.
            counted: (B, 1, h, w) 0 for cells that are left out, else 1; None counts all.
        """
        with float32_outside_autocast(embedding, targets, mask) as (embedding, targets, mask):
            return self._statistics(embedding, targets, mask, counted)

    def _statistics(
        self, embedding: Tensor, targets: Tensor, mask: Tensor, counted: Tensor | None
    ) -> Statistics:
        share = mask.mean((1, 2, 3), keepdim=True)
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
    height, width = mask.shape[-2:]
    stride = height // size[0]
    if (height, width) == (stride * size[0], stride * size[1]):
        return F.avg_pool2d(mask, stride)  # the same, and twice as fast
    return F.interpolate(mask, size=tuple(size), mode="area")


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
