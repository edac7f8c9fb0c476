"""Reading what memories say about a new frame: the values of the most similar cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.best_matches import BestMatches, BestOfSortedCells
from vostrack.models.byte_convolution import byte_products, rows_to_bytes
from vostrack.models.cells_by_owner import cells_by_owner
from vostrack.models.memory_cells import CellsOfFrames, MemoryCells, joined_cells
from vostrack.models.memory_cues import Memory
from vostrack.models.regions import Regions

__all__ = ["ByteMemoryReader", "MemoryReader", "similarity_channels"]

_FindsBest = Callable[[Tensor], tuple[Tensor, Tensor]]

# Logits that are computed at once: 2 MB. Below so many rows torch keeps a product from oneDNN.
_CACHED = 1 << 19
_FEWEST_ROWS = 192


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
        self._kept = CellsOfFrames()

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
        scale = self.log_scale.exp()
        places = None
        alike = self.log_nearness is None or near is None
        known = self._known(memories, kept=alike)
        if not alike:
            assert self.log_nearness is not None
            assert near is not None
            # Every object has its own distances: its region is enough.
            if regions is not None:
                query, positions = regions.cut(query, 1), regions.cut(positions, 1)
            penalty = self.log_nearness.exp() * near.view(-1, 1, 1)
            places = _distances(positions.flatten(2).mT, known.places, penalty)
        size, rows = query.shape[-2:], query.flatten(2).mT * scale
        best_matches, products = self._best_matches(known, scale), _products_of(rows, known)
        parts = []
        for part in _parts(rows, known, 1 if places is None else len(places[0])):
            logits = products(part)
            if places is not None:
                logits = torch.baddbmm(
                    logits.expand(len(places[0]), -1, -1), places[0][:, part], places[1]
                )
            best, second = (logit / scale for logit in best_matches(logits))
            value = _weighted_values(logits.softmax(2), known.values)
            parts.append(torch.cat([value, self.cues(best, second)], dim=1))
        read: Tensor = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        read = read.view(*read.shape[:2], *size)
        return regions.cut(read, 1) if alike and regions is not None else read

    def matches(self, query: Tensor, memories: Sequence[Memory]) -> Tensor:
        """Return (B, h w): how much better cells match each object than its background.

        It is the last channel but one of what ``forward`` gives where distance does not count.

        Args:
            query: (1, K, h, w) unit vectors.
            memories: at least one.
        """
        known = self._known(memories, kept=True)
        scale = self.log_scale.exp()
        rows, found = query.flatten(2).mT * scale, []
        best_matches, products = self._best_matches(known, scale), _products_of(rows, known)
        for part in _parts(rows, known, 1):
            best, second = (logit / scale for logit in best_matches(products(part)))
            found.append(self.cues(best, second)[:, 0])
        return torch.cat(found, dim=1)

    def _known(self, memories: Sequence[Memory], *, kept: bool) -> MemoryCells:
        """Put the cells of memories together, sorted by owner where that pays.

        Args:
            memories: at least one.
            kept: the same memories will be read in other frames, too.
        """
        if memories[0].keys.device.type != "cpu" or torch.is_grad_enabled():
            cells, several = joined_cells(memories), len(memories[0].mask) > 1
            # A GPU would be waited for; there it pays only where memories are many.
            many = self.log_nearness is None or cells.keys.device.type == "cpu"
            return self._sorted(cells) if several and many else cells
        return self._kept.of(memories, self._to_keep) if kept else self._to_read(memories)

    def _to_read(self, memories: Sequence[Memory]) -> MemoryCells:
        return self._sorted(joined_cells(memories))

    def _to_keep(self, memories: Sequence[Memory]) -> MemoryCells:
        return self._to_read(memories)

    def _sorted(self, cells: MemoryCells) -> MemoryCells:
        if len(cells.keys) > 1:
            return cells
        owned = cells_by_owner(cells.mask, self._COVER_FLOOR)
        keys, places = (x.index_select(1, owned.order) for x in (cells.keys, cells.places))
        values, mask = (x.index_select(2, owned.order) for x in (cells.values, cells.mask))
        return MemoryCells(keys, values, mask, places, owned)

    def _best_matches(self, known: MemoryCells, scale: Tensor) -> _FindsBest:
        """Return what finds the best match of each cell in logits, which are scaled."""
        match, other = (scale * term for term in self.cover_terms(known.mask))
        if known.owned is None:
            return BestMatches(match, other)
        floor = self._COVER_WEIGHT * scale * math.log(self._COVER_FLOOR)
        return BestOfSortedCells(known.owned, match, other, floor)

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


class ByteMemoryReader(MemoryReader):
    """A reader that compares keys in 8 bits where distance does not count; no gradients.

    Logits, which reach 55 in the shipped network, then differ by less than a tenth on average.
    Memories that are read in many frames are laid out for it once.

    Args:
        reader: whose numbers it shares.
    """

    def __init__(self, reader: MemoryReader) -> None:
        super().__init__()
        self.log_scale, self.log_nearness = reader.log_scale, reader.log_nearness

    def _to_keep(self, memories: Sequence[Memory]) -> MemoryCells:
        cells = super()._to_keep(memories)
        if len(cells.keys) > 1:
            return cells
        return replace(cells, products=byte_products(cells.keys[0]))


def _parts(rows: Tensor, known: MemoryCells, objects: int) -> list[slice]:
    """Divide rows (1 or B, A, K) so that their logits are few enough to stay in the cache.

    Memory is far slower than the cache: the passes over all logits at once took longer than the
    products. With gradients, and on a GPU, all rows are one part.
    """
    count = rows.shape[1]
    parts = 1
    if rows.device.type == "cpu" and not torch.is_grad_enabled():
        most = max(_FEWEST_ROWS, _CACHED // (objects * len(known.keys) * known.keys.shape[1]))
        parts = -(-count // most)
    step = -(-count // parts)
    return [slice(start, start + step) for start in range(0, count, step)]


def _products_of(rows: Tensor, known: MemoryCells) -> Callable[[slice], Tensor]:
    """Return what gives the products (1 or B, part of A, M) of rows (1 or B, A, K) and keys."""
    packed = known.products
    if packed is None:
        return lambda part: _products(rows[:, part], known.keys)
    values, scale = rows_to_bytes(rows[0])
    return lambda part: packed.floats(values[:, :, part], scale)[0, :, :, 0].T[None]


def _products(rows: Tensor, others: Tensor) -> Tensor:
    """Return the products (1 or B, A, M) of rows (1 or B, A, K) and others (1 or B, M, K)."""
    plain = torch.is_grad_enabled() or rows.device.type != "cpu" or rows.dtype != torch.float32
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if plain or len(others) > 1 or not onednn:
        return rows @ others.mT
    # The same to the bit as a convolution, which oneDNN computes with all that the processor has:
    # MKL keeps to AVX2 on some, and takes twice the time. For the dilation see ``pointwise``.
    image = rows.reshape(1, -1, 1, rows.shape[2]).permute(0, 3, 1, 2)
    found = F.conv2d(image, others[0, :, :, None, None], dilation=2)
    return found.permute(0, 2, 3, 1).reshape(*rows.shape[:2], -1)


def _distances(at: Tensor, places: Tensor, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """Return two factors of ``penalty`` times the negative squared distance.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b is a product, too: one pass in place of five over (A, M).

    Args:
        at: (1 or B, A, 2), x and y.
        places: (1 or B, M, 2).
        penalty: (B, 1, 1).

    Returns:
        (B, A, 4) and (B, 4, M).
    """
    ones = penalty.expand(-1, at.shape[1], 1)
    left = [2 * penalty * at, -penalty * at.square().sum(2, keepdim=True), -ones]
    lengths = places.square().sum(2, keepdim=True)
    right = torch.cat([places, torch.ones_like(lengths), lengths], dim=2)
    return torch.cat(left, dim=2), right.mT.expand(len(penalty), -1, -1)


def _weighted_values(weights: Tensor, values: Tensor) -> Tensor:
    """Return (B, V, A) from weights (1 or B, A, M) and values (B, V, M)."""
    if len(weights) == len(values) > 1:
        return (weights @ values.mT).mT
    rows = _products(weights, values.flatten(0, 1)[None])[0]
    return rows.mT.reshape(*values.shape[:2], -1)
