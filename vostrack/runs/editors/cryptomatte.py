"""Cryptomatte: names of objects as hashes, and their coverage of each pixel, in ranks.

Specification: Friedman and Jones, "Fully automatic ID mattes with support for motion blur and
transparency", 2015, and the Cryptomatte specification 1.2.0.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np

from vostrack.arrays import FloatArray

__all__ = ["LAYER", "hash_of", "metadata", "murmur3", "ranks"]

LAYER = "CryptoObject"
_MASK = 0xFFFFFFFF


def murmur3(data: bytes) -> int:
    """Return the 32-bit MurmurHash3 (x86, seed 0) of some bytes."""
    value, whole = 0, len(data) // 4 * 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        value ^= _scrambled(word)
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    value ^= _scrambled(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = ((value ^ value >> shift) * factor) & _MASK
    return value ^ value >> 16


def _scrambled(word: int) -> int:
    word = (word * 0xCC9E2D51) & _MASK
    word = (word << 15 | word >> 17) & _MASK
    return (word * 0x1B873593) & _MASK


def hash_of(name: str) -> int:
    """Return the bits of the float by which a name is known; never zero, infinite or no number."""
    value = murmur3(name.encode("utf-8"))
    if (value >> 23) & 255 in (0, 255):
        value ^= 1 << 23
    return value


def metadata(names: Sequence[str]) -> dict[str, str]:
    """Return the header entries that say which hash is which name."""
    key = f"cryptomatte/{murmur3(LAYER.encode()):08x}"[: len("cryptomatte/") + 7]
    manifest = {name: f"{hash_of(name):08x}" for name in names}
    return {
        f"{key}/name": LAYER,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": json.dumps(manifest, ensure_ascii=False, separators=(",", ":")),
    }


def ranks(names: Sequence[str], mattes: FloatArray) -> dict[str, FloatArray]:
    """Return the channels of the layers, two ranks in each, by descending coverage.

    Args:
        names: of the N objects.
        mattes: (N, H, W) in [0, 1].

    Returns:
        (H, W) float32 by channel; all objects that cover a pixel have a rank.
    """
    hashes = np.array([hash_of(name) for name in names], np.uint32).view(np.float32)
    depth = max(2, int((mattes > 0).sum(axis=0).max(initial=0)))
    order = np.argsort(-mattes, axis=0, kind="stable")
    channels: dict[str, FloatArray] = {}
    for rank in range(depth + depth % 2):
        layer, pair = f"{LAYER}{rank // 2:02d}", "RG" if rank % 2 == 0 else "BA"
        number, coverage = np.zeros((2, *mattes.shape[1:]), np.float32)
        if rank < len(names):
            chosen = order[rank]
            coverage = np.take_along_axis(mattes, chosen[None], axis=0)[0]
            number = np.where(coverage > 0, hashes[chosen], np.float32(0))
        for channel, values in zip(pair, (number, coverage), strict=True):
            channels[f"{layer}.{channel}"] = np.ascontiguousarray(values, np.float32)
    return channels
