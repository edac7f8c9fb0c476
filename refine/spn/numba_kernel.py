"""The propagation on a CPU: compiled loops along rows, on all of torch's threads.

Columns are scanned as the rows of turned planes: OpenCV turns what is read, once for all planes
that share it, and turns back what was found. Rows and columns are tasks of their own, so that one
plane keeps two threads busy, and nothing but the time depends on the number of threads. Each thread
turns into the same scratch again and again, which stays in the cache: turning a plane into memory
that was not touched lately was measured to take twice as long.

The threads are Python's own (the loops release the GIL): OpenMP teams of numba and torch that wait
for one another in a spin were measured to cost up to thirty times the call on a busy machine.

Memory, beside what goes in and comes out: scratch of at most 30 planes for each thread, and in
``backward`` one plane for each plane of x and direction.

Importing this module imports neither numba nor OpenCV; the first call does.
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
from vostrack.refine.spn.planes import as_array, as_planes, empty, turn, turn_back

__all__ = ["backward", "forward"]

# Below this many pixel visits a call is over before a second thread has woken up.
_PARALLEL_FROM = 100_000
# As many planes as share their gates are walked through together, up to this many.
_TOGETHER = 8
_THREE = range(3)


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
    work = _Work(x, gates, directions)
    result = empty(x.shape, work.x.dtype)
    states = empty((len(directions), *x.shape) if keep_states else (0,), work.x.dtype)
    arrays = (result.reshape(work.x.shape), states.reshape(-1, *work.x.shape))
    units = [
        _Unit(work, gate, some, *arrays) for gate, planes in work.sets for some in work.cut(planes)
    ]
    work.run([task for unit in units for task in (unit.scan_columns, unit.scan_rows)])
    return torch.from_numpy(result), torch.from_numpy(states)


def backward(
    grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Do what ``reference.backward`` does.

    Args:
        grad: (N, C, H, W) float32 or float64 on the CPU.
        x: (N, C, H, W), same type.
        gates: (N or 1, C or 1, D, 3, H, W), same type.
        states: (D, N, C, H, W), from ``forward``.
        directions: the D directions.

    Returns:
        The gradients of x (N, C, H, W) and of the gates, in the shape of the gates.
    """
    work = _Work(x, gates, directions)
    grad_x, grad_gates = empty(x.shape, work.x.dtype), empty(gates.shape, work.x.dtype)
    given = (as_planes(grad), states.contiguous().numpy().reshape(-1, *work.x.shape))
    _Backward(work, *given, (grad_x.reshape(work.x.shape), grad_gates)).run()
    return torch.from_numpy(grad_x), torch.from_numpy(grad_gates)


class _Room:
    """Scratch of one thread for turned planes; a page that nobody writes to takes no memory."""

    def __init__(self, plane: AnyArray) -> None:
        turned = plane.shape[::-1]
        self.gates, self.grad_gates = (empty((3, *turned), plane.dtype) for _ in range(2))
        self.x, self.states, self.grad = (
            empty((_TOGETHER, *turned), plane.dtype) for _ in range(3)
        )


Task = Callable[[_Room], None]


