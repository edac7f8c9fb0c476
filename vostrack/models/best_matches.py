"""The best match of each cell of a frame with the object's cells, and with the background's."""

from __future__ import annotations

import torch
from torch import Tensor

from vostrack.models.cells_by_owner import CellsByOwner

__all__ = ["BestMatches", "BestOfSortedCells"]


class BestMatches:
    """Finds the best of each object's cells, and the best of its background's.

    Args:
        match: (B, 1, M), to be added to logits for the objects.
        other: (B, 1, M), for their backgrounds.
    """

    def __init__(self, match: Tensor, other: Tensor) -> None:
        self.match, self.other = match, other

    def __call__(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, A) twice from logits (1 or B, A, M)."""
        return (logits + self.match).amax(2), (logits + self.other).amax(2)


class BestOfSortedCells:
    """Does what ``BestMatches`` does, where cells are sorted by the objects that cover them.

    A cell that an object does not cover has the same terms for it as any other such cell: one
    maximum over the cells of each owner serves all other objects.

    Args:
        owned: how the cells are sorted.
        match: see ``BestMatches``.
        other: see ``BestMatches``.
        floor: what ``match`` is where an object does not cover a cell; ``other`` is 0 there.
    """

    def __init__(self, owned: CellsByOwner, match: Tensor, other: Tensor, floor: Tensor) -> None:
        self.counts, self.floor = owned.counts, floor
        self.first, self.last = owned.counts[0], sum(owned.counts[:-1])
        terms = torch.cat([match, other], dim=1)
        own = torch.split(terms[:, :, self.first : self.last], owned.counts[1:-1], dim=2)
        # (2, cells of one owner) and (2, B, 1, cells of several).
        self.own_terms = torch.cat([part[number] for number, part in enumerate(own)], dim=1)
        self.shared_terms = terms[:, :, None, self.last :].transpose(0, 1)
        count = len(match)
        self.others = match.new_zeros((count, count + 1, 1))
        self.others[range(count), range(1, count + 1)] = -torch.inf

    def __call__(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, A) twice from logits (1 or B, A, M)."""
        sorted_by_owner = torch.split(logits, self.counts, dim=2)[:-1]
        plain = torch.stack([_best(part) for part in sorted_by_owner], dim=1)
        rest = (plain + self.others).amax(1)
        found = [torch.stack([rest + self.floor, rest]), self._best_of_own(logits)]
        if logits.shape[2] > self.last:
            found.append((logits[:, :, self.last :] + self.shared_terms).amax(3))
        match, other = torch.stack(found).amax(0)
        return match, other

    def _best_of_own(self, logits: Tensor) -> Tensor:
        """Return (2, B, A): the best of the cells that an object covers alone, by both terms."""
        counts = self.counts[1:-1]
        own = logits[:, :, self.first : self.last]
        if len(logits) == 1:
            terms = torch.split(own + self.own_terms[:, None], counts, dim=2)
        else:
            own_terms = torch.split(self.own_terms, counts, dim=1)
            parts = zip(torch.split(own, counts, dim=2), own_terms, strict=True)
            terms = tuple(part[number] + term[:, None] for number, (part, term) in enumerate(parts))
        return torch.stack([_best(part) for part in terms], dim=1)


def _best(logits: Tensor) -> Tensor:
    """Return the largest of each row (..., A, M), where there is any."""
    if logits.shape[2]:
        return logits.amax(2)
    return logits.new_full(logits.shape[:2], -torch.inf)
