"""The run lengths of Label Studio's brush, which are not those of COCO.

The RGBA bytes of an image are packed into bits by the method of thi.ng/rle-pack: 32 bits with the
number of bytes, 5 with the word size less 1, four times 4 with the sizes of run lengths less 1.
Then come runs: a bit that tells a repeated word from a literal sequence, 2 bits that choose the
size of the length, the length less 1, and one word or as many as the length says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.annotations import Size, shortened

__all__ = ["decode_brush", "encode_brush"]

_SIZES = (3, 4, 8, 16)
_HEAD = 32 + 5 + 16
_OPAQUE = 128


def encode_brush(mask: BoolArray) -> list[int]:
    """Encode a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        Bytes, as Label Studio's JSON lists them.
    """
    values = mask.ravel()
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], edges, [values.size]))) * 4
    parts = [f"{values.size * 4:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    inside = bool(values[0])
    for length in lengths.tolist():
        word = "11111111" if inside else "00000000"
        while length:
            run = min(length, 1 << _SIZES[-1])
            place = next(k for k, size in enumerate(_SIZES) if run <= 1 << size)
            parts.append(f"1{place:02b}{run - 1:0{_SIZES[place]}b}{word}")
            length -= run
        inside = not inside
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return np.packbits(np.frombuffer(bits.encode("ascii"), np.uint8) - ord("0")).tolist()


def decode_brush(rle: Any, size: Size) -> BoolArray:
    """Decode a mask: where the alpha of the image is at least half.

    Args:
        rle: bytes, as Label Studio's JSON lists them.
        size: H and W of the image.

    Raises:
        InputError: these are not the run lengths of an image of that size.
    """
    whole = isinstance(rle, list) and all(type(n) is int and 0 <= n < 256 for n in rle)
    if not whole or len(rle) * 8 < _HEAD:
        raise InputError(
            f"brush: expected a list of bytes, got {shortened(rle, 40)}; export the task again"
        )
    bits = (np.unpackbits(np.array(rle, dtype=np.uint8)) + ord("0")).tobytes().decode("ascii")
    count, word = int(bits[:32], 2), int(bits[32:37], 2) + 1
    sizes = [int(bits[37 + 4 * k : 41 + 4 * k], 2) + 1 for k in range(4)]
    if count != size[0] * size[1] * 4 or word != 8:
        raise InputError(
            f"brush: the run lengths cover {count} values of {word} bits, expected "
            f"{size[0]} x {size[1]} x 4 of 8; export the task again"
        )
    out = np.zeros(count, np.uint8)
    at, done = _HEAD, 0
    while done < count:
        width = sizes[int(bits[at + 1 : at + 3] or "0", 2)]
        body = at + 3 + width
        run = int(bits[at + 3 : body] or "0", 2) + 1
        repeated = bits[at : at + 1] == "1"
        at = body + word * (1 if repeated else run)
        if at > len(bits) or done + run > count:
            raise InputError("brush: the run lengths are cut short; export the task again")
        if repeated:
            out[done : done + run] = int(bits[body:at], 2)
        else:
            text = np.frombuffer(bits[body:at].encode("ascii"), np.uint8) - ord("0")
            out[done : done + run] = np.packbits(text)
        done += run
    return np.asarray(out.reshape(*size, 4)[..., 3] >= _OPAQUE)
