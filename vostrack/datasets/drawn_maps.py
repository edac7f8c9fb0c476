"""Label maps of random shapes, for trial runs without a data set."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError

__all__ = ["DrawnMaps"]


class DrawnMaps:
    """Label maps of random round shapes, each of one of a few classes, for trial runs."""

    def __init__(self, count: int = 1000, side: int = 256, *, seed: int = 0) -> None:
        """Describe the collection without drawing anything.

        Args:
            count: how many label maps there are.
            side: height and width, pixels.
            seed: of the whole collection.

        Raises:
            InputError: count or side is not positive.
        """
        if count < 1 or side < 1:
            raise InputError(f"drawn maps: expected positive count and side, got {count}, {side}")
        self._count, self._side, self._seed = count, side, seed

    def __len__(self) -> int:
        """Return ``count``."""
        return self._count

    def __getitem__(self, index: int) -> UInt8Array:
        """Draw one; the same index gives the same map."""
        chance = np.random.default_rng([self._seed, index])
        labels = np.zeros((self._side, self._side), dtype=np.uint8)
        for _ in range(int(chance.integers(1, 6))):
            class_id = int(chance.integers(1, 4))
            cv2.fillPoly(labels, [_blob(chance, self._side)], class_id)
        return labels


def _blob(chance: np.random.Generator, side: int) -> NDArray[np.int32]:
    """Draw a stretched circle with a wavy outline, (points, 2) as x, y."""
    angle = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    wave = sum(
        chance.uniform(-0.12, 0.12) * np.cos(k * angle + chance.uniform(0, 2 * math.pi))
        for k in (2, 3, 4)
    )
    radii = side * chance.uniform(0.06, 0.22) * (1 + wave)
    stretch = chance.uniform(0.6, 1.6)
    turn = chance.uniform(0, math.pi)
    x, y = radii * np.cos(angle) * stretch, radii * np.sin(angle) / stretch
    centre = chance.uniform(0, side, 2)
    points = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1
    )
    return np.rint(points + centre).astype(np.int32)
