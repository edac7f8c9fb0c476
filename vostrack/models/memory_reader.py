"""Reading what memories say about a new frame: the values of the most similar cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vostrack.models.cells_by_owner import CellsByOwner, cells_by_owner
from vostrack.models.memory_cues import Memory
from vostrack.models.regions import Regions

__all__ = ["MemoryReader", "similarity_channels"]

# The exponential of twice its negative is no smaller than the numbers of float32.
_LARGEST_BOUND = 40.0


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
        self,
        query: Tensor,
        positions: Tensor,
        memories: Sequence[Memory],
        near: Tensor | None,
        regions: Regions | None = None,
    ) -> Tensor:
        """Read.

        Args:
            query: (1 or B, K, h, w) unit vectors. Where those of the memories are one for all
                objects too, similarities are computed once.
            positions: (1 or B, 2, h, w), in the units of the memories.
            memories: at least one.
            near: (B,) 1 where distance counts, 0 where it does not; None: it counts for nobody.
            regions: the cells of each object that are wanted; None for all.

        Returns:
            (B, V + 2, h, w), of the regions where there are any.
        """
        known = self._cells(memories)
        scale = self.log_scale.exp()
        alike = self.log_nearness is None or near is None
        if alike:
            size = query.shape[-2:]
            logits = query.flatten(2).mT * scale @ known.keys
        else:
            # Every object has its own distances: its region is enough.
            if regions is not None:
                query, positions = regions.cut(query, 1), regions.cut(positions, 1)
            size = query.shape[-2:]
            places = torch.cat([memory.positions for memory in memories], dim=2)
            if known.owned is not None:
                places = places.index_select(2, known.owned.order)
            assert self.log_nearness is not None
            assert near is not None
            penalty = self.log_nearness.exp() * near.view(-1, 1, 1)
            logits = _near_logits(query, positions, known.keys, places, scale, penalty)
        best, second = (logit / scale for logit in self._best_matches(logits, known, scale))
        value = _mean_values(logits, known.values, scale if alike else None)
        cues = torch.stack([best - second, best], dim=1).clamp(min=self._LOWEST)
        read: Tensor = torch.cat([value, cues], dim=1)
        read = read.view(*read.shape[:2], *size)
        return regions.cut(read, 1) if alike and regions is not None else read

    def matches(self, query: Tensor, memories: Sequence[Memory]) -> Tensor:
        """Return (B, h w): how much better cells match each object than its background.

        It is the last channel but one of what ``forward`` gives where distance does not count.

        Args:
            query: (1, K, h, w) unit vectors.
            memories: at least one.
        """
        known = self._cells(memories)
        scale = self.log_scale.exp()
        found = self._best_matches(query.flatten(2).mT * scale @ known.keys, known, scale)
        best, second = (logit / scale for logit in found)
        return (best - second).clamp(min=self._LOWEST)

    def _cells(self, memories: Sequence[Memory]) -> _Cells:
        """Put the cells of memories together, sorted by owner where several objects share them."""
        keys, values, mask = (
            torch.cat([getattr(memory, name) for memory in memories], dim=2)
            for name in ("keys", "values", "mask")
        )
        shared = len(keys) == 1 < len(mask)
        # A GPU would be waited for; there it pays only where memories are many.
        if not shared or (self.log_nearness is not None and keys.device.type != "cpu"):
            return _Cells(keys, values, mask, None)
        owned = cells_by_owner(mask, self._COVER_FLOOR)
        keys, values, mask = (x.index_select(2, owned.order) for x in (keys, values, mask))
        return _Cells(keys, values, mask, owned)

    def _best_matches(self, logits: Tensor, known: _Cells, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, A): the best of the object's cells, and the best of the background's.

        Args:
            logits: (1 or B, A, M).
            known: the cells.
            scale: of the logits.
        """
        weight, mask, owned = self._COVER_WEIGHT * scale, known.mask, known.owned
        if owned is None:
            return self._with_cover(logits, mask, weight)
        # A cell that an object does not cover has the same weights for it as any other such cell:
        # one maximum over the cells of each owner serves all other objects.
        plain = torch.stack(
            [
                part.amax(2) if part.shape[2] else part.new_full(part.shape[:2], -torch.inf)
                for part in torch.split(logits, owned.counts, dim=2)[:-1]
            ]
        )
        floor = weight * math.log(self._COVER_FLOOR)
        best = []
        for number, places in enumerate(owned.places()):
            own = min(number, len(logits) - 1)
            rest = torch.cat([plain[: number + 1, own], plain[number + 2 :, own]]).amax(0)
            match, other = [rest + floor], [rest]
            for place in places:
                found = self._with_cover(logits[own, :, place], mask[number, :, place], weight)
                match.append(found[0])
                other.append(found[1])
            best.append((torch.stack(match).amax(0), torch.stack(other).amax(0)))
        return torch.stack([one for one, _ in best]), torch.stack([one for _, one in best])

    def cover_terms(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is added to cosines for the object's cells, and for the background's.

        Args:
            mask: (B, 1, M) share of each cell that an object covers.
        """
        terms = (part.clamp(min=self._COVER_FLOOR).log() for part in (mask, 1 - mask))
        match, other = (self._COVER_WEIGHT * term for term in terms)
        return match, other

    def cues(self, best: Tensor, second: Tensor) -> Tensor:
        """Return (B, 2, A) from the best match of the object and of the background, (B, A)."""
        return torch.stack([best - second, best], dim=1).clamp(min=self._LOWEST)

    def _with_cover(self, logits: Tensor, mask: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best of the object's cells and of the background's over the last axis."""
        match = logits + weight * mask.clamp(min=self._COVER_FLOOR).log()
        other = logits + weight * (1 - mask).clamp(min=self._COVER_FLOOR).log()
        return match.amax(-1), other.amax(-1)


class _Cells(NamedTuple):
    """The cells of some memories.

    Attributes:
        keys: (1 or B, K, M).
        values: (B, V, M).
        mask: (B, 1, M) share of each cell that an object covers.
        owned: in which order they are; None for any.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    owned: CellsByOwner | None


def _near_logits(
    query: Tensor, positions: Tensor, keys: Tensor, places: Tensor, scale: Tensor, penalty: Tensor
) -> Tensor:
    """Return (B, A, M) the scaled cosines, less by ``penalty`` times the squared distance.

    Args:
        query: (1 or B, K, h, w).
        positions: (1 or B, 2, h, w), x and y.
        keys: (1 or B, K, M).
        places: (1 or B, 2, M), x and y.
        scale: of the cosines.
        penalty: (B, 1, 1).
    """
    looked, at = query.flatten(2).mT * scale, positions.flatten(2).mT
    if len(query) == len(keys) == 1 < len(penalty):
        # One product for all objects, and a thin one of distances for each.
        alike = (looked @ keys).expand(len(penalty), -1, -1)
        thin = _with_distances(looked[..., :0], keys[:, :0], at, places, penalty)
        return torch.baddbmm(alike, *thin)
    return torch.bmm(*_with_distances(looked, keys, at, places, penalty))


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


def _mean_values(logits: Tensor, values: Tensor, bound: Tensor | None) -> Tensor:
    """Return (B, V, A): the values, weighted by a softmax. The logits may be overwritten.

    Args:
        logits: (1 or B, A, M).
        values: (B, V, M).
        bound: the logits are between this and its negative, about 12; None if that is not known.
    """
    follows = torch.is_grad_enabled() or logits.device.type != "cpu"
    if bound is None or follows or float(bound) > _LARGEST_BOUND:
        return _weighted_values(logits.softmax(2), values)
    # One pass does: the exponentials are at most 1, and their sums are one channel more.
    ones = torch.ones_like(values[:, :1])
    sums = _weighted_values(logits.sub_(bound).exp_(), torch.cat([values, ones], dim=1))
    return sums[:, :-1] / sums[:, -1:]


def _weighted_values(weights: Tensor, values: Tensor) -> Tensor:
    """Return (B, V, A) from weights (1 or B, A, M) and values (B, V, M)."""
    if len(weights) == len(values):
        return (weights @ values.mT).mT
    rows = weights[0] @ values.flatten(0, 1).mT
    return rows.mT.reshape(*values.shape[:2], -1)
