"""Binary masks with 64 pixels per word, for exact set operations on whole frames.

A stack of masks is an array (K, h, words) of little-endian uint64. Pixel x of a row is bit
``x % 64`` of word ``x // 64``. A ``Window`` has enough zeros between rows, and rows of zeros
between masks, so that the whole stack can be shifted at once as one stream of bits: bits that leave
a row or a mask fall into the zeros and do not reach a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import IntArray, UInt8Array

__all__ = ["Bits", "Window", "count", "dilate", "outline", "pack_labels", "window"]

Bits = NDArray[np.uint64]

_WORD = 64
_STRIP = 128  # rows per copy, so that it stays in the cache
_BYTE_COUNTS = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)


def pack_labels(maps: Sequence[UInt8Array], objects: int) -> Iterator[tuple[int, Bits]]:
    """Split label maps into one packed mask per object.

    Args:
        maps: M label maps (H, W) uint8. No id may be above ``objects``; but if that is 1, every id
            above 0 is the object.
        objects: number of objects N, at least 1.

    Yields:
        Each id 1..N, in any order, with the masks of that object in the M maps, (M, H,
        ceil(W / 64)).
    """
    if objects == 1:
        yield 1, _pack(maps, None)
        return
    # One packed plane per binary digit of the ids takes log2(N) passes over the pixels, not N.
    digits = [_pack(maps, digit) for digit in range(objects.bit_length())]
    yield from _split(digits[:-1], digits[-1], 1, objects)
    yield from _split(digits[:-1], ~digits[-1], 0, objects)


def _split(
    digits: Sequence[Bits], mask: Bits, prefix: int, objects: int
) -> Iterator[tuple[int, Bits]]:
    """Split the pixels whose ids start with the digits of ``prefix`` by the following digits."""
    if prefix << len(digits) > objects:
        return
    if not digits:
        if prefix:
            yield prefix, mask
        return
    ones = mask & digits[-1]
    yield from _split(digits[:-1], ones, 2 * prefix + 1, objects)
    yield from _split(digits[:-1], mask ^ ones, 2 * prefix, objects)


def _pack(maps: Sequence[UInt8Array], digit: int | None) -> Bits:
    """Pack the pixels with this binary digit, or any digit if None, set: (M, H, words)."""
    height, width = maps[0].shape
    plane = np.zeros((len(maps), height, -(-width // _WORD) * 8), dtype=np.uint8)
    used = -(-width // 8)
    for index, labels in enumerate(maps):
        if digit is None:
            plane[index, :, :used] = np.packbits(labels, axis=1, bitorder="little")
            continue
        for top in range(0, height, _STRIP):
            strip = labels[top : top + _STRIP] & np.uint8(1 << digit)
            plane[index, top : top + _STRIP, :used] = np.packbits(strip, axis=1, bitorder="little")
    return plane.view("<u8")


@dataclass(frozen=True)
class Window:
    """The part of a frame that contains some masks and their outlines, padded with zeros.

    Attributes:
        masks: (K, h, words), a copy, with zeros between rows and at the bottom for ``dilate``.
        rows: number of the h rows that belong to the frame.
        columns: (words,), mask of the pixels of a row that belong to the frame.
        last_column: (words,), mask of the last column of the frame; zeros if the window ends
            before it.
        at_bottom: whether the window includes the last row of the frame.
    """

    masks: Bits
    rows: int
    columns: Bits
    last_column: Bits
    at_bottom: bool


def window(masks: Bits, width: int, radius: int) -> Window:
    """Crop a stack of masks to the part of the frame that contains them.

    Args:
        masks: (K, H, words) without zeros at the ends, as from ``pack_labels``.
        width: W of the frame in pixels.
        radius: the largest radius for ``dilate``, in pixels.
    """
    union = np.bitwise_or.reduce(masks, axis=0)
    used = union.reshape(-1) != 0
    first, last = int(used.argmax()), len(used) - 1 - int(used[::-1].argmax())
    if not used[first]:
        first = last = 0
    # An outline extends one pixel above and to the left of its mask.
    top, bottom = max(first // masks.shape[2] - 1, 0), last // masks.shape[2] + 1
    across: list[int] = np.bitwise_or.reduce(union[top:bottom], axis=0).tolist()
    filled = [index for index, word in enumerate(across) if word] or [0]
    left, right = filled[0], filled[-1] + 1
    left -= bool(left and across[left] & 1)
    stride = right - left + _pad(across[left], across[right - 1], radius)
    small = np.zeros((len(masks), bottom - top + radius, stride), dtype="<u8")
    small[:, : bottom - top, : right - left] = masks[:, top:bottom, left:right]
    columns, last_column = _columns(width - left * _WORD, right - left, stride)
    return Window(small, bottom - top, columns, last_column, bottom == masks.shape[1])


def _pad(first: int, last: int, radius: int) -> int:
    """Return the words of zeros needed between rows, given the outermost words of all rows.

    The free bits at both ends of the words already separate neighbouring rows. The first bit must
    always be free, because the last pixel of the previous row reads it.
    """
    free = (first & -first).bit_length() - 1 if first else _WORD
    if free and free + _WORD - last.bit_length() > radius:
        return 0
    return 1 + radius // _WORD


@lru_cache(maxsize=64)
def _columns(width: int, used: int, words: int) -> tuple[Bits, Bits]:
    """Return masks of the first ``width`` pixels in the ``used`` words, and of the last one."""
    columns = np.zeros(words, dtype="<u8")
    columns[:used] = np.uint64(2**_WORD - 1)
    last = np.zeros(words, dtype="<u8")
    word, bit = divmod(width - 1, _WORD)
    if word < used:
        columns[word] = np.uint64(2 ** (bit + 1) - 1)
        last[word] = np.uint64(2**bit)
    for marks in (columns, last):
        marks.setflags(write=False)  # the cached arrays are shared
    return columns, last


def outline(part: Window) -> Bits:
    """Compute the outline of each mask by the definition of the DAVIS benchmark.

    A pixel belongs to the outline if it and its right, lower and lower right neighbours are not all
    equal. The last row and the last column are replicated beyond the frame.

    Returns:
        (K, h, words), zero outside the frame.
    """
    masks, words = part.masks, part.masks.shape[2]
    stream = masks.reshape(-1)
    east = stream >> np.uint64(1)
    east[:-1] |= stream[1:] << np.uint64(_WORD - 1)
    if part.last_column.any():
        east |= (masks & part.last_column).reshape(-1)
    # Not all four are equal if at least one is set, but not all.
    either: Bits = stream | east
    both: Bits = stream & east
    mixed: Bits = either ^ both
    sideways = mixed.copy() if part.at_bottom else mixed
    either[:-words] |= either[words:]
    both[:-words] &= both[words:]
    np.bitwise_xor(either[:-words], both[:-words], out=mixed[:-words])
    lines = mixed.reshape(masks.shape)
    if part.at_bottom:
        lines[:, part.rows - 1] = sideways.reshape(masks.shape)[:, part.rows - 1]
    lines[:, part.rows :] = 0
    lines &= part.columns
    return lines


def dilate(masks: Bits, radius: int) -> Bits:
    """Dilate exactly by the disk of all pixels at a distance of at most ``radius``.

    The disk is decomposed into rows. Each distinct row width is computed once, by shifting the
    stream of bits, and then added at its heights.

    Args:
        masks: (K, h, words), in a window for this radius or a larger one.
        radius: radius in pixels, at least 0.

    Returns:
        (K, h, words). Bits outside the frame are meaningless.
    """
    words = masks.shape[2]
    wide, reach = masks.reshape(-1), 0
    result = np.zeros_like(wide)
    for width, heights in _disk_rows(radius):
        while reach < width:
            step = min(width - reach, 2 * reach + 1, _WORD - 1)
            wide = _widen(wide, step)
            reach += step
        for height in heights:
            _lay(result, wide, height * words)
    return result.reshape(masks.shape)


@lru_cache(maxsize=16)
def _disk_rows(radius: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the distinct half widths of the rows of a disk, ascending, with their heights."""
    heights: dict[int, list[int]] = {}
    for height in range(radius + 1):
        heights.setdefault(math.isqrt(radius**2 - height**2), []).append(height)
    return tuple((width, tuple(heights[width])) for width in sorted(heights))


