"""Where a cut-out object is pasted: a similarity transform with mirroring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import DoubleArray

__all__ = ["Placement"]


@dataclass(frozen=True)
class Placement:
    """A transform about a centre: mirror, scale, rotate, then shift.

    Attributes:
        dx: shift to the right, in pixels.
        dy: shift downwards, in pixels.
        scale: horizontal and vertical scale.
        rotation: clockwise angle, in degrees.
        mirror: whether left and right are swapped.
    """

    dx: float = 0.0
    dy: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    mirror: bool = False

    def matrix(self, centre: tuple[float, float]) -> DoubleArray:
        """Return the affine matrix (2, 3) float64 from old to new pixel coordinates.

        Args:
            centre: x and y of the fixed point, in pixels.
        """
        angle = math.radians(self.rotation)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        linear = turn * np.array(self.scale)
        if self.mirror:
            linear[:, 0] *= -1
        origin = np.array(centre)
        target = origin + np.array((self.dx, self.dy))
        return np.column_stack([linear, target - linear @ origin])
