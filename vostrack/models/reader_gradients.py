"""Reading one memory with both readers, with gradients, for fine-tuning on one thread.

In fine-tuning all cells of the memory are equally far: a pasted object may have come from anywhere.
So both readers compare the same cells, the similarities are those of all objects, and only the
scale of the softmax tells one reader from the other. They are computed once, in rows that stay in
the processor's cache, and so are their gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vostrack.models.memory_cues import Memory
from vostrack.models.memory_reader import MemoryReader

__all__ = ["read_twice"]

# Similarities that are computed at once: half a megabyte.
_AT_ONCE = 1 << 17


def read_twice(
    readers: tuple[MemoryReader, MemoryReader],
    query: Tensor,
    positions: Tensor,
    memory: Memory,
    near: Tensor,
) -> tuple[Tensor, Tensor]:
    """Read a memory whose cells all lie in one place.

    Args:
        readers: one for which distance does not count, and one for which it does.
        query: (1, K, h, w) unit vectors.
        positions: (1, 2, h, w).
        memory: of the same objects, with one set of keys and one place for all.
        near: (B,) 1 where distance counts, else 0.

    Returns:
        What each reader gives: (B, V + 2, h, w).
    """
    first, recent = readers
    scales = first.log_scale.exp(), recent.log_scale.exp()
    place = memory.positions[..., :1]
    if query.device.type != "cpu":
        return (
            first(query, positions, [memory], None),
            recent(query, positions, [memory], near),
        )
    count, size = len(memory.values), query.shape[-2:]
    covers = first.cover_terms(memory.mask)
    *values, best = _TwoReads.apply(
        query.flatten(2).squeeze(0).T,
        memory.keys.squeeze(0).T,
        memory.values,
        torch.cat(covers)[:, 0],
        *scales,
    )
    # (A, 2 B): the objects' best cells first, then the backgrounds'.
    best, second = best.T.view(2, count, -1)
    distance = (positions.flatten(2) - place).square().sum(1)
    assert recent.log_nearness is not None
    farther = recent.log_nearness.exp() / scales[1] * near.view(-1, 1) * distance
    reads = []
    for value, lost in zip(values, (0, farther), strict=True):
        cues = first.cues(best - lost, second - lost)
        read = torch.cat([value.T.view(count, -1, value.shape[0]), cues], dim=1)
        reads.append(read.view(*read.shape[:2], *size))
    return reads[0], reads[1]


class _TwoReads(torch.autograd.Function):
    """Two softmaxes of the same similarities, and the best similarities.

    Inputs: the query (A, K); keys (M, K); values (B, V, M); covers (C, M), to be added to the
    similarities; and the two scales. Outputs: the values by each softmax, (A, B V) twice, and the
    best (A, C) of the similarities with each of the covers. Covers get no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        covers: Tensor,
        first: Tensor,
        second: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the outputs, and keep what gradients need."""
        table, scales = values.flatten(0, 1).T.contiguous(), (float(first), float(second))
        query, keys = query.contiguous(), keys.contiguous()
        alike = query.new_empty((len(query), len(keys)))
        read = [query.new_empty((len(query), table.shape[1])) for _ in scales]
        where = torch.empty((len(query), len(covers)), dtype=torch.int64)
        for rows in _rows(*alike.shape):
            some = torch.mm(query[rows], keys.T, out=alike[rows])
            for number, cover in enumerate(covers):
                # numpy takes a quarter of torch's time.
                where[rows, number] = torch.from_numpy((some + cover).numpy().argmax(1))
            for scale, result in zip(scales, read, strict=True):
                torch.mm((some * scale).softmax(1), table, out=result[rows])
        best = alike.gather(1, where) + covers.T.gather(0, where)
        ctx.scales, ctx.shape = scales, values.shape
        ctx.save_for_backward(query, keys, table, alike, where, *read)
        return read[0], read[1], best

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of all inputs."""
        query, keys, table, alike, where, *read = ctx.saved_tensors
        of_query, of_keys = torch.empty_like(query), torch.zeros_like(keys)
        of_table, of_scales = torch.zeros_like(table), [0.0, 0.0]
        for rows in _rows(*alike.shape):
            some, of_some = alike[rows], torch.zeros_like(alike[rows])
            for number, scale in enumerate(ctx.scales):
                given, found = gradients[number][rows], read[number][rows]
                weights = (some * scale).softmax(1)
                of_table.addmm_(weights.T, given)
                mean = (given * found).sum(1, keepdim=True)
                change = torch.addmm(mean, given, table.T, beta=-1).mul_(weights)
                of_scales[number] += float(torch.dot(change.flatten(), some.flatten()))
                of_some.add_(change, alpha=scale)
            of_some.scatter_add_(1, where[rows], gradients[2][rows])
            torch.mm(of_some, keys, out=of_query[rows])
            of_keys.addmm_(of_some.T, query[rows])
        of_values = of_table.T.reshape(ctx.shape)
        return of_query, of_keys, of_values, None, *map(query.new_tensor, of_scales)


def _rows(cells: int, others: int) -> list[slice]:
    """Return which rows of similarities are computed at once."""
    step = max(1, _AT_ONCE // others)
    return [slice(start, min(start + step, cells)) for start in range(0, cells, step)]