def _widen(stream: Bits, step: int) -> Bits:
    """Return the union of a stream and itself shifted by ``step`` bits in both directions."""
    rest = np.uint64(_WORD - step)
    up = stream << np.uint64(step)
    down = stream >> np.uint64(step)
    up |= down
    up |= stream
    low, high = up[:-1], up[1:]
    high |= stream[:-1] >> rest
    low |= stream[1:] << rest
    return up


def _lay(result: Bits, stream: Bits, offset: int) -> None:
    """Add the stream, shifted by ``offset`` words in both directions, to ``result``."""
    if not offset:
        result |= stream
        return
    later, earlier = result[offset:], result[:-offset]
    later |= stream[:-offset]
    earlier |= stream[offset:]


def count(masks: Bits) -> IntArray:
    """Count the pixels of each mask (K, h, words). Return (K,) int64."""
    flat = np.ascontiguousarray(masks).reshape(len(masks), math.prod(masks.shape[1:]))
    if hasattr(np, "bitwise_count"):  # numpy 2
        ones: UInt8Array = np.bitwise_count(flat)
    else:
        ones = _count_by_table(flat)
    totals: IntArray = ones.sum(axis=1, dtype=np.int64)
    return totals


def _count_by_table(words: Bits) -> UInt8Array:
    """Count the set bits of each byte, for numpy before 2.0."""
    return _BYTE_COUNTS[words.view(np.uint8)]
