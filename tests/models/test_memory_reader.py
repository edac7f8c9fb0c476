"""Reading memories, and the classifier in closed form, against direct sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vostrack.models.memory_cues import (
    Memory,
    RidgeRegression,
    Statistics,
    confident_cells,
    cover,
)
from vostrack.models.memory_reader import MemoryReader
from vostrack.models.regions import Regions


def draw_memory(objects: int, cells: int, seed: int = 0) -> Memory:
    generator = torch.Generator().manual_seed(seed)

    def draw(channels: int) -> torch.Tensor:
        return torch.randn(objects, channels, cells, generator=generator)

    zeros = torch.zeros(objects, 2, 2)
    return Memory(
        keys=torch.nn.functional.normalize(draw(5), dim=1),
        values=draw(3),
        mask=torch.rand(objects, 1, cells, generator=generator),
        positions=draw(2),
        statistics=Statistics(zeros, zeros),
    )


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_reading_is_the_softmax_of_similarity_and_distance(near: float) -> None:
    reader = MemoryReader(scale=7.0, nearness=3.0)
    first, second = draw_memory(1, 4), draw_memory(1, 6, seed=1)
    query = torch.nn.functional.normalize(torch.randn(1, 5, 2, 3), dim=1)
    places = torch.randn(1, 2, 2, 3)
    with torch.no_grad():
        read = reader(query, places, [first, second], torch.tensor([near]))
    for y in range(2):
        for x in range(3):
            logits, values, cover = [], [], []
            for memory in (first, second):
                for cell in range(memory.keys.shape[2]):
                    cosine = float(query[0, :, y, x] @ memory.keys[0, :, cell])
                    gap = places[0, :, y, x] - memory.positions[0, :, cell]
                    logits.append(7 * cosine - near * 3 * float(gap @ gap))
                    values.append(memory.values[0, :, cell].numpy())
                    cover.append(float(memory.mask[0, 0, cell]))
            weights = np.exp(logits) / np.exp(logits).sum()
            expected = (weights[:, None] * np.stack(values)).sum(0)
            np.testing.assert_allclose(read[0, :3, y, x], expected, atol=1e-5)
            scores = np.array(logits) / 7
            inside = (scores + 0.3 * np.log(np.clip(cover, 1e-4, 1))).max()
            outside = (scores + 0.3 * np.log(np.clip(1 - np.array(cover), 1e-4, 1))).max()
            wanted = np.maximum([inside - outside, inside], -3)
            np.testing.assert_allclose(read[0, 3:, y, x], wanted, atol=1e-5)


@pytest.mark.parametrize("nearness", [None, 4.0])
@pytest.mark.parametrize("masks", ["soft", "one empty", "all empty", "all full"])
def test_what_objects_share_is_read_as_if_each_had_its_own(
    nearness: float | None, masks: str
) -> None:
    reader = MemoryReader(nearness=nearness)
    memory = draw_memory(3, 40)
    mask = (2 * memory.mask - 0.8).clamp(0, 1)
    if masks == "one empty":
        mask[1] = 0
    elif masks != "soft":
        mask.fill_(masks == "all full")
    own = replace(memory, mask=mask, keys=memory.keys[:1], positions=memory.positions[:1])
    each = replace(own, keys=own.keys.expand(3, -1, -1), positions=own.positions.expand(3, -1, -1))
    query = torch.nn.functional.normalize(torch.randn(1, 5, 3, 4), dim=1)
    places, near = torch.randn(3, 2, 3, 4), torch.tensor([1.0, 0.0, 1.0])
    with torch.no_grad():
        shared = reader(query, places, [own, own], near)
        apart = reader(query.expand(3, -1, -1, -1), places, [each, each], near)
    # Cells covered to less than 0.0001 count as empty: 0.3 times that.
    torch.testing.assert_close(shared, apart, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(6, 8), (3, 4), (5, 7)])
def test_cover_is_the_mean_under_each_cell(size: tuple[int, int]) -> None:
    mask = torch.rand(2, 1, 12, 16)
    found = cover(mask, size)
    rows = [(12 * k // size[0], -(-12 * (k + 1) // size[0])) for k in range(size[0])]
    columns = [(16 * k // size[1], -(-16 * (k + 1) // size[1])) for k in range(size[1])]
    for y, (top, bottom) in enumerate(rows):
        for x, (left, right) in enumerate(columns):
            expected = mask[:, 0, top:bottom, left:right].mean((1, 2))
            torch.testing.assert_close(found[:, 0, y, x], expected)


def test_the_classifier_is_weighted_ridge_regression() -> None:
    torch.manual_seed(1)
    regression = RidgeRegression(penalty=0.2).double()
    x, y = torch.randn(1, 4, 3, 5).double(), torch.randn(1, 2, 3, 5).double()
    mask = torch.zeros(1, 1, 3, 5).double()
    mask[..., :1, :2] = 1
    with torch.no_grad():
        found = regression(x, regression.statistics(x, y, mask))
    # 2 of 15 cells are object: their share is raised to a quarter, the others' is 3 quarters.
    weight = np.where(mask.numpy().ravel() > 0, 0.25 / 2, 0.75 / 13)
    rows, targets = x.flatten(2)[0].T.numpy(), y.flatten(2)[0].T.numpy()
    gram = (rows * weight[:, None]).T @ rows + 0.2 * np.eye(4)
    solution = np.linalg.solve(gram, (rows * weight[:, None]).T @ targets)
    np.testing.assert_allclose(found.flatten(2)[0].T.numpy(), rows @ solution, rtol=1e-6)


def test_only_certain_cells_count_where_asked() -> None:
    cells = torch.zeros(1, 1, 5, 6)
    cells[..., 1:4, 1:4] = 1
    cells[..., 2, 3] = 0.5
    certain = confident_cells(cells)[0, 0]
    # Cells beside the object are void, the half covered one too.
    expected = torch.zeros(5, 6)
    expected[1:4, 1:4] = 1
    expected[2, 3] = 0
    expected[:, 5] = 1
    assert torch.equal(certain, expected)
    regression = RidgeRegression()
    x, y = torch.randn(1, 3, 5, 6), torch.randn(1, 2, 5, 6)
    counted = expected[None, None]
    one = regression.statistics(x, y, cells, counted)
    wild = torch.where(counted > 0, x, 100 * torch.ones(()))
    other = regression.statistics(wild, y, cells, counted)
    torch.testing.assert_close(one.gram, other.gram)
    assert not torch.allclose(one.gram, regression.statistics(x, y, cells).gram)


@pytest.mark.parametrize("count", [1, 3])
def test_matches_are_a_part_of_what_is_read(count: int) -> None:
    reader = MemoryReader(scale=7.0)
    drawn = draw_memory(count, 30)
    memory = replace(drawn, keys=drawn.keys[:1], mask=(2 * drawn.mask - 0.8).clamp(0, 1))
    query = torch.nn.functional.normalize(torch.randn(1, 5, 3, 4), dim=1)
    with torch.no_grad():
        read = reader(query, torch.zeros(1, 2, 3, 4), [memory], None)
        assert torch.equal(reader.matches(query, [memory]), read[:, -2].flatten(1))
    # With gradients, products are those of matrices in place of convolutions.
    torch.testing.assert_close(reader(query, torch.zeros(1, 2, 3, 4), [memory], None), read)


@pytest.mark.parametrize("near", [None, [1.0, 0.0, 1.0]])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_reading_in_parts_is_reading_at_once(
    rows: int, count: int, near: list[float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is computed with gradients, all rows at once, is the reference."""
    reader = MemoryReader(scale=50.0, nearness=3.0)
    drawn = [draw_memory(count, 37), draw_memory(count, 12, seed=1)]
    memories = [
        replace(m, keys=m.keys[:1], positions=m.positions[:1], mask=(2 * m.mask - 0.8).clamp(0, 1))
        for m in drawn
    ]
    query = torch.nn.functional.normalize(torch.randn(1, 5, 7, 5), dim=1)
    places = torch.randn(1, 2, 7, 5)
    counts = None if near is None else torch.tensor(near[:count])
    regions = Regions(((0, 0), (3, 1), (2, 2))[:count], (4, 3))
    for where in (None, regions):
        wanted = reader(query, places, memories, counts, where)
        monkeypatch.setattr("vostrack.models.memory_reader._FEWEST_ROWS", rows)
        monkeypatch.setattr("vostrack.models.memory_reader._CACHED", 1)
        with torch.no_grad():
            found = reader(query, places, memories, counts, where)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_rows_are_read_as_few_as_stay_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vostrack.models.memory_reader._FEWEST_ROWS", 3)
    monkeypatch.setattr("vostrack.models.memory_reader._CACHED", 5 * 40)
    reader, memory, seen = MemoryReader(), draw_memory(1, 40), []

    def counted(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        if others.shape[1:] == (40, 5):  # keys, not values
            seen.append(rows.shape[1])
        return rows @ others.mT

    monkeypatch.setattr("vostrack.models.memory_reader._products", counted)
    query = torch.nn.functional.normalize(torch.randn(1, 5, 4, 3), dim=1)
    with torch.no_grad():
        reader(query, torch.zeros(1, 2, 4, 3), [memory], None)
    reader(query, torch.zeros(1, 2, 4, 3), [memory], None)
    assert seen == [4, 4, 4, 12]


@pytest.mark.parametrize("nearness", [None, 3.0])
def test_objects_that_share_a_frame_are_read_as_alone(nearness: float | None) -> None:
    """Cells that no object covers, one covers, several cover, and an object without a cell."""
    reader = MemoryReader(scale=7.0, nearness=nearness)
    memories = [draw_memory(3, 9), draw_memory(3, 5, seed=1)]
    share = memories[0].mask * 0
    share[0, 0, 1:4], share[1, 0, 3:6], share[0, 0, 7] = 0.4, 1, 5e-5
    memories = [
        replace(m, keys=m.keys[:1].clone().requires_grad_(), mask=mask)
        for m, mask in zip(memories, (share, share[..., :5].roll(2, -1)), strict=True)
    ]
    query = torch.nn.functional.normalize(torch.randn(1, 5, 2, 3), dim=1).requires_grad_()
    places, near = torch.randn(3, 2, 2, 3), torch.tensor([1.0, 0.0, 1.0])
    given = [query, *(m.keys for m in memories), *reader.parameters()]
    together = reader(query, places, memories, near)
    alone = torch.cat(
        [
            reader(query, places[k : k + 1], [m.part(one) for m in memories], near[one])
            for k, one in enumerate(torch.tensor([[0], [1], [2]]))
        ]
    )
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(together[2], alone[2], atol=1e-5, rtol=1e-5)
    factors = torch.randn_like(alone)
    for found, wanted in zip(
        torch.autograd.grad((together * factors).sum(), given),
        torch.autograd.grad((alone * factors).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_a_part_of_a_memory_is_of_those_objects() -> None:
    memory, index = draw_memory(3, 4), torch.tensor([2, 0])
    part = memory.part(index)
    for name in ("keys", "values", "mask", "positions"):
        assert torch.equal(getattr(part, name), getattr(memory, name)[index])
    shared = replace(memory, keys=memory.keys[:1]).part(index)
    assert torch.equal(shared.keys, memory.keys[:1])
