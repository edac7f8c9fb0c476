"""Other colours for the objects of a clip, so that few videos show many objects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from vostrack.arrays import AnyArray, FloatArray, UInt8Array

__all__ = ["ObjectColours"]

_GRAY = np.full((3, 3), 1 / 3)
_SOFTNESS = 1.0


class ObjectColours:
    """One change of colours for each object of a clip, the same in all of its frames."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        """Draw it for ``count`` objects."""
        self.changes = [_change(rng) for _ in range(count)]

    def apply(self, image: AnyArray, labels: UInt8Array, ids: Sequence[int]) -> UInt8Array:
        """Recolour the objects of a frame.

        Args:
            image: (H, W, 3) uint8; not changed.
            labels: (H, W) the id of each pixel.
            ids: of the objects, one for each change.

        Returns:
            (H, W, 3) uint8. The change fades over a pixel or two along the outlines.
        """
        pixels = image.astype(np.float32)
        for number, (linear, offset) in zip(ids, self.changes, strict=True):
            inside = (labels == number).astype(np.float32)
            if inside.any():
                alpha = cv2.GaussianBlur(inside, (0, 0), _SOFTNESS)[..., None]
                pixels = pixels + alpha * (pixels @ linear.T + offset - pixels)
        return np.asarray(np.clip(pixels + 0.5, 0, 255), dtype=np.uint8)


def _change(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw an affine change of (R, G, B): (3, 3) and (3,)."""
    # Hue turns around the gray axis (Rodrigues), saturation scales the distance from it.
    angle, saturation = float(rng.normal(0, 1.0)), float(rng.uniform(0.2, 1.5))
    cos, sin = math.cos(angle), math.sin(angle) / math.sqrt(3)
    turn = cos * np.eye(3) + (1 - cos) * _GRAY
    turn += sin * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = (saturation * np.eye(3) + (1 - saturation) * _GRAY) @ turn
    contrast = math.exp(rng.normal(0, 0.25))
    offset = 128 * (1 - contrast) + rng.normal(0, 25) + rng.normal(0, 8, 3)
    return (contrast * turn).astype(np.float32), offset.astype(np.float32)
