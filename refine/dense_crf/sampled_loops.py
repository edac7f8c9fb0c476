"""Compiled loops of ``sampled``, which process one pixel at a time."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import FloatArray, IntArray
from vostrack.compute.jit import jit

__all__ = ["blur_at", "gather_similar"]


# Allow sums in any order, so that eight or sixteen samples are added at a time.
_ANY_ORDER = {"contract", "reassoc", "nsz"}


@jit(fastmath=_ANY_ORDER)
def blur_at(
    field: FloatArray, ys: IntArray, xs: IntArray, taps: FloatArray, out: FloatArray
) -> None:
    """Blur a map (h, w) with the filter taps (2 r + 1,) along both axes, at pixels (P,) only."""
    height, width = field.shape
    radius = taps.size // 2
    for n in range(ys.size):
        y, x = ys[n], xs[n]
        total = np.float32(0)
        inside = x >= radius and x + radius < width
        for i in range(taps.size):
            row = field[min(max(y + i - radius, 0), height - 1)]
            part = np.float32(0)
            if inside:
                line = row[x - radius : x + radius + 1]
                for j in range(taps.size):
                    part += taps[j] * line[j]
            else:
                for j in range(taps.size):
                    part += taps[j] * row[min(max(x + j - radius, 0), width - 1)]
            total += taps[i] * part
        out[n] = total


@jit(fastmath=_ANY_ORDER)
def gather_similar(
    image: FloatArray,
    ys: IntArray,
    xs: IntArray,
    stride: int,
    colours: FloatArray,
    values: FloatArray,
    fade: FloatArray,
    inverse: np.float32,
    out: FloatArray,
) -> None:
    """Average the values (h', w') of samples with colours (3, h', w') similar to pixels (P,)."""
    height, width = values.shape
    radius = fade.size // 2
    zero, one = np.float32(0), np.float32(1)
    for n in range(ys.size):
        y, x = ys[n], xs[n]
        red, green, blue = image[0, y, x], image[1, y, x], image[2, y, x]
        row, column = y // stride, x // stride
        left, right = max(0, column - radius), min(width, column + radius + 1)
        fades = fade[left - column + radius : right - column + radius]
        total, weight = zero, np.float32(1e-6)
        for i in range(max(0, row - radius), min(height, row + radius + 1)):
            reds, greens = colours[0, i, left:right], colours[1, i, left:right]
            blues, line = colours[2, i, left:right], values[i, left:right]
            part, count = zero, zero
            for j in range(fades.size):
                r, g, b = reds[j] - red, greens[j] - green, blues[j] - blue
                close = max(one - (r * r + g * g + b * b) * inverse, zero)
                close = close * close
                close = close * close * fades[j]
                part += close * line[j]
                count += close
            total += part * fade[i - row + radius]
            weight += count * fade[i - row + radius]
        out[n] = total / weight
