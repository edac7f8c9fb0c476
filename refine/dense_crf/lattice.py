"""The permutohedral lattice of a set of feature vectors (Adams et al. 2010), in tensor operations.

Every point lies in one simplex of the lattice. Gaussian filtering needs its d + 1 vertices, the
barycentric weights, and the two neighbours of each vertex along each of the d + 1 lattice
directions. Nothing here loops over points, so the same code runs on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vostrack.errors import InputError

__all__ = ["PermutohedralLattice", "build_lattice"]

_CODE_LIMIT = 2**62
_HASH_SEEDS = (11, 23, 47, 95)


@dataclass(frozen=True)
class PermutohedralLattice:
    """A lattice of N points in d dimensions with M occupied vertices.

    Attributes:
        vertices: (d + 1, N) int64 in [0, M), the vertices of the simplex around each point.
        weights: (d + 1, N) in [0, 1], the barycentric weights. Each column sums to one.
        neighbours: (d + 1, 2, M) int64 in [0, M], the previous and next vertex along each
            direction. M stands for an unoccupied vertex.
        order: ((d + 1) * N,) int64, positions in the flattened ``vertices``, by ascending vertex.
    """

    vertices: Tensor
    weights: Tensor
    neighbours: Tensor
    order: Tensor

    @property
    def dimension(self) -> int:
        """d, the length of a feature vector."""
        return self.vertices.shape[0] - 1

    @property
    def points(self) -> int:
        """N, the number of points."""
        return self.vertices.shape[1]

    @property
    def size(self) -> int:
        """M, the number of occupied vertices."""
        return self.neighbours.shape[2]


def build_lattice(features: Tensor) -> PermutohedralLattice:
    """Embed feature vectors in the lattice and connect its occupied vertices.

    Args:
        features: (d, N) float32 or float64 with d, N >= 1, in units of the kernel's standard
            deviation.

    Returns:
        The lattice, with the device and the dtype of the features. It has no gradient.

    Raises:
        InputError: the shape is not (d, N), a value is not finite, or values are so large (a
            standard deviation so small) that lattice coordinates are not distinguishable.
    """
    if features.ndim != 2 or min(features.shape) < 1 or not features.is_floating_point():
        raise InputError(
            "build_lattice: expected floating-point features of shape (d, N) with d, N >= 1, "
            f"got {features.dtype} of shape {tuple(features.shape)}"
        )
    features = features.detach()
    limit = 0.01 / torch.finfo(features.dtype).eps
    largest = float(features.abs().max())
    if not largest < limit:  # also true of NaN
        raise InputError(
            f"build_lattice: expected finite features below {limit:.0f} standard deviations, got "
            f"{largest}; check the image for NaN, or use larger standard deviations"
        )
    origin, rank, weights = _enclosing_simplex(features)
    vertices, neighbours, order = _connect(origin, rank)
    return PermutohedralLattice(vertices, weights, neighbours, order)


def _enclosing_simplex(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the remainder-0 vertex, the rank and the weights of each point, each (d + 1, N)."""
    d, count = features.shape
    elevated = _elevate(features)
    # The nearest point of the coarse lattice. Its coordinates need not sum to zero yet.
    origin = torch.ceil(elevated / (d + 1) - 0.5)
    excess = origin.sum(0).to(torch.int64)
    origin = origin * (d + 1)
    delta = elevated - origin
    rank = excess.repeat(d + 1, 1)
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            below = delta[i] < delta[j]
            rank[i] += below
            rank[j] += ~below
    # Move the point to the plane: the coordinates with the largest rounding change by d + 1.
    wrap = (rank < 0).to(torch.int64) - (rank > d).to(torch.int64)
    wrap *= d + 1
    rank += wrap
    origin = origin + wrap.to(origin.dtype)

    step = (elevated - origin) / (d + 1)
    weights = step.new_zeros(d + 2, count)
    weights.scatter_add_(0, d - rank, step)
    weights.scatter_add_(0, d + 1 - rank, -step)
    weights[0] += 1 + weights[d + 1]
    return origin.to(torch.int64), rank, weights[: d + 1].contiguous()


def _elevate(features: Tensor) -> Tensor:
    """Map (d, N) features isometrically onto the plane of zero sum in d + 1 coordinates.

    With this scale, one blur of the lattice is a Gaussian with unit standard deviation.
    """
    d, count = features.shape
    elevated = features.new_empty(d + 1, count)
    tail = features.new_zeros(count)
    for j in range(d, 0, -1):
        scale = (2 / 3) ** 0.5 * (d + 1) / (j * (j + 1)) ** 0.5
        scaled = features[j - 1] * scale
        elevated[j] = tail - j * scaled
        tail = tail + scaled
    elevated[0] = tail
    return elevated


