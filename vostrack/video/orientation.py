"""The display matrix of a video: how decoded frames are rotated for display."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import UInt8Array

__all__ = ["Orientation"]


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of an image.

    The transposition is applied first, then the flips.

    Attributes:
        transpose: whether rows become columns.
        mirror: whether left and right are swapped.
        flip_vertical: whether top and bottom are swapped.
    """

    transpose: bool = False
    mirror: bool = False
    flip_vertical: bool = False

    @classmethod
    def from_matrix(cls, data: bytes) -> Orientation:
        """Read a display matrix. Other angles are rounded to the nearest quarter turn.

        Args:
            data: nine int32 in native byte order: a, b, u, c, d, v, x, y, w of ISO/IEC 14496-12,
                section 6.2.2. The pixel (p, q) is shown at (a p + c q, b p + d q).
        """
        a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, mirror=a < 0, flip_vertical=d < 0)
        return cls(transpose=True, mirror=c < 0, flip_vertical=b < 0)

    @classmethod
    def from_angle(cls, degrees: int) -> Orientation:
        """Round a counter-clockwise angle to the nearest quarter turn."""
        quarter = round(degrees / 90) % 4
        return cls(
            transpose=quarter % 2 == 1, mirror=quarter in (2, 3), flip_vertical=quarter in (1, 2)
        )

    @property
    def mirrored(self) -> bool:
        """Whether the image is mirrored, and not only rotated."""
        return self.transpose ^ self.mirror ^ self.flip_vertical

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the displayed size (H, W) of a decoded frame of ``height`` by ``width`` pixels."""
        return (width, height) if self.transpose else (height, width)

    def apply(self, image: UInt8Array) -> UInt8Array:
        """Rotate a decoded image (H, W, 3) uint8 for display. The result is contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.mirror:
            image = image[:, ::-1]
        if self.flip_vertical:
            image = image[::-1]
        return np.ascontiguousarray(image)
