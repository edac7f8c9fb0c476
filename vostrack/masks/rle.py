"""COCO run-length encoding of binary masks.

Decoding is implemented here, because a file may contain run lengths that do not match its size and
must be rejected. Encoding and polygons use pycocotools, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vostrack.arrays import BoolArray, IntArray
from vostrack.errors import InputError

__all__ = ["decode_rle", "encode_rle", "encode_run_lengths", "fill_polygons", "is_empty_rle"]


# A corrupt size must not exhaust the memory.
_MOST_PIXELS = 1 << 28


def encode_rle(mask: BoolArray) -> dict[str, Any]:
    """Encode a mask as compressed COCO RLE that ``json`` can write.

    Args:
        mask: (H, W) bool.

    Returns:
        ``{"size": [H, W], "counts": str}``, which ``pycocotools.mask.decode`` reads.

    Raises:
        InputError: ``mask`` is not a bool array of two axes.
    """
    from pycocotools import mask as coco_mask

    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError(
            f"mask: expected bool of shape (H, W), got {mask.dtype} of shape {mask.shape}"
        )
    rle = coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_run_lengths(mask: BoolArray) -> dict[str, Any]:
    """Encode a mask as COCO RLE without compression.

    Args:
        mask: (H, W).

    Returns:
        ``{"size": [H, W], "counts": list}``: run lengths down the columns, background first.
    """
    values = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff(ends, prepend=0, append=values.size).tolist()
    first = [0] if values.size and values[0] else []
    return {"size": list(mask.shape), "counts": [*first, *runs]}


def decode_rle(rle: Mapping[str, Any]) -> BoolArray:
    """Decode COCO RLE: compressed (``counts`` is a string) or not (a list of run lengths).

    Returns:
        (H, W) bool.

    Raises:
        InputError: ``rle`` is not RLE, or its run lengths do not sum to H x W.
    """
    height, width = _size(rle)
    counts = rle.get("counts")
    text = isinstance(counts, (str, bytes))
    runs = _run_lengths(counts) if text else _plain_run_lengths(counts)
    if int(runs.min(initial=0)) < 0 or int(runs.sum()) != height * width:
        raise InputError(
            f"RLE: the run lengths cover {int(runs.sum())} pixels, expected "
            f"{height} x {width} = {height * width}; export the mask again"
        )
    inside = np.arange(len(runs)) % 2 == 1
    # COCO runs are in column-major order.
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def is_empty_rle(rle: Any) -> bool:
    """Tell whether this is RLE of a mask without a pixel. Corrupt RLE is not."""
    if not isinstance(rle, Mapping):
        return False
    counts = rle.get("counts")
    try:
        text = isinstance(counts, (str, bytes))
        runs = _run_lengths(counts) if text else _plain_run_lengths(counts)
    except InputError:
        return False
    return not runs[1::2].any()


def fill_polygons(polygons: list[Any], size: tuple[int, int]) -> BoolArray:
    """Rasterize the COCO polygons of one object.

    Args:
        polygons: lists x0, y0, x1, y1, ... in pixels, each with at least three points. Numbers may
            be text.
        size: H and W, in pixels.

    Returns:
        The union of the polygons, (H, W) bool.

    Raises:
        InputError: a polygon is not such a list.
    """
    from pycocotools import mask as coco_mask

    polygons = [_without_text(polygon) for polygon in polygons]
    for polygon in polygons:
        # The bound rejects NaN and coordinates that would exhaust the memory.
        numbers = isinstance(polygon, list) and all(
            isinstance(v, (int, float)) and abs(v) < 1 << 16 for v in polygon
        )
        if not numbers or len(polygon) < 6 or len(polygon) % 2:
            raise InputError(
                "polygon: expected a list x0, y0, x1, y1, ... of at least three points, "
                f"got {str(polygon)[:60]}; export the polygons again or use RLE"
            )
    return decode_rle(coco_mask.merge(coco_mask.frPyObjects(polygons, *size)))


def _without_text(polygon: Any) -> Any:
    """Return a polygon whose numbers are text as numbers."""
    if not isinstance(polygon, list) or not any(isinstance(v, str) for v in polygon):
        return polygon
    try:
        return [float(v) if isinstance(v, str) else v for v in polygon]
    except ValueError:
        return polygon


def _size(rle: Mapping[str, Any]) -> tuple[int, int]:
    size = rle.get("size")
    sides = [_whole(n) for n in size] if isinstance(size, (list, tuple)) else []
    if len(sides) != 2 or min(sides) <= 0 or sides[0] * sides[1] > _MOST_PIXELS:
        raise InputError(
            f"RLE: expected a size [H, W], got {str(size)[:40]}; export the mask again"
        )
    return sides[0], sides[1]


def _whole(number: Any) -> int:
    """Return a number below 2^32 as an integer, -1 if it is none. JSON may write 3 as 3.0."""
    if type(number) not in (int, float) or not 0 <= number < 1 << 32 or number != int(number):
        return -1
    return int(number)


def _plain_run_lengths(counts: Any) -> IntArray:
    # The upper bound of each keeps the sum within int64.
    runs = [_whole(n) for n in counts] if isinstance(counts, list) else [-1]
    if min(runs, default=0) >= 0:
        return np.array(runs, dtype=np.int64)
    raise InputError(
        "RLE: expected counts as a compressed string or a list of integer run lengths, "
        f"got {str(counts)[:40]!r}; export the mask again"
    )


def _run_lengths(counts: Any) -> IntArray:
    """Decode compressed run lengths.

    Each character holds five bits, in little-endian order. From the fourth run on, each value is
    the difference from the run two positions earlier.
    """
    text = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    if text[:2] in (b"b'", b'b"') and text[-1:] == text[1:2]:
        # Bytes of Python that were written with str(). No count of COCO begins with these two.
        text = text[2:-1].replace(b"\\\\", b"\\")
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((codes & 0x20) == 0)
    if codes.size and (codes.min() < 0 or codes.max() > 63 or last.size == 0):
        raise InputError("RLE: the counts string is corrupt; export the mask again")
    if codes.size == 0:
        return np.zeros(0, dtype=np.int64)
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if last[-1] != codes.size - 1 or lengths.max() > 7:
        raise InputError("RLE: the counts string is corrupt or truncated; export the mask again")
    place = np.arange(codes.size) - np.repeat(first, lengths)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), first)
    negative = (codes[last] & 0x10) != 0
    values = np.where(negative, values - (np.int64(1) << (5 * lengths)), values)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return np.asarray(values, dtype=np.int64)
