"""A random walk on the pixel grid, which spreads score maps up to boundaries.

"Synthetic Instance Segmentation from Semantic Image Segmentation Masks", eq. 17 and 18, after Ahn
et al. 2019. The transition matrix T = S^-1 A^beta is sparse. Its power T^t is computed by a
Chebyshev expansion, with about sqrt(t) matrix products instead of t.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vostrack.errors import InputError

__all__ = ["RandomWalkConfig", "chebyshev_power", "random_walk", "transition_matrix"]


@dataclass(frozen=True)
class RandomWalkConfig:
    """Length of the random walk and strength of the boundaries.

    Attributes:
        exponent: beta, above 0. With a larger value, weak boundaries stop the walk more.
        steps: number of steps t, at least 0.
        tolerance: maximum error of T^t, relative to the scores, in [0, 1). 0 computes every single
            step.
    """

    exponent: float = 10.0
    steps: int = 256
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of range.
        """
        if self.steps < 0 or not self.exponent > 0 or not 0 <= self.tolerance < 1:
            raise InputError(
                "random walk: expected steps >= 0, exponent > 0 and tolerance in [0, 1), got "
                f"{self.steps}, {self.exponent}, {self.tolerance}"
            )


def random_walk(
    scores: Tensor,
    affinities: Sequence[Tensor],
    offsets: Sequence[tuple[int, int]],
    config: RandomWalkConfig | None = None,
    *,
    active: Tensor | None = None,
) -> Tensor:
    """Spread score maps along a grid of affinities (eq. 18, without the penalty term).

    Every step replaces a score by a weighted mean over its neighbours and itself. The weights are
    the affinities to the power of beta, and 1 for itself. A constant map is unchanged.

    Args:
        scores: (K, H, W) float.
        affinities: one map (H - dy, W - |dx|) in [0, 1] per offset, for the cells that have this
            neighbour inside the grid.
        offsets: (dy, dx) with dy > 0, or dy = 0 and dx > 0. Links are symmetric.
        config: the random walk; by default ``RandomWalkConfig()``.
        active: (H, W) bool, the cells of the walk; by default all. Other cells get the score 0.

    Returns:
        The scores after the walk, (K, H, W).

    Raises:
        InputError: the shapes do not match, or an offset is invalid.
    """
    config = config or RandomWalkConfig()
    if scores.ndim != 3:
        raise InputError(f"random walk: expected scores (K, H, W), got {tuple(scores.shape)}")
    height, width = scores.shape[1:]
    _check_affinities(affinities, offsets, (height, width))
    if active is None:
        active = torch.ones(height, width, dtype=torch.bool, device=scores.device)
    result = torch.zeros_like(scores)
    if scores.numel() == 0 or not bool(active.any()):
        return result
    matrix = transition_matrix(affinities, offsets, active, config.exponent)
    columns = scores[:, active].to(matrix.dtype).T.contiguous()
    # Add a constant, which the walk preserves, and subtract it again. Otherwise the scores decay
    # into subnormal numbers, which are many times slower.
    bias = columns.abs().amax().clamp(min=1e-6)
    result[:, active] = (_power(matrix, columns + bias, config) - bias).T.to(scores.dtype)
    return result


