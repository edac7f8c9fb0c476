"""Reading a memory with both readers at once, against each of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.models import reader_gradients
from vostrack.models.memory_cues import Memory, Statistics
from vostrack.models.memory_reader import MemoryReader
from vostrack.models.reader_gradients import read_twice


@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("near", [0.0, 1.0])
def test_values_and_gradients_are_those_of_the_readers(
    objects: int, near: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 35 cells of the frame in rows of 4 and fewer.
    monkeypatch.setattr(reader_gradients, "_AT_ONCE", 4 * 33 + 5)
    generator = torch.Generator().manual_seed(3)
    draws = [torch.randn(size, generator=generator) for size in ((1, 9, 5, 7), (1, 9, 33))]
    draws.append(torch.randn((objects, 6, 33), generator=generator))
    mask = (3 * torch.rand((objects, 1, 33), generator=generator) - 1).clamp(0, 1)
    places = torch.rand((1, 2, 5, 7), generator=generator)
    weights = torch.randn((2, objects, 8, 5, 7), generator=generator)
    # The largest scales that were learned: plain exponentials would be infinite.
    readers = MemoryReader(scale=95.0), MemoryReader(scale=41.0, nearness=20.0)
    known = torch.full((objects,), near)
    found: list[list[Tensor | None]] = []
    for fast in (True, False):
        query, keys, values = leaves = [draw.clone().requires_grad_() for draw in draws]
        zeros = torch.zeros(objects, 2, 2)
        middle = places.mean((2, 3))[..., None].expand(1, 2, 33)
        memory = Memory(F.normalize(keys, dim=1), values, mask, middle, Statistics(zeros, zeros))
        looked = F.normalize(query, dim=1)
        reads = (
            read_twice(readers, looked, places, memory, known)
            if fast
            else (
                readers[0](looked, places, [memory], None),
                readers[1](looked, places, [memory], known),
            )
        )
        numbers = [*readers[0].parameters(), *readers[1].parameters()]
        for number in numbers:
            number.grad = None
        loss = (torch.stack(reads) * weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        found.append([*(read.detach() for read in reads), *(x.grad for x in leaves + numbers)])
    assert len(found[0]) == 8
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-3)
