"""The propagation on a CPU: compiled loops over the tensors as they lie, on all of torch's threads.

The threads are Python's own (the loops release the GIL): OpenMP teams of numba and torch that wait
for one another in a spin were measured to cost up to thirty times the call on a busy machine.

Importing this module does not import numba; the first call does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vostrack.refine.spn.directions import is_reversed, line_axis

__all__ = ["backward", "forward"]

# Below this many pixel visits a call is over before a second thread has woken up.
_PARALLEL_FROM = 100_000


def forward(
    x: Tensor, gates: Tensor, directions: Sequence[int], keep_states: bool
) -> tuple[Tensor, Tensor]:
    """Do what ``reference.forward`` does, without autograd.

    Args:
        x: (N, C, H, W) float32 or float64 on the CPU.
        gates: (N or 1, C or 1, D, 3, H, W), same type.
        directions: the D directions.
        keep_states: also return the state of each direction.

    Returns:
        The result (N, C, H, W), and the states (D, N, C, H, W) or an empty tensor.
    """
    from vostrack.refine.spn import numba_loops as loops

    result = torch.empty_like(x, memory_format=torch.contiguous_format)
    states = x.new_empty((len(directions), *x.shape) if keep_states else 0)
    xs, ps, ys, hs = (_array(t) for t in (x, gates, result, states))
    nothing = np.empty((0, 0), dtype=xs.dtype)

    def run(plane: tuple[int, int]) -> None:
        gate = _gate_of(plane, gates)
        for i, direction in enumerate(directions):
            scan = loops.scan_columns if line_axis(direction) == -1 else loops.scan_rows
            state = hs[(i, *plane)] if keep_states else nothing
            scan(xs[plane], ps[(*gate, i)], ys[plane], state, is_reversed(direction), i > 0)

    _run_all(run, _planes(x), x.numel() * len(directions))
    return result, states


def backward(
    grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Do what ``reference.backward`` does; the result does not depend on the number of threads.

    Args:
        grad: (N, C, H, W) float32 or float64 on the CPU.
        x: (N, C, H, W), same type.
        gates: (N or 1, C or 1, D, 3, H, W), same type.
        states: (D, N, C, H, W), from ``forward``.
        directions: the D directions.

    Returns:
        The gradients of x (N, C, H, W) and of the gates, in the shape of the gates.
    """
    from vostrack.refine.spn import numba_loops as loops

    winner = torch.empty(x.shape, dtype=torch.uint8)
    # One part per direction, because directions run side by side.
    grad_x = x.new_empty(states.shape)
    grad_gates = torch.zeros_like(gates, memory_format=torch.contiguous_format)
    thetas, xs, ps, hs = (_array(t) for t in (grad, x, gates, states))
    ws, dxs, dps = (_array(t) for t in (winner, grad_x, grad_gates))
    sharing: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for plane in _planes(x):
        sharing.setdefault(_gate_of(plane, gates), []).append(plane)

    def choose(plane: tuple[int, int]) -> None:
        loops.pick_winner(hs[(slice(None), *plane)], ws[plane])

    def run(task: tuple[int, tuple[int, int]]) -> None:
        i, gate = task
        direction = directions[i]
        back = loops.scan_columns_back if line_axis(direction) == -1 else loops.scan_rows_back
        for plane in sharing[gate]:
            forth = (xs[plane], ps[(*gate, i)], hs[(i, *plane)])
            grads = (dxs[(i, *plane)], dps[(*gate, i)])
            back(thetas[plane], ws[plane], i, *forth, *grads, is_reversed(direction))

    _run_all(choose, _planes(x), states.numel())
    _run_all(run, list(product(range(len(directions)), sharing)), states.numel())
    return grad_x.sum(dim=0), grad_gates


def _array(tensor: Tensor) -> NDArray[Any]:
    """View as an array whose planes (..., H, W) are dense; copies only where they are not."""
    tensor = tensor.detach()
    dense = tensor.ndim < 2 or tensor.stride()[-2:] == (tensor.shape[-1], 1)
    return (tensor if dense else tensor.contiguous()).numpy()


def _planes(x: Tensor) -> list[tuple[int, int]]:
    return list(product(range(x.shape[0]), range(x.shape[1])))


def _gate_of(plane: tuple[int, int], gates: Tensor) -> tuple[int, int]:
    """Return the object and channel of the gates that a plane uses; shared gates have one."""
    return min(plane[0], gates.shape[0] - 1), min(plane[1], gates.shape[1] - 1)


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Return the pool; a forked child has another ``process`` and gets a pool with live threads."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"vostrack-spn-{process}")


def _run_all(function: Callable[[Any], None], tasks: Sequence[Any], visits: int) -> None:
    workers = min(torch.get_num_threads(), len(tasks))
    if workers < 2 or visits < _PARALLEL_FROM:
        for task in tasks:
            function(task)
        return
    for _ in _pool(torch.get_num_threads(), os.getpid()).map(function, tasks):
        pass  # drawn only to raise what a task raised