def transition_matrix(
    affinities: Sequence[Tensor],
    offsets: Sequence[tuple[int, int]],
    active: Tensor,
    exponent: float,
) -> Tensor:
    """Build the transition matrix T of eq. 17.

    Args:
        affinities: as in ``random_walk``.
        offsets: as in ``random_walk``.
        active: (H, W) bool, the n cells of the walk, in row-major order.
        exponent: beta.

    Returns:
        (n, n) sparse CSR matrix. Every row sums to 1. All rows have the same number of entries;
        those of missing neighbours are zero.
    """
    height, width = active.shape
    kind = affinities[0].dtype if affinities else torch.float32
    # Ascending cell numbers, so that the entries in each row of the matrix are in order.
    links = sorted({(0, 0), *offsets, *((-dy, -dx) for dy, dx in offsets)})
    position = {link: k for k, link in enumerate(links)}
    weights = torch.zeros(len(links), height, width, dtype=kind, device=active.device)
    weights[position[0, 0]] = 1
    for (dy, dx), values in zip(offsets, affinities, strict=True):
        left, right = max(-dx, 0), width - max(dx, 0)
        source = (slice(0, max(height - dy, 0)), slice(left, max(right, left)))
        target = (slice(dy, max(height, dy)), slice(left + dx, max(right, left) + dx))
        powers = values.clamp(0, 1) ** exponent * (active[source] & active[target])
        weights[position[dy, dx]][source] = powers
        weights[position[-dy, -dx]][target] = powers
    flat = active.reshape(-1).nonzero()[:, 0]
    # An inactive neighbour has weight 0. Its number only has to preserve the order.
    number = (active.reshape(-1).cumsum(0) - 1).clamp_(min=0).to(torch.int32)
    jumps = torch.tensor([dy * width + dx for dy, dx in links], device=active.device)
    columns = number[(flat[:, None] + jumps).clamp_(0, height * width - 1)]
    rows = weights.reshape(len(links), -1)[:, flat].T
    rows = rows / rows.sum(1, keepdim=True)
    starts = torch.arange(len(flat) + 1, dtype=torch.int32, device=active.device) * len(links)
    return _csr(starts, columns.reshape(-1), rows.reshape(-1), len(flat))


def _csr(starts: Tensor, columns: Tensor, values: Tensor, side: int) -> Tensor:
    with warnings.catch_warnings():
        # torch warns once that its CSR format is in beta.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
        return torch.sparse_csr_tensor(
            starts, columns, values, size=(side, side), check_invariants=False
        )


def _power(matrix: Tensor, columns: Tensor, config: RandomWalkConfig) -> Tensor:
    """Compute T^t x for columns x."""
    coefficients = chebyshev_power(config.steps, config.tolerance)
    if config.tolerance == 0 or len(coefficients) > config.steps:
        for _ in range(config.steps):
            columns = matrix @ columns
        return columns
    previous, current = columns, matrix @ columns
    total = coefficients[0] * previous + coefficients[1] * current
    for coefficient in coefficients[2:]:
        previous, current = current, 2 * (matrix @ current) - previous
        if coefficient:
            total += coefficient * current
    return total


@lru_cache(maxsize=16)
def chebyshev_power(steps: int, tolerance: float) -> tuple[float, ...]:
    """Expand x^steps on [-1, 1] in Chebyshev polynomials, truncated at a tolerance.

    The coefficient of T_k is 2^(1 - t) binom(t, (t - k) / 2) if k has the parity of t, and half of
    that for k = 0. The coefficients are positive and sum to 1, so the sum of the omitted ones
    bounds the error. The others are scaled to sum to 1 again, which preserves constants exactly.
    The transition matrix is similar to a symmetric matrix with eigenvalues in [-1, 1], so the bound
    also holds for its power, in the norm weighted by its degrees.

    Args:
        steps: t.
        tolerance: maximum sum of the omitted coefficients.

    Returns:
        The coefficients of T_0, T_1, ...
    """
    exact = [0.0] * (steps + 1)
    for k in range(steps % 2, steps + 1, 2):
        exact[k] = math.comb(steps, (steps - k) // 2) / 2 ** (steps - 1) if steps else 1.0
    if steps and steps % 2 == 0:
        exact[0] /= 2
    kept = len(exact)
    left_out = 0.0
    while kept > 2 and left_out + exact[kept - 1] <= tolerance:
        kept -= 1
        left_out += exact[kept]
    return tuple(value / (1 - left_out) for value in exact[:kept])


def _check_affinities(
    affinities: Sequence[Tensor], offsets: Sequence[tuple[int, int]], size: tuple[int, int]
) -> None:
    if len(affinities) != len(offsets):
        raise InputError(
            f"random walk: expected one affinity map for each of {len(offsets)} offsets, got "
            f"{len(affinities)}"
        )
    for (dy, dx), values in zip(offsets, affinities, strict=True):
        if (dy, dx) <= (0, 0):
            raise InputError(
                f"random walk: expected offsets with dy > 0, or dy = 0 and dx > 0, got {(dy, dx)}"
            )
        wanted = (max(size[0] - dy, 0), max(size[1] - abs(dx), 0))
        if tuple(values.shape) != wanted:
            raise InputError(
                f"random walk: expected affinities of shape {wanted} for offset {(dy, dx)}, got "
                f"{tuple(values.shape)}"
            )