def _connect(origin: Tensor, rank: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number the occupied vertices, find their neighbours, and sort the corners of the simplices.

    A vertex is identified by its first d coordinates, because they sum to zero. A *linear* code
    packs them into one integer, so that a step along a direction adds a constant to the code.
    """
    d = origin.shape[0] - 1
    coordinates = origin[:d]
    for factors, exact in _code_factors(coordinates):
        codes = _vertex_codes(coordinates, rank[:d], factors)
        occupied, vertices, order = _numbered(codes)
        if exact or _codes_are_unique(coordinates, rank[:d], vertices, len(occupied)):
            return vertices, _neighbours(occupied, factors), order
    raise AssertionError("four random linear codes of the same vertices collided")


def _numbered(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number the distinct codes in ascending order. Splatting reuses the sort order.

    Returns:
        The distinct codes (M,), the number of each code, and the order of the flattened codes.
    """
    ascending, order = torch.sort(codes.reshape(-1), stable=True)
    starts = torch.ones_like(ascending, dtype=torch.bool)
    torch.ne(ascending[1:], ascending[:-1], out=starts[1:])
    numbers = torch.empty_like(order)
    numbers[order] = torch.cumsum(starts, 0) - 1
    return ascending[starts], numbers.reshape(codes.shape), order


def _code_factors(coordinates: Tensor) -> list[tuple[Tensor, bool]]:
    """Return candidate factors (d,) of the linear code, and whether each is collision-free.

    A mixed radix code is used if it fits into 62 bits, otherwise random odd factors modulo 2**64.
    Their collisions, with a probability of about M**2 / 2**64, are detected later.
    """
    d = coordinates.shape[0]
    low, high = torch.aminmax(coordinates, dim=1)
    radix = [int(r) + 1 + 2 * (d + 1) for r in (high - low).tolist()]
    factors, total = [], 1
    for r in radix:
        factors.append(total)
        total *= r
    if total < _CODE_LIMIT:
        return [(torch.tensor(factors, device=coordinates.device), True)]
    candidates = []
    for seed in _HASH_SEEDS:
        generator = torch.Generator().manual_seed(seed)
        odd = torch.randint(-(2**61), 2**61, (d,), generator=generator) * 2 + 1
        candidates.append((odd.to(coordinates.device), False))
    return candidates


def _vertex_coordinate(coordinate: Tensor, rank: Tensor, remainder: int, d: int) -> Tensor:
    """Return one coordinate (N,) of each simplex's vertex with the given remainder."""
    return coordinate + remainder - (d + 1) * (rank > d - remainder).to(torch.int64)


def _vertex_codes(coordinates: Tensor, rank: Tensor, factors: Tensor) -> Tensor:
    """Return the codes (d + 1, N) of all vertices of all simplices."""
    d, count = coordinates.shape
    codes = coordinates.new_zeros(d + 1, count)
    for remainder in range(d + 1):
        for i in range(d):
            codes[remainder] += factors[i] * _vertex_coordinate(
                coordinates[i], rank[i], remainder, d
            )
    return codes


def _codes_are_unique(coordinates: Tensor, rank: Tensor, vertices: Tensor, size: int) -> bool:
    """Tell whether all simplices with the same vertex number agree on its coordinates."""
    d = coordinates.shape[0]
    for i in range(d):
        values = torch.stack(
            [_vertex_coordinate(coordinates[i], rank[i], r, d) for r in range(d + 1)]
        )
        representative = values.new_zeros(size)
        representative[vertices.reshape(-1)] = values.reshape(-1)
        if not torch.equal(representative[vertices], values):
            return False
    return True


def _neighbours(occupied: Tensor, factors: Tensor) -> Tensor:
    """Return the neighbours (d + 1, 2, M) of the sorted vertex codes (M,); M if unoccupied."""
    d, size = len(factors), len(occupied)
    neighbours = occupied.new_full((d + 1, 2, size + 1), size)
    indices = torch.arange(size, device=occupied.device)
    for direction in range(d + 1):
        # A step is -1 in every coordinate, and +d in that of the direction (not stored if last).
        step = -factors.sum()
        if direction < d:
            step = step + (d + 1) * factors[direction]
        wanted = occupied + step
        found = torch.searchsorted(occupied, wanted).clamp_(max=size - 1)
        found = torch.where(occupied[found] == wanted, found, size)
        neighbours[direction, 0, :size] = found
        # The opposite neighbour is the inverse map. Index M collects unoccupied vertices.
        neighbours[direction, 1].scatter_(0, found, indices)
    return neighbours[:, :, :size].contiguous()
