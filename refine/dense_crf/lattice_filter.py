"""Gaussian filtering on a permutohedral lattice, and the exact transpose."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf.lattice import PermutohedralLattice, build_lattice

__all__ = ["LatticeFilter"]


class LatticeFilter:
    """The linear operator K ~ exp(-|f_i - f_j|^2 / 2), applied to any number of channels.

    Splatting S, blurring B_0..B_d and slicing Sᵀ are sparse CSR matrices (threaded on a CPU,
    cuSPARSE on a GPU). They are built once and used for every label and every iteration.

    ``scale`` changes the operator to L K R with diagonal L and R. This is free at run time, because
    the factors are multiplied into the matrices.

    Args:
        features: (d, N), in units of the kernel's standard deviation; see ``build_lattice``.
    """

    def __init__(self, features: Tensor) -> None:
        lattice = build_lattice(features)
        self.points = lattice.points
        self.vertices = lattice.size
        self.dtype = lattice.weights.dtype
        self._blurs = [_blur_matrix(pair, self.dtype) for pair in lattice.neighbours]
        # First of each pair: for K; second: for its transpose. Only ``scale`` makes them differ.
        self._slices = (_slice_matrix(lattice),) * 2
        self._splats = (_splat_matrix(lattice),) * 2

    def scale(self, left: Tensor | None, right: Tensor | None) -> None:
        """Change the operator K to L K R, and Kᵀ to R Kᵀ L.

        Args:
            left: (N, 1), the diagonal of L; None for the identity.
            right: (N, 1), the diagonal of R; None for the identity.
        """
        slices, splats = self._slices, self._splats
        self._slices = (_scaled_rows(slices[0], left), _scaled_rows(slices[1], right))
        self._splats = (_scaled_columns(splats[0], right), _scaled_columns(splats[1], left))

    def __call__(self, values: Tensor, transpose: bool = False) -> Tensor:
        """Filter values.

        Args:
            values: (N, C). The computation uses the dtype of the features.
            transpose: apply Kᵀ instead of K. They differ, because blurs along different directions
                do not commute near unoccupied vertices.

        Returns:
            (N, C), in the dtype of the values. It is differentiable any number of times with
            respect to the values.

        Raises:
            InputError: the values are not (N, C).
        """
        if values.ndim != 2 or values.shape[0] != self.points:
            raise InputError(
                f"LatticeFilter: expected values of shape ({self.points}, C), "
                f"got {tuple(values.shape)}"
            )
        filtered: Tensor = _Filter.apply(values.to(self.dtype), self, transpose)
        return filtered.to(values.dtype)

    def _apply(self, values: Tensor, transpose: bool) -> Tensor:
        # Half precision would break the adjoint identity, and sparse products do not support it.
        with torch.autocast(values.device.type, enabled=False):
            vertices = self._splats[transpose] @ values.contiguous()
            for blur in reversed(self._blurs) if transpose else self._blurs:
                vertices = blur @ vertices
            return self._slices[transpose] @ vertices


class _Filter(torch.autograd.Function):
    """K forward and Kᵀ backward. It uses itself in backward, so it is twice differentiable."""

    @staticmethod
    def forward(ctx, values, operator, transpose):  # type: ignore[no-untyped-def]  # torch's ctx
        ctx.operator, ctx.transpose = operator, transpose
        return operator._apply(values, transpose)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]  # torch's ctx
        return _Filter.apply(gradient, ctx.operator, not ctx.transpose), None, None


def _csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            starts.to(torch.int32), columns.to(torch.int32), values, size, check_invariants=False
        )


def _slice_matrix(lattice: PermutohedralLattice) -> Tensor:
    """Build the slicing matrix (N, M), which interpolates each point from its vertices.

    It includes the factor 1 / (1 + 2^-d), because the d + 1 passes of (½, 1, ½) have more than unit
    mass. With it, a constant 1 stays close to 1, as in the implementation of Adams et al.
    """
    corners, count = lattice.vertices.shape
    starts = torch.arange(0, corners * count + 1, corners, device=lattice.vertices.device)
    weights = lattice.weights.T.reshape(-1) / (1 + 2.0**-lattice.dimension)
    return _csr(starts, lattice.vertices.T.reshape(-1), weights, (count, lattice.size))


def _splat_matrix(lattice: PermutohedralLattice) -> Tensor:
    """Build the splatting matrix (M, N), which adds each point to its vertices."""
    count, order = lattice.points, lattice.order
    starts = _row_starts(lattice.vertices.reshape(-1), lattice.size)
    return _csr(starts, order % count, lattice.weights.reshape(-1)[order], (lattice.size, count))


def _scaled_rows(matrix: Tensor, factors: Tensor | None) -> Tensor:
    """Multiply the rows of a CSR matrix with equally many entries per row by factors (rows, 1)."""
    if factors is None:
        return matrix
    values = matrix.values().reshape(len(factors), -1) * factors
    size = (matrix.shape[0], matrix.shape[1])
    return _csr(matrix.crow_indices(), matrix.col_indices(), values.reshape(-1), size)


def _scaled_columns(matrix: Tensor, factors: Tensor | None) -> Tensor:
    """Multiply the columns of a CSR matrix by factors (columns, 1)."""
    if factors is None:
        return matrix
    values = matrix.values() * factors.reshape(-1)[matrix.col_indices().long()]
    size = (matrix.shape[0], matrix.shape[1])
    return _csr(matrix.crow_indices(), matrix.col_indices(), values, size)


def _blur_matrix(neighbours: Tensor, dtype: torch.dtype) -> Tensor:
    """Build the symmetric blur matrix (M, M): 1 on the diagonal, ½ for each occupied neighbour."""
    size = neighbours.shape[1]
    itself = torch.arange(size, device=neighbours.device)
    columns = torch.stack([neighbours[0], itself, neighbours[1]], dim=1)
    weights = torch.tensor([0.5, 1.0, 0.5], dtype=dtype, device=columns.device).expand(size, 3)
    occupied = columns < size
    starts = torch.zeros(size + 1, dtype=torch.int64, device=columns.device)
    torch.cumsum(occupied.sum(1), 0, out=starts[1:])
    return _csr(starts, columns[occupied], weights[occupied], (size, size))


def _row_starts(rows: Tensor, size: int) -> Tensor:
    starts = torch.zeros(size + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=size), 0, out=starts[1:])
    return starts