class _Work:
    """A map and its gates as arrays, which scans there are, and the threads.

    Attributes:
        x: the planes (M, H, W).
        gates: as the tensor.
        sets: the place of each set of gates, and the planes that it is for.
        columns: places of the directions that walk over columns.
        rows: those that walk over rows.
        backwards: of each direction, whether it walks towards smaller indices.
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
        self._rooms = [_Room(self.x[0]) for _ in range(threads)]

    def cut(self, planes: AnyArray) -> list[AnyArray]:
        """Cut planes that share their gates so that all threads get some, and a room holds each."""
        wanted = -(-len(self._rooms) // (2 * len(self.sets)))
        pieces = max(wanted, -(-len(planes) // _TOGETHER))
        return np.array_split(planes, min(pieces, len(planes)))

    def run(self, tasks: Sequence[Task]) -> None:
        """Run tasks that do not wait for one another; the longest should come first."""
        rooms = self._rooms[: len(tasks)]
        queue = deque([*tasks, *[None] * len(rooms)])

        def work(room: _Room) -> None:
            for task in iter(queue.popleft, None):
                task(room)

        helpers = [pool(len(self._rooms)).submit(work, room) for room in rooms[1:]]
        try:
            work(rooms[0])
        finally:
            for helper in helpers:
                helper.result()


class _Unit:
    """The forward scans of some planes that share their gates, as two tasks."""

    def __init__(
        self, work: _Work, gate: tuple[int, int], planes: AnyArray, y: AnyArray, states: AnyArray
    ) -> None:
        self._work, self._gates, self._planes = work, work.gates[gate], planes
        self._y, self._states, self._nothing = y, states, y[:0]
        self._turned: AnyArray | None = None  # what the columns gave
        self._running, self._lock = 2, Lock()

    def scan_rows(self, room: _Room) -> None:
        for i in self._work.rows:
            state = self._states[i] if len(self._states) else self._nothing
            self._scan(i, self._work.x, self._planes, self._gates[i], self._y, state)
        self._finish(room)

    def scan_columns(self, room: _Room) -> None:
        if self._work.columns:
            self._turned = empty((len(self._planes), *room.x.shape[1:]), room.x.dtype)
            turn(self._work.x, self._planes, room.x)
        places = np.arange(len(self._planes))
        for i in self._work.columns:
            turn(self._gates[i], _THREE, room.gates)
            state = room.states if len(self._states) else self._nothing
            self._scan(i, room.x, places, room.gates, self._turned, state)
            if len(self._states):
                turn_back(room.states, self._states[i], self._planes)
        self._finish(room)

    def _scan(
        self, i: int, x: AnyArray, planes: AnyArray, gates: AnyArray, y: Any, state: AnyArray
    ) -> None:
        from vostrack.refine.spn import numba_loops as loops

        merged = i not in (self._work.rows[:1] + self._work.columns[:1])
        loops.scan_rows(x, planes, tuple(gates), y, state, self._work.backwards[i], merged)

    def _finish(self, room: _Room) -> None:
        """Let the second of the two tasks bring rows and columns together."""
        from vostrack.refine.spn import numba_loops as loops

        with self._lock:
            self._running -= 1
            if self._running > 0 or self._turned is None:
                return
        if not self._work.rows:
            turn_back(self._turned, self._y, self._planes)
            return
        columns = room.x[:1].reshape(1, *self._y.shape[1:])
        for place, plane in enumerate(self._planes):
            turn_back(self._turned[place:], columns, [0])
            loops.merge(columns[0], self._y[plane])
        self._turned = None


class _Backward:
    """One call of ``backward``."""

    def __init__(
        self, work: _Work, grad: AnyArray, states: AnyArray, results: tuple[AnyArray, AnyArray]
    ):
        self._work, self._grad, self._states = work, grad, states
        self._grad_x, self._grad_gates = results
        # The gradient of each state, and later, in its place, what x gets from that direction.
        self._parts = empty(states.shape, states.dtype)

    def run(self) -> None:
        planes = range(len(self._grad))
        self._work.run([partial(self._route, plane) for plane in planes])
        columns = product([self._columns], self._work.columns, self._work.sets)
        rows = product([self._rows], self._work.rows, self._work.sets)
        self._work.run([partial(scan, i, *planes) for scan, i, planes in [*columns, *rows]])
        self._work.run([partial(self._add_up, plane) for plane in planes])

    def _route(self, plane: int, _: _Room) -> None:
        from vostrack.refine.spn import numba_loops as loops

        loops.route(self._states, self._grad, plane, self._parts)

    def _add_up(self, plane: int, _: _Room) -> None:
        from vostrack.refine.spn import numba_loops as loops

        loops.add_up(self._parts, plane, self._grad_x)

    def _rows(self, i: int, gate: tuple[int, int], planes: AnyArray, _: _Room) -> None:
        from vostrack.refine.spn import numba_loops as loops

        gates, grads = (tuple(t[gate][i]) for t in (self._work.gates, self._grad_gates))
        forth = (self._work.x, gates, self._states[i], grads)
        loops.scan_rows_back(self._parts[i], planes, *forth, self._work.backwards[i], False)

    def _columns(self, i: int, gate: tuple[int, int], planes: AnyArray, room: _Room) -> None:
        from vostrack.refine.spn import numba_loops as loops

        turn(self._work.gates[gate][i], _THREE, room.gates)
        forth = (room.x, tuple(room.gates), room.states, tuple(room.grad_gates))
        for start in range(0, len(planes), _TOGETHER):
            some = planes[start : start + _TOGETHER]
            turn(self._work.x, some, room.x)
            turn(self._states[i], some, room.states)
            turn(self._parts[i], some, room.grad)
            how = (self._work.backwards[i], start > 0)
            loops.scan_rows_back(room.grad, np.arange(len(some)), *forth, *how)
            turn_back(room.grad, self._parts[i], some)
        turn_back(room.grad_gates, self._grad_gates[gate][i], _THREE)
