"""The compiled loops of ``numba_kernel``, one plane and one direction per call.

Rows are scanned where they lie. Columns are scanned in tiles of sixteen, one cache line wide, that
are turned into rows on the way in and back on the way out: walking down whole columns instead was
measured to take about ten times as long, because every step of it touches another page.

The recurrences are those of ``reference``; lines of a plane carry one cell more at either end, so
that a source outside the image needs no branch. This is the one module that imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["pick_winner", "scan_columns", "scan_columns_back", "scan_rows", "scan_rows_back"]

FloatArray = NDArray[np.floating[Any]]
ByteArray = NDArray[np.uint8]
Function = TypeVar("Function", bound=Callable[..., Any])

_TILE = 16


def _jit(function: Function) -> Function:
    compile_ = numba.njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
    return cast(Function, compile_(function))


@_jit
def _advance(
    v: FloatArray,
    p1: FloatArray,
    p2: FloatArray,
    p3: FloatArray,
    before: FloatArray,
    after: FloatArray,
) -> None:
    """Take one step of the scan: after (L + 2) from before (L + 2) and the input line v (L)."""
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


@_jit
def scan_rows(
    x: FloatArray, p: FloatArray, y: FloatArray, state: FloatArray, backwards: bool, merge: bool
) -> None:
    """Scan the rows of x (H, W) with the gates p (3, H, W).

    Writes the state into ``state`` unless that is empty, and into y, by maximum where ``merge``.
    """
    height, width = x.shape
    before = np.empty(width + 2, dtype=x.dtype)
    after = np.empty(width + 2, dtype=x.dtype)
    for t in range(height):
        row = height - 1 - t if backwards else t
        if t == 0:
            after[1:-1] = x[row]
        else:
            _advance(x[row], p[0, row], p[1, row], p[2, row], before, after)
        out = y[row]
        if merge:
            for i in range(width):
                # A NaN on either side wins, as it does in torch.
                out[i] = out[i] if out[i] >= after[i + 1] or out[i] != out[i] else after[i + 1]
        else:
            out[:] = after[1:-1]
        if state.size > 0:
            state[row] = after[1:-1]
        before, after = after, before


@_jit
def _turn(source: FloatArray, start: int, count: int, tile: FloatArray) -> None:
    """Turn columns of source (H, W) into the rows of tile (16, H)."""
    for row in range(source.shape[0]):
        for j in range(count):
            tile[j, row] = source[row, start + j]


@_jit
def scan_columns(
    x: FloatArray, p: FloatArray, y: FloatArray, state: FloatArray, backwards: bool, merge: bool
) -> None:
    """Scan the columns; otherwise as ``scan_rows``."""
    height, width = x.shape
    v = np.empty((_TILE, height), dtype=x.dtype)
    gate = np.empty((3, _TILE, height), dtype=x.dtype)
    h = np.empty((_TILE + 1, height + 2), dtype=x.dtype)  # the last line is that of the tile before
    tiles = (width + _TILE - 1) // _TILE
    for tile in range(tiles):
        start = (tiles - 1 - tile if backwards else tile) * _TILE
        count = min(_TILE, width - start)
        _turn(x, start, count, v)
        for k in range(3):
            _turn(p[k], start, count, gate[k])
        previous = _TILE
        for t in range(count):
            j = count - 1 - t if backwards else t
            if tile == 0 and t == 0:
                h[j, 1:-1] = v[j]
            else:
                _advance(v[j], gate[0, j], gate[1, j], gate[2, j], h[previous], h[j])
            previous = j
        h[_TILE] = h[previous]
        for row in range(height):
            for j in range(count):
                new, old = h[j, row + 1], y[row, start + j]
                y[row, start + j] = old if merge and (old >= new or old != old) else new
        if state.size > 0:
            for row in range(height):
                for j in range(count):
                    state[row, start + j] = h[j, row + 1]


@_jit
def pick_winner(states: FloatArray, winner: ByteArray) -> None:
    """Write the first direction with the largest state (D, H, W) into winner (H, W)."""
    directions, height, width = states.shape
    for row in range(height):
        best, chosen = states[0, row].copy(), winner[row]
        chosen[:] = 0
        for d in range(1, directions):
            for i in range(width):
                if states[d, row, i] > best[i]:
                    best[i] = states[d, row, i]
                    chosen[i] = d


@_jit
def _receive(own: FloatArray, sent: FloatArray, delta: FloatArray) -> None:
    """Add to the gradient ``own`` (L) of a line what the line behind ``sent`` (3, L + 2) it."""
    first, straight, last = sent[0], sent[1], sent[2]
    for i in range(delta.size):
        delta[i] = own[i] + first[i + 2] + straight[i + 1] + last[i]


@_jit
def _send(
    delta: FloatArray, p1: FloatArray, p2: FloatArray, p3: FloatArray, sent: FloatArray
) -> None:
    """Split the gradient ``delta`` (L) of a line over its sources; none lies outside."""
    first, straight, last = sent[0], sent[1], sent[2]
    for i in range(delta.size):
        first[i + 1] = p1[i] * delta[i]
        straight[i + 1] = p2[i] * delta[i]
        last[i + 1] = p3[i] * delta[i]
    first[1] = 0.0
    last[delta.size] = 0.0


@_jit
def _keep(delta: FloatArray, sent: FloatArray, dx: FloatArray) -> None:
    """Leave to x what was not sent."""
    first, straight, last = sent[0], sent[1], sent[2]
    for i in range(delta.size):
        dx[i] = delta[i] - first[i + 1] - straight[i + 1] - last[i + 1]


@_jit
def _credit(
    delta: FloatArray,
    v: FloatArray,
    h: FloatArray,
    dp1: FloatArray,
    dp2: FloatArray,
    dp3: FloatArray,
) -> None:
    """Add the gradient of the gates of a line, its sources being h (L + 2)."""
    lanes = v.size
    h[0] = v[0]
    h[lanes + 1] = v[lanes - 1]
    for i in range(lanes):
        dp1[i] += delta[i] * (h[i] - v[i])
        dp2[i] += delta[i] * (h[i + 1] - v[i])
        dp3[i] += delta[i] * (h[i + 2] - v[i])


@_jit
def scan_rows_back(
    theta: FloatArray,
    winner: ByteArray,
    direction: int,
    x: FloatArray,
    p: FloatArray,
    state: FloatArray,
    dx: FloatArray,
    dp: FloatArray,
    backwards: bool,
) -> None:
    """Go back through ``scan_rows``: write dx (H, W), add to dp (3, H, W).

    ``theta`` is the gradient of the maximum; it counts where ``winner`` is ``direction``.
    """
    height, width = x.shape
    delta = np.empty(width, dtype=x.dtype)
    own = np.empty(width, dtype=x.dtype)
    h = np.empty(width + 2, dtype=x.dtype)
    sent = np.zeros((3, width + 2), dtype=x.dtype)
    for t in range(height - 1, -1, -1):
        row = height - 1 - t if backwards else t
        gradient, won = theta[row], winner[row]
        for i in range(width):
            own[i] = gradient[i] if won[i] == direction else 0.0
        _receive(own, sent, delta)
        if t == 0:
            dx[row] = delta
            break
        _send(delta, p[0, row], p[1, row], p[2, row], sent)
        _keep(delta, sent, dx[row])
        h[1:-1] = state[row + 1 if backwards else row - 1]
        _credit(delta, x[row], h, dp[0, row], dp[1, row], dp[2, row])


@_jit
def scan_columns_back(
    theta: FloatArray,
    winner: ByteArray,
    direction: int,
    x: FloatArray,
    p: FloatArray,
    state: FloatArray,
    dx: FloatArray,
    dp: FloatArray,
    backwards: bool,
) -> None:
    """Go back through ``scan_columns``; otherwise as ``scan_rows_back``."""
    height, width = x.shape
    own = np.empty((_TILE, height), dtype=x.dtype)
    v = np.empty((_TILE, height), dtype=x.dtype)
    gate = np.empty((3, _TILE, height), dtype=x.dtype)
    h = np.empty((_TILE, height + 2), dtype=x.dtype)
    out = np.empty((_TILE, height), dtype=x.dtype)
    credit = np.empty((3, _TILE, height), dtype=x.dtype)
    delta = np.empty(height, dtype=x.dtype)
    sent = np.zeros((3, height + 2), dtype=x.dtype)
    tiles = (width + _TILE - 1) // _TILE
    ahead = 1 if backwards else -1
    for tile in range(tiles - 1, -1, -1):
        start = (tiles - 1 - tile if backwards else tile) * _TILE
        count = min(_TILE, width - start)
        _turn(x, start, count, v)
        for k in range(3):
            _turn(p[k], start, count, gate[k])
        for row in range(height):
            for j in range(count):
                column = start + j
                own[j, row] = theta[row, column] if winner[row, column] == direction else 0.0
                # The first line of the scan has no source, and nothing reads its place.
                h[j, row + 1] = state[row, min(max(column + ahead, 0), width - 1)]
        credit[:] = 0.0
        for t in range(count - 1, -1, -1):
            j = count - 1 - t if backwards else t
            _receive(own[j], sent, delta)
            if tile == 0 and t == 0:
                out[j] = delta
                break
            _send(delta, gate[0, j], gate[1, j], gate[2, j], sent)
            _keep(delta, sent, out[j])
            _credit(delta, v[j], h[j], credit[0, j], credit[1, j], credit[2, j])
        for row in range(height):
            for j in range(count):
                dx[row, start + j] = out[j, row]
                dp[0, row, start + j] += credit[0, j, row]
                dp[1, row, start + j] += credit[1, j, row]
                dp[2, row, start + j] += credit[2, j, row]
