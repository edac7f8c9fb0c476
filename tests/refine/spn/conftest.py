"""Maps, gates, an explicit linear system as oracle, and scratch memory full of NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.refine.spn import numba_kernel, planes

# Relative and absolute.
TOLERANCE = {
    torch.float64: (1e-10, 1e-11),
    torch.float32: (1e-4, 1e-5),
}
# Where the three sources of a pixel lie, per direction: (row, column) offsets.
SOURCES = {
    "left_right": ((-1, -1), (0, -1), (1, -1)),
    "right_left": ((-1, 1), (0, 1), (1, 1)),
    "top_bottom": ((-1, -1), (-1, 0), (-1, 1)),
    "bottom_top": ((1, -1), (1, 0), (1, 1)),
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    chosen: torch.dtype = request.param
    return chosen


@pytest.fixture
def close(dtype: torch.dtype) -> Callable[[Tensor, Tensor], None]:
    rtol, atol = TOLERANCE[dtype]

    def check(actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)

    return check


@pytest.fixture
def sample() -> Callable[..., Tensor]:
    """Draw normal numbers, always the same ones for a shape."""

    def draw(*shape: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
        generator = torch.Generator().manual_seed(math.prod(shape))
        return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype)

    return draw


@pytest.fixture
def solve() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """One plane by H = (I - D) X + P H over all its pixels at once, with its adjoint."""

    def system(
        x: Tensor, gates: Tensor, direction: str, grad: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        height, width = x.shape
        entries = [
            (k, r, c, r + dr, c + dc)
            for k, (dr, dc) in enumerate(SOURCES[direction])
            for r in range(height)
            for c in range(width)
            if 0 <= r + dr < height and 0 <= c + dc < width
        ]
        transition = torch.zeros(x.numel(), x.numel(), dtype=x.dtype)
        for k, r, c, sr, sc in entries:
            transition[r * width + c, sr * width + sc] = gates[k, r, c]
        identity = torch.eye(x.numel(), dtype=x.dtype)
        rest = identity - torch.diag(transition.sum(dim=1))
        h = torch.linalg.solve(identity - transition, rest @ x.flatten()).view_as(x)
        multiplier = torch.linalg.solve((identity - transition).T, grad.flatten())
        grad_x = (rest.T @ multiplier).view_as(x)
        grad_gates = torch.zeros_like(gates)
        for k, r, c, sr, sc in entries:
            grad_gates[k, r, c] = multiplier[r * width + c] * (h[sr, sc] - x[r, c])
        return h, grad_x, grad_gates

    return system


@pytest.fixture
def nan_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what torch and the numba kernel's numpy hand out uninitialised with NaN."""

    def poison(allocate: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def allocated(*args: Any, **kwargs: Any) -> Tensor:
            tensor = allocate(*args, **kwargs)
            return tensor.fill_(math.nan) if tensor.is_floating_point() else tensor

        return allocated

    for owner, name in (
        (torch, "empty"),
        (torch, "empty_like"),
        (torch.Tensor, "new_empty"),
    ):
        monkeypatch.setattr(owner, name, poison(getattr(owner, name)))

    def filled(shape: tuple[int, ...], dtype: Any) -> Any:
        return np.full(shape, math.nan, dtype)

    monkeypatch.setattr(numba_kernel, "empty", filled)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Set the number of threads, which then work on maps of any size, in tiles as of large ones."""
    monkeypatch.setattr(numba_kernel, "_PARALLEL_FROM", 0)
    monkeypatch.setattr(planes, "_TILE", 4)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
