"""A random walk on the grid, which spreads score maps until boundaries stop them.

"Synthetic Instance Segmentation from Semantic Image Segmentation Masks", eq. 17 and 18, after Ahn
et al. 2019. The transition matrix T = S^-1 A^beta is sparse and is never built dense; its power T^t
is a Chebyshev expansion, which needs about sqrt(t) products where repeated steps need t.
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
    """How far and how freely the walk goes.

    Attributes:
        exponent: beta; the larger, the more a weak boundary stops.
        steps: t.
        tolerance: largest error of T^t that the expansion may leave, relative to the scores; 0
            takes every step one by one.
    """

    exponent: float = 10.0
    steps: int = 256
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is out of its range.
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
    """Spread score maps along a grid of affinities (eq. 18, without its penalty).

    Every step replaces a score by the mean over the neighbours, weighted by their affinity to the
    power of beta, and over itself with weight 1. A constant map stays as it is.

    Args:
        scores: (K, H, W) float.
        affinities: one map (H - dy, W - |dx|) in [0, 1] for each offset: of every cell that has the
            neighbour, in the order of the rows and columns. Links across the border do not exist.
        offsets: (dy, dx) with dy > 0, or dy = 0 and dx > 0; links go both ways.
        config: how far.
        active: (H, W) bool, the cells to walk on; scores elsewhere are given back as zero. All by
            default.

    Returns:
        (K, H, W).

    Raises:
        InputError: the shapes do not fit one another.
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
    # The walk keeps constants, so one may be lent to it: without, scores fade into subnormal
    # numbers, with which processors are many times slower.
    lent = columns.abs().amax().clamp(min=1e-6)
    result[:, active] = (_power(matrix, columns + lent, config) - lent).T.to(scores.dtype)
    return result


def transition_matrix(
    affinities: Sequence[Tensor],
    offsets: Sequence[tuple[int, int]],
    active: Tensor,
    exponent: float,
) -> Tensor:
    """Build T of eq. 17.

    Args:
        affinities: as in ``random_walk``.
        offsets: as in ``random_walk``.
        active: (H, W) bool, the n cells that take part, in the order of rows and columns.
        exponent: beta.

    Returns:
        (n, n) sparse CSR; every row sums to 1. All rows hold the same number of entries, those
        of neighbours that do not exist being zero.
    """
    height, width = active.shape
    kind = affinities[0].dtype if affinities else torch.float32
    # Neighbours of a cell by ascending number, so that the rows of the matrix are in order.
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
    # A neighbour that does not take part has weight zero; its number only has to be in order.
    number = (active.reshape(-1).cumsum(0) - 1).clamp_(min=0).to(torch.int32)
    jumps = torch.tensor([dy * width + dx for dy, dx in links], device=active.device)
    columns = number[(flat[:, None] + jumps).clamp_(0, height * width - 1)]
    rows = weights.reshape(len(links), -1)[:, flat].T
    rows = rows / rows.sum(1, keepdim=True)
    starts = torch.arange(len(flat) + 1, dtype=torch.int32, device=active.device) * len(links)
    return _csr(starts, columns.reshape(-1), rows.reshape(-1), len(flat))


def _csr(starts: Tensor, columns: Tensor, values: Tensor, side: int) -> Tensor:
    with warnings.catch_warnings():
        # torch warns once that its CSR format is in beta; products with dense columns are not new.
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
    """Expand x^steps on [-1, 1] in Chebyshev polynomials, no further than needed.

    The coefficient of T_k is 2^(1 - t) binom(t, (t - k) / 2) for k of the parity of t, half that
    for k = 0. They are positive and sum to 1, so what is left out bounds the error; the rest is
    scaled to sum to 1 again, which keeps constants exactly. T is similar to a symmetric matrix with
    eigenvalues in [-1, 1], hence the bound holds for T^t in the norm that its degrees weigh.

    Args:
        steps: t.
        tolerance: largest sum of coefficients that may be left out.

    Returns:
        Coefficients of T_0, T_1, ...
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
