"""Cells of memories are kept for later frames as long as the memories are the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch

from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.memory_cells import CellsOfFrames, MemoryCells, joined_cells
from vostrack.models.memory_cues import Memory, Statistics
from vostrack.models.memory_reader import ByteMemoryReader, MemoryReader


def _memory(seed: int, objects: int = 1, cells: int = 30, channels: int = 16) -> Memory:
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int, width: int) -> torch.Tensor:
        return torch.randn(count, width, cells, generator=generator)

    zeros = torch.zeros(objects, 2, 2)
    return Memory(
        keys=torch.nn.functional.normalize(draw(1, channels), dim=1),
        values=draw(objects, 3),
        mask=torch.rand(objects, 1, cells, generator=generator),
        positions=draw(1, 2),
        statistics=Statistics(zeros, zeros),
    )


class _Counter:
    """Makes cells, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, memories: Sequence[Memory]) -> MemoryCells:
        self.calls += 1
        return joined_cells(memories)


def test_cells_are_made_once_for_the_same_memories() -> None:
    first, second, make, kept = _memory(0), _memory(1), _Counter(), CellsOfFrames()
    both = kept.of([first, second], make)
    assert kept.of((first, second), make) is both
    assert make.calls == 1
    # A part, another order and equal memories that are others are not the same.
    assert kept.of([first], make) is not both
    kept.of([second, first], make)
    kept.of([first, copy.copy(second)], make)
    assert make.calls == 4
    assert kept.of([first, second], make) is both


def test_those_read_last_are_kept() -> None:
    memories, make, kept = [_memory(k) for k in range(5)], _Counter(), CellsOfFrames()
    for memory in memories[:4]:
        kept.of([memory], make)
    kept.of([memories[0]], make)
    kept.of([memories[4]], make)
    assert make.calls == 5
    kept.of([memories[0]], make)
    assert make.calls == 5
    kept.of([memories[1]], make)
    assert make.calls == 6


def test_a_memory_that_is_gone_is_never_taken_for_another() -> None:
    make, kept = _Counter(), CellsOfFrames()
    for seed in range(20):
        memory = _memory(seed)
        assert torch.equal(kept.of([memory], make).values, memory.values)
        del memory
    assert make.calls == 20


def test_a_copy_begins_empty() -> None:
    reader, memory = MemoryReader(), _memory(0)
    query, places = torch.randn(1, 16, 2, 3), torch.zeros(1, 2, 2, 3)
    with torch.inference_mode():
        wanted = reader(query, places, [memory], None)
    copied = copy.deepcopy(reader)
    assert not copied._kept._kept
    with torch.no_grad():
        assert torch.equal(copied(query, places, [memory], None), wanted)


@pytest.mark.skipif(not has_fast_int8(), reason="no fast 8-bit convolutions here")
@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (20, 30)])
def test_reading_in_bytes_is_near_reading(objects: int, size: tuple[int, int]) -> None:
    reader = MemoryReader(nearness=2.0)
    memories = [_memory(k, objects, cells) for k, cells in enumerate((70, 33))]
    query = torch.randn(1, 16, *size, generator=torch.Generator().manual_seed(4))
    query, places = torch.nn.functional.normalize(query, dim=1), torch.zeros(1, 2, *size)
    bytewise = ByteMemoryReader(reader)
    with torch.no_grad():
        for near in (None, torch.ones(objects)):
            wanted = reader(query, places, memories, near)
            found = bytewise(query, places, memories, near)
            # Where distances count, nothing is kept, and floats are compared.
            assert torch.equal(found, wanted) == (near is not None)
            # Logits differ by some hundredths, and values lie between -3 and 3.
            torch.testing.assert_close(found, wanted, atol=0.15, rtol=0)
            assert float((found - wanted).abs().mean()) < 0.01
            assert torch.equal(bytewise(query, places, memories, near), found)
        matches = bytewise.matches(query, memories)
        torch.testing.assert_close(matches, reader.matches(query, memories), atol=0.05, rtol=0)
    assert dict(bytewise.named_parameters()).keys() == dict(reader.named_parameters()).keys()
