"""The lattice against a dictionary of vertices, the transpose identity, a brute-force Gaussian."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.arrays import DoubleArray
from vostrack.errors import InputError
from vostrack.refine.dense_crf import LatticeFilter, build_lattice

Vertex = tuple[int, ...]


def _simplex(feature: DoubleArray) -> dict[Vertex, float]:
    """Vertices and weights around one point, from the definition of the lattice A*_d.

    A vertex of remainder r has all coordinates congruent r modulo d + 1 and zero sum. The point's
    barycentric weights follow from its sorted difference to the remainder-0 vertex.
    """
    d = len(feature)
    basis = np.zeros((d + 1, d))
    for j in range(d):
        basis[: j + 1, j] = 1
        basis[j + 1, j] = -(j + 1)
        basis[:, j] *= np.sqrt(2 / 3) * (d + 1) / np.sqrt((j + 1) * (j + 2))
    y = basis @ feature
    zero = np.ceil(y / (d + 1) - 0.5).astype(int) * (d + 1)
    order = sorted(range(d + 1), key=lambda i: (-(y[i] - zero[i]), i))
    surplus = zero.sum() // (d + 1)
    for i in order[d + 1 - surplus :] if surplus > 0 else []:
        zero[i] -= d + 1
    for i in order[:-surplus] if surplus < 0 else []:
        zero[i] += d + 1
    delta = y - zero
    order = sorted(range(d + 1), key=lambda i: -delta[i])
    ranked = delta[order]
    assert zero.sum() == 0
    assert ranked[0] - ranked[-1] <= d + 1 + 1e-9
    vertices = {}
    for r in range(d + 1):
        corner = zero + r
        corner[order[d + 1 - r :]] -= d + 1
        weight = (ranked[d - r] - ranked[d + 1 - r]) / (d + 1) if r > 0 else None
        vertices[tuple(int(c) for c in corner)] = weight
    rest = sum(w for w in vertices.values() if w is not None)
    return {v: 1 - rest if w is None else float(w) for v, w in vertices.items()}


def _dictionary_filter(
    features: DoubleArray, values: DoubleArray, transpose: bool = False
) -> DoubleArray:
    """Splat, blur and slice point by point and vertex by vertex; features (d, N), values (N, C)."""
    d, _ = features.shape
    corners = [_simplex(f) for f in features.T]
    lattice: dict[Vertex, DoubleArray] = defaultdict(lambda: np.zeros(values.shape[1]))
    for corner, value in zip(corners, values, strict=True):
        for vertex, weight in corner.items():
            lattice[vertex] = lattice[vertex] + weight * value
    directions = range(d, -1, -1) if transpose else range(d + 1)
    for direction in directions:
        step = np.full(d + 1, -1)
        step[direction] = d
        blurred = {}
        for vertex, value in lattice.items():
            total = value.copy()
            for sign in (1, -1):
                total += 0.5 * lattice.get(tuple(np.add(vertex, sign * step).tolist()), 0.0)
            blurred[vertex] = total
        lattice = defaultdict(lambda: np.zeros(values.shape[1]), blurred)
    sliced = [sum(w * lattice[v] for v, w in corner.items()) for corner in corners]
    response: DoubleArray = np.stack(sliced) / (1 + 2.0**-d)
    return response


def _brute_force(features: Tensor, values: Tensor) -> Tensor:
    distance = torch.cdist(features.T, features.T)
    kernel = torch.exp(-0.5 * distance**2)
    return (kernel @ values) / kernel.sum(1, keepdim=True)


def _normalised(operator: LatticeFilter, values: Tensor) -> Tensor:
    return operator(values) / operator(torch.ones_like(values[:, :1]))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize(
    ("dimension", "points", "spread"), [(1, 13, 4.0), (2, 37, 2.0), (3, 29, 1.5), (5, 41, 1.0)]
)
def test_agrees_with_a_dictionary_of_vertices(
    dimension: int, points: int, spread: float, transpose: bool
) -> None:
    rng = np.random.default_rng(dimension)
    features = rng.normal(size=(dimension, points)) * spread
    values = rng.normal(size=(points, 3))
    expected = _dictionary_filter(features, values, transpose)
    actual = LatticeFilter(torch.from_numpy(features))(torch.from_numpy(values), transpose)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 5, 16])
def test_weights_are_barycentric(dimension: int) -> None:
    features = torch.randn(dimension, 101, dtype=torch.float64) * 3
    lattice = build_lattice(features)
    assert lattice.weights.min() >= -1e-12
    torch.testing.assert_close(lattice.weights.sum(0), torch.ones(101, dtype=torch.float64))
    assert lattice.vertices.max() == lattice.size - 1


@pytest.mark.parametrize("dimension", [2, 3, 5, 7])
def test_adjoint_identity(dimension: int) -> None:
    generator = torch.Generator().manual_seed(dimension)
    features = torch.randn(dimension, 503, dtype=torch.float64, generator=generator)
    x, y = torch.randn(2, 503, 4, dtype=torch.float64, generator=generator)
    operator = LatticeFilter(features)
    forward = (operator(x) * y).sum()
    backward = (x * operator(y, transpose=True)).sum()
    assert abs(forward - backward) < 1e-10 * abs(forward).clamp(min=1)


def test_transpose_is_not_the_operator_itself_on_a_sparse_lattice() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 200, dtype=torch.float64, generator=generator) * 2
    values = torch.randn(200, 1, dtype=torch.float64, generator=generator)
    operator = LatticeFilter(features)
    assert (operator(values) - operator(values, transpose=True)).abs().max() > 1e-3


def test_gradient_is_the_transpose() -> None:
    generator = torch.Generator().manual_seed(1)
    operator = LatticeFilter(torch.randn(4, 17, dtype=torch.float64, generator=generator))
    values = torch.randn(17, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(operator, (values,))
    assert torch.autograd.gradgradcheck(operator, (values,))


def test_spatial_filter_is_a_gaussian_within_the_lattice_error() -> None:
    y, x = torch.meshgrid(torch.arange(34.0), torch.arange(60.0), indexing="ij")
    features = torch.stack([x.reshape(-1), y.reshape(-1)]).double() / 3
    generator = torch.Generator().manual_seed(2)
    values = (torch.rand(34 * 60, 2, generator=generator) > 0.5).double()
    error = (_normalised(LatticeFilter(features), values) - _brute_force(features, values)).abs()
    assert error.max() < 0.06
    assert error.mean() < 0.01


def test_bilateral_filter_is_a_gaussian_on_average() -> None:
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    colours = (x > 14).double().reshape(1, -1) * 5 + torch.rand(3, 720, generator=generator)
    positions = torch.stack([x.reshape(-1), y.reshape(-1)]).double() / 10
    features = torch.cat([positions, colours])
    values = (y.reshape(-1, 1) > 11).double()
    error = (_normalised(LatticeFilter(features), values) - _brute_force(features, values)).abs()
    assert error.mean() < 0.03


def test_constant_is_reproduced_in_the_interior() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(41.0), indexing="ij")
    features = torch.stack([x.reshape(-1), y.reshape(-1)]).double() / 2
    response = LatticeFilter(features)(torch.ones(1640, 1, dtype=torch.float64)).reshape(40, 41)
    interior = response[12:-12, 12:-12]
    # 2**3 of blur mass times 1 / (1 + 2**-2), at sigma = 2 pixels; in units of the standard
    # deviation a vertex's hexagonal cell has an area of sqrt(3) / 2.
    points_per_vertex = 4 * np.sqrt(3) / 2
    assert interior.mean() == pytest.approx(8 / 1.25 * points_per_vertex, rel=0.02)
    assert interior.std() < 0.05 * interior.mean()


def test_wide_coordinates_are_hashed_and_give_the_same_lattice() -> None:
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(12, 60, dtype=torch.float64, generator=generator) * 40
    features[:, 30:] = features[:, :30] + 0.01
    values = torch.randn(60, 1, dtype=torch.float64, generator=generator)
    expected = _dictionary_filter(features.numpy(), values.numpy())
    np.testing.assert_allclose(LatticeFilter(features)(values).numpy(), expected, atol=1e-12)


def test_half_precision_contexts_leave_it_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    operator = LatticeFilter(torch.randn(3, 40, generator=generator))
    values = torch.rand(40, 2, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = operator(values)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, operator(values), rtol=0, atol=0)


def test_single_point() -> None:
    response = LatticeFilter(torch.zeros(2, 1))(torch.ones(1, 1))
    assert response.shape == (1, 1)
    assert float(response) > 0


def test_neighbours_are_mutual() -> None:
    lattice = build_lattice(torch.randn(3, 90, dtype=torch.float64))
    for direction, vertex in itertools.product(range(4), range(lattice.size)):
        before = int(lattice.neighbours[direction, 0, vertex])
        if before < lattice.size:
            assert int(lattice.neighbours[direction, 1, before]) == vertex


@pytest.mark.parametrize(
    "features",
    [torch.zeros(3), torch.zeros(2, 0), torch.zeros(2, 4, dtype=torch.int64)],
)
def test_unusable_features_are_refused(features: Tensor) -> None:
    with pytest.raises(InputError, match="expected floating-point features"):
        build_lattice(features)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_features_out_of_range_are_refused(value: float) -> None:
    features = torch.zeros(2, 4)
    features[1, 2] = value
    with pytest.raises(InputError, match="larger standard deviations"):
        build_lattice(features)


def test_values_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(5, C\)"):
        LatticeFilter(torch.zeros(2, 5))(torch.zeros(4, 1))
