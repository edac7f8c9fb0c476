"""How a pasted object moves, and the light of a clip."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vostrack.arrays import AnyArray, BoolArray, DoubleArray, FloatArray
from vostrack.online_finetune.first_frame_augmentation import Placement

__all__ = ["Flight", "Light", "mask_extent"]


class Flight:
    """Where a pasted object goes: near the host's object, in a straight line, turning a little."""

    def __init__(self, rng: np.random.Generator, host: BoolArray) -> None:
        """Draw it; ``host`` (H, W) is where the object to fly by is."""
        x0, y0, x1, y1 = mask_extent(host)
        across, along = 0.4 * (x1 - x0), 0.2 * (y1 - y0)
        self.start = np.array(
            [rng.uniform(x0 - across, x1 + across), rng.uniform(y0 - along, y1 + along)]
        )
        self.velocity = rng.normal(0, 18, 2)
        self.turn, self.spin = float(rng.normal(0, 10)), float(rng.normal(0, 5))
        self.zoom = math.exp(rng.normal(0, 0.35))
        self.mirror = bool(rng.random() < 0.5)

    def matrix(
        self, rng: np.random.Generator, number: int, box: tuple[int, int, int, int]
    ) -> DoubleArray:
        """Return the affine matrix (2, 3) of frame ``number``, for an object with this box."""
        x0, y0, x1, y1 = box
        zoom = min(self.zoom, 420 / max(x1 - x0, y1 - y0)) * math.exp(rng.normal(0, 0.04))
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
        dx, dy = self.start + self.velocity * number - centre
        turn = self.turn + self.spin * number
        return Placement(float(dx), float(dy), (zoom, zoom), turn, self.mirror).matrix(centre)


class Light:
    """One light for a clip, and a little of its own for each frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw it."""
        self.gamma = np.float32(math.exp(rng.normal(0, 0.25)))
        self.gains = np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
        self.offset = float(rng.normal(0, 15))

    def apply(self, rng: np.random.Generator, image: AnyArray) -> FloatArray:
        """Return a frame (H, W, 3) uint8 in this light, in [0, 1]."""
        light: AnyArray = np.power(image.astype(np.float32) / 255, self.gamma) * self.gains
        light = light * np.float32(math.exp(rng.normal(0, 0.05)))
        light = light + np.float32((self.offset + rng.normal(0, 4)) / 255)
        if rng.random() < 0.15:
            light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.5, 2)))
        return np.clip(light, 0, 1).astype(np.float32)


def mask_extent(mask: AnyArray) -> tuple[int, int, int, int]:
    """Return the box of a mask (H, W), the end exclusive; the middle where it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        height, width = mask.shape
        return width // 4, height // 4, width * 3 // 4, height * 3 // 4
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
