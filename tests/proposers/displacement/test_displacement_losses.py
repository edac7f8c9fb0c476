"""Pairs, paths and losses against loops over single pairs of cells, written from the equations."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.displacement.losses import affinity, boundary_loss, displacement_losses
from vostrack.proposers.displacement.pairs import half_disc_offsets, path_cells, path_maximum

RADIUS = 4.0


@pytest.mark.parametrize(
    ("radius", "pairs", "shortest", "longest", "total"),
    [(10, 152, 2, 22, 2134), (5, 34, 2, 11, 242)],
)
def test_pairs_and_paths_have_the_published_sizes(
    radius: float, pairs: int, shortest: int, longest: int, total: int
) -> None:
    offsets = half_disc_offsets(radius)
    lengths = [len(path_cells(offset)) for offset in offsets]
    assert len(offsets) == pairs
    assert (min(lengths), max(lengths), sum(lengths)) == (shortest, longest, total)


def test_every_unordered_pair_comes_once() -> None:
    offsets = set(half_disc_offsets(5))
    for dy, dx in itertools.product(range(-6, 7), repeat=2):
        if (dy, dx) != (0, 0):
            near = math.hypot(dy, dx) < 5
            assert ((dy, dx) in offsets) + ((-dy, -dx) in offsets) == near


def test_path_contains_both_ends_and_a_line_is_its_own_path() -> None:
    assert path_cells((0, 3)) == ((0, 0), (0, 1), (0, 2), (0, 3))
    assert path_cells((3, 0)) == ((0, 0), (1, 0), (2, 0), (3, 0))
    for offset in half_disc_offsets(6):
        assert path_cells(offset)[0] == (0, 0)
        assert offset in path_cells(offset)


def cells_between(i: tuple[int, int], j: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells of the rectangle of i and j less than 1 from the line through both."""
    (y0, x0), (y1, x1) = i, j
    rows = range(min(y0, y1), max(y0, y1) + 1)
    columns = range(min(x0, x1), max(x0, x1) + 1)
    length = math.dist(i, j)
    return [
        (y, x)
        for y in rows
        for x in columns
        if abs((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / length < 1 - 1e-12
    ]


def all_pairs(height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    cells = list(itertools.product(range(height), range(width)))
    return [(i, j) for i, j in itertools.combinations(cells, 2) if math.dist(i, j) < RADIUS]


def kind_of(regions: Tensor, i: tuple[int, int], j: tuple[int, int]) -> str | None:
    if any(int(regions[cell]) == -1 for cell in cells_between(i, j)):
        return None
    if regions[i] != regions[j]:
        return "apart"
    return "fg" if regions[i] != 0 else "bg"


def draw(height: int, width: int, *, void: bool) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    field = torch.randn(2, 2, height, width, generator=generator, dtype=torch.float64)
    boundary = torch.rand(2, 1, height, width, generator=generator, dtype=torch.float64)
    regions = torch.randint(0, 3, (2, height, width), generator=generator)
    regions = regions.repeat_interleave(2, 2)[..., :width]
    if void:
        regions[torch.rand(regions.shape, generator=generator) < 0.08] = -1
    return field, boundary, regions


SIZES = [(7, 9), (1, 6), (5, 2), (3, 3)]


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_displacement_losses_equal_a_loop_over_pairs(size: tuple[int, int], void: bool) -> None:
    field, _, regions = draw(*size, void=void)
    sums, counts = {"fg": 0.0, "bg": 0.0}, {"fg": 0, "bg": 0}
    for image in range(2):
        for i, j in all_pairs(*size):
            kind = kind_of(regions[image], i, j)
            if kind not in sums:
                continue
            for axis in range(2):
                change = float(field[image, axis][i] - field[image, axis][j])
                wanted = j[axis] - i[axis] if kind == "fg" else 0
                sums[kind] += abs(change - wanted)
            counts[kind] += 2
    foreground, background = displacement_losses(field, regions, half_disc_offsets(RADIUS))
    assert float(foreground) == pytest.approx(sums["fg"] / max(counts["fg"], 1), abs=1e-4)
    assert float(background) == pytest.approx(sums["bg"] / max(counts["bg"], 1), abs=1e-4)


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_boundary_loss_equals_a_loop_over_pairs(size: tuple[int, int], void: bool) -> None:
    _, boundary, regions = draw(*size, void=void)
    costs: dict[str, list[float]] = {"fg": [], "bg": [], "apart": []}
    for image in range(2):
        for i, j in all_pairs(*size):
            kind = kind_of(regions[image], i, j)
            if kind is None:
                continue
            linked = 1 - max(float(boundary[image, 0][cell]) for cell in cells_between(i, j))
            costs[kind].append(
                -math.log(1 + 1e-5 - linked) if kind == "apart" else -math.log(linked + 1e-5)
            )
    means = {kind: sum(values) / max(len(values), 1) for kind, values in costs.items()}
    expected = 0.5 * means["fg"] + 0.5 * means["bg"] + means["apart"]
    result = boundary_loss(boundary, regions, half_disc_offsets(RADIUS))
    assert float(result) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("offset", [(0, 3), (2, -3), (3, 1), (3, -1)])
def test_affinity_equals_a_loop_over_sources(offset: tuple[int, int]) -> None:
    boundary = torch.rand(6, 7, generator=torch.Generator().manual_seed(0))
    result = affinity(boundary, offset)
    dy, dx = offset
    expected = [
        1 - max(float(boundary[cell]) for cell in cells_between((y, x), (y + dy, x + dx)))
        for y in range(6 - dy)
        for x in range(7)
        if 0 <= x + dx < 7
    ]
    torch.testing.assert_close(result.flatten(), torch.tensor(expected))


def test_gradients_are_those_of_the_values() -> None:
    field, boundary, regions = draw(5, 6, void=True)
    offsets = half_disc_offsets(3)
    field.requires_grad_()
    boundary.requires_grad_()
    assert torch.autograd.gradcheck(lambda b: boundary_loss(b, regions, offsets), boundary)
    assert torch.autograd.gradcheck(lambda f: displacement_losses(f, regions, offsets), field)


def test_path_gradient_goes_to_one_of_equal_cells() -> None:
    maps = torch.ones(1, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(path_maximum(maps, (0, 3)).sum(), maps)
    assert gradient.tolist() == [[1, 0, 0, 0]]


def test_a_perfect_field_costs_nothing_and_a_constant_does_not_count() -> None:
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(9.0), indexing="ij")
    regions = torch.ones(1, 8, 9, dtype=torch.int64)
    field = torch.stack([3 - rows, 4 - columns])[None] + 17
    foreground, background = displacement_losses(field, regions, half_disc_offsets(5))
    assert float(foreground) == pytest.approx(0, abs=1e-5)
    assert float(background) == 0


def test_relabelling_regions_changes_nothing() -> None:
    field, boundary, regions = draw(7, 8, void=True)
    offsets = half_disc_offsets(RADIUS)
    swapped = torch.where(regions > 0, 300 - regions, regions)
    assert displacement_losses(field, swapped, offsets) == displacement_losses(
        field, regions, offsets
    )
    assert boundary_loss(boundary, swapped, offsets) == boundary_loss(boundary, regions, offsets)


def test_bad_input_is_refused() -> None:
    regions = torch.zeros(1, 4, 5, dtype=torch.int64)
    with pytest.raises(InputError, match="field"):
        displacement_losses(torch.zeros(1, 1, 4, 5), regions, half_disc_offsets(3))
    with pytest.raises(InputError, match="boundary"):
        boundary_loss(torch.zeros(1, 1, 5, 5), regions, half_disc_offsets(3))
    with pytest.raises(InputError, match="radius"):
        half_disc_offsets(1)
