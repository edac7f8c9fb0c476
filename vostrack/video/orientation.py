"""The display matrix of a video: how decoded frames are turned before they are shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import UInt8Array

__all__ = ["Orientation"]


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a rectangle down on its grid.

    The transposition comes first, the flips after it.

    Attributes:
        transpose: rows become columns.
        mirror: left and right change places.
        flip_vertical: top and bottom change places.
    """

    transpose: bool = False
    mirror: bool = False
    flip_vertical: bool = False

    @classmethod
    def from_matrix(cls, data: bytes) -> Orientation:
        """Read a display matrix, taking an angle between to the nearest quarter turn.

        Args:
            data: nine int32 in the machine's byte order, a, b, u, c, d, v, x, y, w of ISO/IEC
                14496-12 section 6.2.2: the pixel (p, q) is shown at (a p + c q, b p + d q).
        """
        a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, mirror=a < 0, flip_vertical=d < 0)
        return cls(transpose=True, mirror=c < 0, flip_vertical=b < 0)

    @classmethod
    def from_angle(cls, degrees: int) -> Orientation:
        """Take an angle, counter-clockwise, to the nearest quarter turn."""
        quarter = round(degrees / 90) % 4
        return cls(
            transpose=quarter % 2 == 1, mirror=quarter in (2, 3), flip_vertical=quarter in (1, 2)
        )

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) as displayed of a frame that is ``height`` by ``width`` as decoded."""
        return (width, height) if self.transpose else (height, width)

    def apply(self, image: UInt8Array) -> UInt8Array:
        """Turn an image (H, W, 3) into its displayed orientation, contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.mirror:
            image = image[:, ::-1]
        if self.flip_vertical:
            image = image[::-1]
        return np.ascontiguousarray(image)
