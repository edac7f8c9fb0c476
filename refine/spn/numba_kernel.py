"""The propagation on a CPU: compiled loops along rows, on as many threads as torch uses.

Columns are scanned as the rows of transposed planes. OpenCV transposes the inputs, once for all
planes that share them, and transposes the result back. Rows and columns are separate tasks, so one
plane keeps two threads busy. The result does not depend on the number of threads. Each thread
transposes into the same scratch memory, which stays in the cache. Transposing into other memory
takes twice as long.

These are Python threads, and the loops release the GIL. On a busy machine, spinning OpenMP threads
of numba and torch made a call up to thirty times slower.

Apart from inputs and outputs, the memory is at most 30 planes per thread, and in ``backward`` one
plane for each direction and plane of x.

numba and OpenCV are imported on the first call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import AnyArray
from vostrack.compute.threads import pool
from vostrack.refine.spn.directions import is_reversed, line_axis
from vostrack.refine.spn.planes import as_array, as_planes, empty, transpose, transpose_back

__all__ = ["backward", "forward"]

# With fewer pixel visits, a call is done before a second thread wakes up.
_PARALLEL_FROM = 100_000
# Maximum number of planes with shared gates that are scanned together.
_TOGETHER = 8
_THREE = range(3)


def forward(
    x: Tensor, gates: Tensor, directions: Sequence[int], keep_states: bool
) -> tuple[Tensor, Tensor]:
    """Compute the same as ``reference.forward`` for tensors on the CPU, without autograd."""
    work = _Work(x, gates, directions)
    result = empty(x.shape, work.x.dtype)
    states = empty((len(directions), *x.shape) if keep_states else (0,), work.x.dtype)
    arrays = (result.reshape(work.x.shape), states.reshape(-1, *work.x.shape))
    units = [
        _Unit(work, gate, some, *arrays)
        for gate, planes in work.sets
        for some in work.split(planes)
    ]
    work.run([task for unit in units for task in (unit.scan_columns, unit.scan_rows)])
    return torch.from_numpy(result), torch.from_numpy(states)


def backward(
    grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Compute the same as ``reference.backward`` for tensors on the CPU."""
    work = _Work(x, gates, directions)
    grad_x, grad_gates = empty(x.shape, work.x.dtype), empty(gates.shape, work.x.dtype)
    given = (as_planes(grad), states.contiguous().numpy().reshape(-1, *work.x.shape))
    _Backward(work, *given, (grad_x.reshape(work.x.shape), grad_gates)).run()
    return torch.from_numpy(grad_x), torch.from_numpy(grad_gates)


class _Scratch:
    """Memory of one thread for transposed planes. Unused pages take no memory."""

    def __init__(self, plane: AnyArray) -> None:
        transposed = plane.shape[::-1]
        self.gates, self.grad_gates = (empty((3, *transposed), plane.dtype) for _ in range(2))
        self.x, self.states, self.grad = (
            empty((_TOGETHER, *transposed), plane.dtype) for _ in range(3)
        )


Task = Callable[[_Scratch], None]


