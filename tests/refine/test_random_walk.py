from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

from vostrack.errors import InputError
from vostrack.refine.random_walk import (
    RandomWalkConfig,
    chebyshev_power,
    random_walk,
    transition_matrix,
)

OFFSETS = [
    (dy, dx)
    for dy in range(5)
    for dx in range(-4, 5)
    if (dy, dx) > (0, 0) and dy * dy + dx * dx < 25
]


def draw_affinities(height: int, width: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.rand(max(height - dy, 0), max(width - abs(dx), 0), generator=generator)
        for dy, dx in OFFSETS
    ]


def dense_transitions(
    affinities: list[torch.Tensor], height: int, width: int, exponent: float
) -> np.ndarray:
    """The matrix of eq. 17, one pair of cells at a time, in double precision."""
    matrix = np.eye(height * width)
    for (dy, dx), values in zip(OFFSETS, affinities, strict=True):
        for row in range(height - dy):
            for column in range(width):
                if not 0 <= column + dx < width:
                    continue
                value = float(values[row, column - max(-dx, 0)]) ** exponent
                i, j = row * width + column, (row + dy) * width + column + dx
                matrix[i, j] = matrix[j, i] = value
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("size", [(9, 7), (3, 11), (1, 5), (1, 1)])
@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_walk_equals_the_power_of_the_dense_matrix(size: tuple[int, int], tolerance: float) -> None:
    affinities = draw_affinities(*size)
    scores = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    result = random_walk(
        scores, affinities, OFFSETS, RandomWalkConfig(4.0, 256, tolerance=tolerance)
    )
    dense = np.linalg.matrix_power(dense_transitions(affinities, *size, 4.0), 256)
    expected = scores.reshape(3, -1).double().numpy() @ dense.T
    np.testing.assert_allclose(result.reshape(3, -1).numpy(), expected, atol=1e-5)


def test_strong_boundaries_and_many_steps_agree_with_the_dense_matrix() -> None:
    """With beta 10 most links are weak: the matrix is nearly reducible, the hard case."""
    affinities = [values.round() * 0.9 for values in draw_affinities(12, 10, seed=3)]
    scores = torch.rand(2, 12, 10, generator=torch.Generator().manual_seed(1))
    result = random_walk(scores, affinities, OFFSETS)
    dense = np.linalg.matrix_power(dense_transitions(affinities, 12, 10, 10.0), 256)
    expected = scores.reshape(2, -1).double().numpy() @ dense.T
    np.testing.assert_allclose(result.reshape(2, -1).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 256])
def test_constants_are_kept(steps: int) -> None:
    scores = torch.full((2, 8, 9), 0.7)
    result = random_walk(scores, draw_affinities(8, 9), OFFSETS, RandomWalkConfig(steps=steps))
    torch.testing.assert_close(result, scores, atol=2e-5, rtol=0)


def test_no_step_changes_nothing() -> None:
    scores = torch.rand(2, 5, 6)
    result = random_walk(scores, draw_affinities(5, 6), OFFSETS, RandomWalkConfig(steps=0))
    torch.testing.assert_close(result, scores)


def test_a_closed_boundary_is_never_crossed() -> None:
    side = torch.zeros(10, 12)
    side[:, 6:] = 1
    affinities = []
    for dy, dx in OFFSETS:
        left = max(-dx, 0)
        width = 12 - abs(dx)
        source = side[: 10 - dy, left : left + width]
        target = side[dy:, left + dx : left + dx + width]
        affinities.append((source == target).float())
    scores = torch.zeros(1, 10, 12)
    scores[0, 4, 2] = 1
    result = random_walk(scores, affinities, OFFSETS)
    assert float(result[0, :, 6:].abs().max()) < 1e-6
    assert float(result[0, :, :6].min()) > 1e-4


def test_inactive_cells_are_as_if_they_were_outside() -> None:
    affinities = draw_affinities(9, 12)
    scores = torch.rand(2, 9, 12, generator=torch.Generator().manual_seed(1))
    active = torch.zeros(9, 12, dtype=torch.bool)
    active[:, :7] = True
    result = random_walk(scores, affinities, OFFSETS, active=active)
    cut = [
        values[:, : max(7 - abs(dx), 0)]
        for (_, dx), values in zip(OFFSETS, affinities, strict=True)
    ]
    expected = random_walk(scores[..., :7], cut, OFFSETS)
    torch.testing.assert_close(result[..., :7], expected)
    assert float(result[..., 7:].abs().max()) == 0


def test_scores_fade_to_zero_and_not_to_subnormal_numbers() -> None:
    """With numbers below 1e-38 processors are many times slower."""
    spot = torch.zeros(1, 48, 48)
    spot[0, 5, 5] = 1
    weak = [torch.full((48 - dy, 48 - abs(dx)), 0.02) for dy, dx in OFFSETS]
    result = random_walk(spot, weak, OFFSETS)
    assert not bool(((result != 0) & (result.abs() < 1e-20)).any())
    assert float(result[0, 5, 5]) == pytest.approx(1, abs=1e-4)


def test_rows_of_the_matrix_sum_to_one() -> None:
    active = torch.rand(8, 9, generator=torch.Generator().manual_seed(5)) > 0.3
    matrix = transition_matrix(draw_affinities(8, 9), OFFSETS, active, 10.0)
    torch.testing.assert_close(matrix.to_dense().sum(1), torch.ones(int(active.sum())))
    rows = matrix.col_indices().reshape(len(matrix), -1)
    assert bool((rows.diff(dim=1) >= 0).all()), "columns of a row must ascend"


@pytest.mark.parametrize("steps", [1, 2, 5, 64, 256])
def test_expansion_equals_the_power(steps: int) -> None:
    x = np.linspace(-1, 1, 401)
    coefficients = np.array(chebyshev_power(steps, 1e-7))
    np.testing.assert_allclose(chebyshev.chebval(x, coefficients), x**steps, atol=2e-7)
    assert math.isclose(coefficients.sum(), 1, abs_tol=1e-12)


def test_expansion_needs_about_the_root_of_the_steps() -> None:
    assert len(chebyshev_power(256, 1e-6)) <= 85


def test_bad_input_is_refused() -> None:
    affinities = draw_affinities(5, 6)
    with pytest.raises(InputError, match="scores"):
        random_walk(torch.rand(5, 6), affinities, OFFSETS)
    with pytest.raises(InputError, match="one affinity map"):
        random_walk(torch.rand(1, 5, 6), affinities[1:], OFFSETS)
    with pytest.raises(InputError, match="shape"):
        random_walk(torch.rand(1, 6, 6), affinities, OFFSETS)
    with pytest.raises(InputError, match="dy > 0"):
        random_walk(torch.rand(1, 5, 6), affinities[:1], [(0, -1)])
    with pytest.raises(InputError, match="tolerance"):
        RandomWalkConfig(tolerance=1.0)
