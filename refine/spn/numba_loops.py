"""Compiled loops of ``numba_kernel``, along the rows of contiguous planes.

Columns are scanned as the rows of transposed planes. Planes with shared gates are scanned together,
line by line, so that a line of gates is read from memory only once. The loops are limited by memory
bandwidth, so everything is read and written in row order.

The recurrences are those of ``reference``. Lines have one additional cell at either end, so that a
source outside the image needs no branch. Each innermost loop writes to only one array: with more,
the compiler cannot prove that they do not overlap, and does not vectorize the loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import IntArray, UInt8Array
from vostrack.compute.jit import jit

__all__ = ["add_up", "claim", "merge", "route", "scan_rows", "scan_rows_back"]

FloatArray = NDArray[np.floating[Any]]
GatePlanes = tuple[FloatArray, FloatArray, FloatArray]


@jit(fastmath={"contract"})
def claim(target: FloatArray) -> None:
    """Write to every cache line of the rows of target (H, W), to load it into the cache."""
    step = 64 // target.itemsize
    for row in range(target.shape[0]):
        line = target[row]
        for i in range(0, line.size, step):
            line[i] = 0.0


@jit(fastmath={"contract"})
def _copy(source: FloatArray, target: FloatArray) -> None:
    for i in range(target.size):
        target[i] = source[i]


@jit(fastmath={"contract"})
def _maximum(new: FloatArray, old: FloatArray) -> None:
    """Write the maximum of both into ``old``. NaN on either side yields NaN, as in torch."""
    for i in range(old.size):
        old[i] = old[i] if old[i] >= new[i] or old[i] != old[i] else new[i]


@jit(fastmath={"contract"})
def merge(new: FloatArray, result: FloatArray) -> None:
    """Write the maximum of both (H, W) into ``result``."""
    for row in range(result.shape[0]):
        _maximum(new[row], result[row])


@jit(fastmath={"contract"})
def _advance(
    v: FloatArray,
    p1: FloatArray,
    p2: FloatArray,
    p3: FloatArray,
    before: FloatArray,
    after: FloatArray,
) -> None:
    """Compute one step: ``after`` (L + 2) from ``before`` (L + 2) and the input line v (L)."""
    lanes = v.size
    before[0] = v[0]
    before[lanes + 1] = v[lanes - 1]
    for i in range(lanes):
        after[i + 1] = (
            v[i]
            + p1[i] * (before[i] - v[i])
            + p2[i] * (before[i + 1] - v[i])
            + p3[i] * (before[i + 2] - v[i])
        )


@jit(fastmath={"contract"})
def scan_rows(
    x: FloatArray,
    planes: IntArray,
    p: GatePlanes,
    y: FloatArray,
    states: FloatArray,
    backwards: bool,
    merged: bool,
) -> None:
    """Scan the rows of some planes of x (M, H, W) with the same three gates (H, W) each.

    Write the state to the same planes of ``states`` (M, H, W), unless that is empty, and of y
    (M, H, W). With ``merged``, y becomes the maximum of its old value and the state.
    """
    height, width = x.shape[1], x.shape[2]
    before = np.empty((planes.size, width + 2), dtype=x.dtype)
    after = np.empty((planes.size, width + 2), dtype=x.dtype)
    for t in range(height):
        row = height - 1 - t if backwards else t
        for n in range(planes.size):
            plane = planes[n]
            v, state = x[plane, row], after[n, 1:-1]
            if t == 0:
                _copy(v, state)
            else:
                _advance(v, p[0][row], p[1][row], p[2][row], before[n], after[n])
            if merged:
                _maximum(state, y[plane, row])
            else:
                _copy(state, y[plane, row])
            if states.size > 0:
                _copy(state, states[plane, row])
        before, after = after, before


@jit(fastmath={"contract"})
def route(states: FloatArray, grad: FloatArray, plane: int, own: FloatArray) -> None:
    """Assign the gradient of the maximum at each pixel of a plane to the first largest state.

    Read the plane of ``states`` (D, M, H, W) and ``grad`` (M, H, W). Write the plane of ``own``
    (D, M, H, W).
    """
    directions, height, width = states.shape[0], states.shape[2], states.shape[3]
    best = np.empty(width, dtype=states.dtype)
    winner = np.empty(width, dtype=np.uint8)
    for row in range(height):
        _copy(states[0, plane, row], best)
        winner[:] = 0
        for d in range(1, directions):
            _challenge(states[d, plane, row], d, best, winner)
            _maximum(states[d, plane, row], best)
        for d in range(directions):
            _take_won(grad[plane, row], winner, d, own[d, plane, row])


@jit(fastmath={"contract"})
def _challenge(state: FloatArray, direction: int, best: FloatArray, winner: UInt8Array) -> None:
    for i in range(winner.size):
        winner[i] = direction if state[i] > best[i] else winner[i]


@jit(fastmath={"contract"})
def _take_won(grad: FloatArray, winner: UInt8Array, direction: int, own: FloatArray) -> None:
    for i in range(own.size):
        own[i] = grad[i] if winner[i] == direction else 0.0


@jit(fastmath={"contract"})
def add_up(parts: FloatArray, plane: int, total: FloatArray) -> None:
    """Write the sum over D of a plane of ``parts`` (D, M, H, W) to ``total`` (M, H, W)."""
    for row in range(total.shape[1]):
        line = total[plane, row]
        _copy(parts[0, plane, row], line)
        for d in range(1, parts.shape[0]):
            _add(parts[d, plane, row], line)


@jit(fastmath={"contract"})
def _add(part: FloatArray, total: FloatArray) -> None:
    for i in range(total.size):
        total[i] += part[i]


@jit(fastmath={"contract"})
def _receive(first: FloatArray, straight: FloatArray, last: FloatArray, delta: FloatArray) -> None:
    """Add the gradients from the next line to the gradient of a line."""
    for i in range(delta.size):
        delta[i] = delta[i] + first[i] + straight[i] + last[i]


@jit(fastmath={"contract"})
def _multiply(p: FloatArray, delta: FloatArray, sent: FloatArray) -> None:
    for i in range(sent.size):
        sent[i] = p[i] * delta[i]


@jit(fastmath={"contract"})
def _keep(first: FloatArray, straight: FloatArray, last: FloatArray, delta: FloatArray) -> None:
    """Subtract the gradients sent to the sources; the rest is the gradient of x."""
    for i in range(delta.size):
        delta[i] = delta[i] - first[i] - straight[i] - last[i]


@jit(fastmath={"contract"})
def _credit(delta: FloatArray, h: FloatArray, v: FloatArray, dp: FloatArray, add: bool) -> None:
    """Write or add the gradient of a gate of a line with the source h."""
    if add:
        for i in range(dp.size):
            dp[i] += delta[i] * (h[i] - v[i])
    else:
        for i in range(dp.size):
            dp[i] = delta[i] * (h[i] - v[i])


@jit(fastmath={"contract"})
def scan_rows_back(
    grad: FloatArray,
    planes: IntArray,
    x: FloatArray,
    p: GatePlanes,
    states: FloatArray,
    dp: GatePlanes,
    backwards: bool,
    more: bool,
) -> None:
    """Differentiate ``scan_rows``.

    Replace the gradient of the states (M, H, W) by that of x, in place. Write the gradient of the
    gates, summed over the planes, to the three dp (H, W); with ``more``, add it to them.
    """
    height, width = x.shape[1], x.shape[2]
    h = np.empty(width + 2, dtype=x.dtype)
    sent = np.zeros((planes.size, 3, width + 2), dtype=x.dtype)
    for t in range(height - 1, -1, -1):
        row = height - 1 - t if backwards else t
        for n in range(planes.size):
            plane = planes[n]
            delta, v, out = grad[plane, row], x[plane, row], sent[n]
            _receive(out[0, 2:], out[1, 1:-1], out[2, :-2], delta)
            if t == 0:  # the first line has no source
                continue
            _copy(states[plane, row + 1 if backwards else row - 1], h[1:-1])
            h[0] = v[0]
            h[width + 1] = v[width - 1]
            for k in range(3):
                _multiply(p[k][row], delta, out[k, 1:-1])
                _credit(delta, h[k : k + width], v, dp[k][row], more or n > 0)
            out[0, 1] = 0.0  # no source is outside the image
            out[2, width] = 0.0
            _keep(out[0, 1:-1], out[1, 1:-1], out[2, 1:-1], delta)
        if t == 0 and not more:
            for k in range(3):
                dp[k][row, :] = 0.0