class _Work:
    """A map and its gates as arrays, the scans, and the threads.

    Attributes:
        x: the planes (M, H, W).
        gates: in the shape of the tensor.
        sets: the index of each set of gates, and the planes that use it.
        columns: indices of the directions that proceed over columns.
        rows: indices of the directions that proceed over rows.
        backwards: for each direction, whether it proceeds towards smaller indices.
    """

    def __init__(self, x: Tensor, gates: Tensor, directions: Sequence[int]) -> None:
        self.x, self.gates = as_planes(x), as_array(gates)
        numbers = np.arange(len(self.x)).reshape(x.shape[:2])
        self.sets: list[tuple[tuple[int, int], AnyArray]] = []
        for n, c in product(range(gates.shape[0]), range(gates.shape[1])):
            objects = slice(None) if gates.shape[0] == 1 else n
            channels = slice(None) if gates.shape[1] == 1 else c
            self.sets.append(((n, c), numbers[objects, channels].reshape(-1)))
        self.columns = [i for i, d in enumerate(directions) if line_axis(d) == -1]
        self.rows = [i for i, d in enumerate(directions) if line_axis(d) == -2]
        self.backwards = [is_reversed(d) for d in directions]
        small = x.numel() * len(directions) < _PARALLEL_FROM
        threads = 1 if small else torch.get_num_threads()
        self._scratches = [_Scratch(self.x[0]) for _ in range(threads)]

    def split(self, planes: AnyArray) -> list[AnyArray]:
        """Split planes with shared gates among threads, in parts that fit the scratch memory."""
        wanted = -(-len(self._scratches) // (2 * len(self.sets)))
        pieces = max(wanted, -(-len(planes) // _TOGETHER))
        return np.array_split(planes, min(pieces, len(planes)))

    def run(self, tasks: Sequence[Task]) -> None:
        """Run independent tasks. The longest should come first."""
        scratches = self._scratches[: len(tasks)]
        queue = deque([*tasks, *[None] * len(scratches)])

        def work(scratch: _Scratch) -> None:
            for task in iter(queue.popleft, None):
                task(scratch)

        helpers = [pool(len(self._scratches)).submit(work, scratch) for scratch in scratches[1:]]
        try:
            work(scratches[0])
        finally:
            for helper in helpers:
                helper.result()


class _Unit:
    """The forward scans of some planes with shared gates, as two tasks."""

    def __init__(
        self, work: _Work, gate: tuple[int, int], planes: AnyArray, y: AnyArray, states: AnyArray
    ) -> None:
        self._work, self._gates, self._planes = work, work.gates[gate], planes
        self._y, self._states, self._nothing = y, states, y[:0]
        self._transposed: AnyArray | None = None  # result of the columns
        self._running, self._lock = 2, Lock()

    def scan_rows(self, scratch: _Scratch) -> None:
        for i in self._work.rows:
            state = self._states[i] if len(self._states) else self._nothing
            self._scan(i, self._work.x, self._planes, self._gates[i], self._y, state)
        self._finish(scratch)

    def scan_columns(self, scratch: _Scratch) -> None:
        if self._work.columns:
            self._transposed = empty((len(self._planes), *scratch.x.shape[1:]), scratch.x.dtype)
            transpose(self._work.x, self._planes, scratch.x)
        places = np.arange(len(self._planes))
        for i in self._work.columns:
            transpose(self._gates[i], _THREE, scratch.gates)
            state = scratch.states if len(self._states) else self._nothing
            self._scan(i, scratch.x, places, scratch.gates, self._transposed, state)
            if len(self._states):
                transpose_back(scratch.states, self._states[i], self._planes)
        self._finish(scratch)

    def _scan(
        self, i: int, x: AnyArray, planes: AnyArray, gates: AnyArray, y: Any, state: AnyArray
    ) -> None:
        from vostrack.refine.spn import numba_loops as loops

        merged = i not in (self._work.rows[:1] + self._work.columns[:1])
        loops.scan_rows(x, planes, tuple(gates), y, state, self._work.backwards[i], merged)

    def _finish(self, scratch: _Scratch) -> None:
        """Merge rows and columns when the second of the two tasks ends."""
        from vostrack.refine.spn import numba_loops as loops

        with self._lock:
            self._running -= 1
            if self._running > 0 or self._transposed is None:
                return
        if not self._work.rows:
            transpose_back(self._transposed, self._y, self._planes)
            return
        columns = scratch.x[:1].reshape(1, *self._y.shape[1:])
        for place, plane in enumerate(self._planes):
            transpose_back(self._transposed[place:], columns, [0])
            loops.merge(columns[0], self._y[plane])
        self._transposed = None


class _Backward:
    """One call of ``backward``."""

    def __init__(
        self, work: _Work, grad: AnyArray, states: AnyArray, results: tuple[AnyArray, AnyArray]
    ):
        self._work, self._grad, self._states = work, grad, states
        self._grad_x, self._grad_gates = results
        # The gradient of each state, which is later overwritten by that of x for this direction.
        self._parts = empty(states.shape, states.dtype)

    def run(self) -> None:
        planes = range(len(self._grad))
        self._work.run([partial(self._route, plane) for plane in planes])
        columns = product([self._columns], self._work.columns, self._work.sets)
        rows = product([self._rows], self._work.rows, self._work.sets)
        self._work.run([partial(scan, i, *planes) for scan, i, planes in [*columns, *rows]])
        self._work.run([partial(self._add_up, plane) for plane in planes])

    def _route(self, plane: int, _: _Scratch) -> None:
        from vostrack.refine.spn import numba_loops as loops

        loops.route(self._states, self._grad, plane, self._parts)

    def _add_up(self, plane: int, _: _Scratch) -> None:
        from vostrack.refine.spn import numba_loops as loops

        loops.add_up(self._parts, plane, self._grad_x)

    def _rows(self, i: int, gate: tuple[int, int], planes: AnyArray, _: _Scratch) -> None:
        from vostrack.refine.spn import numba_loops as loops

        gates, grads = (tuple(t[gate][i]) for t in (self._work.gates, self._grad_gates))
        forth = (self._work.x, gates, self._states[i], grads)
        loops.scan_rows_back(self._parts[i], planes, *forth, self._work.backwards[i], False)

    def _columns(self, i: int, gate: tuple[int, int], planes: AnyArray, scratch: _Scratch) -> None:
        from vostrack.refine.spn import numba_loops as loops

        transpose(self._work.gates[gate][i], _THREE, scratch.gates)
        forth = (scratch.x, tuple(scratch.gates), scratch.states, tuple(scratch.grad_gates))
        for start in range(0, len(planes), _TOGETHER):
            some = planes[start : start + _TOGETHER]
            transpose(self._work.x, some, scratch.x)
            transpose(self._states[i], some, scratch.states)
            transpose(self._parts[i], some, scratch.grad)
            how = (self._work.backwards[i], start > 0)
            loops.scan_rows_back(scratch.grad, np.arange(len(some)), *forth, *how)
            transpose_back(scratch.grad, self._parts[i], some)
        transpose_back(scratch.grad_gates, self._grad_gates[gate][i], _THREE)
