"""Tone mapping of HDR video (PQ and HLG) and conversion of BT.2020 primaries to BT.709."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array

__all__ = ["ToneMap"]

# Codes of ISO/IEC 23001-8.
_PQ, _HLG = 16, 18
_BT2020 = 9
# Diffuse white of ITU-R BT.2408: nits in PQ, and the value in HLG.
_WHITE, _HLG_WHITE = 203.0, 0.75
_GAMMA = 2.4  # of a BT.1886 display
# Light above this share of white is compressed.
_KNEE = 0.9
_LEVELS = 4096
# ITU-R BT.2087, table 2 inverted.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    dtype=np.float32,
)


@dataclass(frozen=True)
class ToneMap:
    """A conversion of RGB values to BT.709.

    Diffuse white, 203 nits, becomes nearly 255, as players show it. Highlights are compressed
    above 0.9 of white.

    Attributes:
        transfer: ``"PQ"``, ``"HLG"`` or ``"SDR"``.
        wide: whether the primaries are those of BT.2020.
    """

    transfer: str
    wide: bool

    @classmethod
    def for_tags(cls, transfer: int, primaries: int) -> ToneMap | None:
        """Return the conversion for tags of ISO/IEC 23001-8; None if none is needed."""
        name = {_PQ: "PQ", _HLG: "HLG"}.get(transfer, "SDR")
        wide = primaries == _BT2020
        return cls(name, wide) if name != "SDR" or wide else None

    @property
    def description(self) -> str:
        """What the frames are, for a message."""
        return f"{self.transfer}{' in BT.2020' if self.wide else ''}"

    def apply(self, image: FloatArray) -> UInt8Array:
        """Convert an image (H, W, 3) of coded RGB, floats in [0, 1], to uint8 RGB in BT.709."""
        light = self._light[(image * 65535 + 0.5).astype(np.int32)]
        if self.wide:
            light = np.maximum(light @ _TO_BT709.T, 0)
        if self.transfer != "SDR":
            brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
            excess = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
            shown = np.minimum(brightest, _KNEE) + (1 - _KNEE) * (1 - np.exp(-excess))
            light *= shown / brightest
        index = (np.clip(light, 0, 1) ** 0.5 * (_LEVELS - 1) + 0.5).astype(np.int32)
        coded: UInt8Array = self._codes[index]
        return coded

    @cached_property
    def _light(self) -> FloatArray:
        """Linear light of each 16-bit value; 1 is diffuse white."""
        value = np.linspace(0, 1, 65536)
        if self.transfer == "PQ":
            light = _pq_nits(value) / _WHITE
        elif self.transfer == "HLG":
            # Light of the scene, as for an SDR camera: without the gamma of an HLG display.
            light = _hlg_scene(value) / _hlg_scene(np.array(_HLG_WHITE))
        else:
            light = value**_GAMMA
        return light.astype(np.float32)

    @cached_property
    def _codes(self) -> UInt8Array:
        """8-bit value of the square root of light, which spaces the dark levels well."""
        light = np.linspace(0, 1, _LEVELS) ** 2
        coded = light ** (1 / _GAMMA)
        if self.transfer == "HLG":
            # The OETF of ITU-R BT.709, as the light is that of the scene.
            coded = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
        return np.rint(255 * coded).astype(np.uint8)


def _pq_nits(value: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The EOTF of SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = value ** (1 / m2)
    nits: np.ndarray[Any, np.dtype[np.float64]] = 10000 * (
        np.maximum(power - c1, 0) / (c2 - c3 * power)
    ) ** (1 / m1)
    return nits


def _hlg_scene(
    value: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The inverse OETF of ITU-R BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
