"""Light, smoke and noise on whole frames."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.plan import Light, Smoke

__all__ = ["add_noise", "apply_light", "apply_smoke"]

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

_NOISE_SIDE = 512
# Smoke is soft: a quarter of the frame's sides is enough.
_COARSE = 4


def apply_light(image: UInt8Array, light: Light, index: int) -> UInt8Array:
    """Change brightness and tint of a frame.

    Args:
        image: (H, W, 3) uint8 RGB.
        light: what to do.
        index: of the frame.
    """
    values = np.arange(256) / 255
    table = np.stack([values**light.gamma * gain for gain in light.gains[index]], axis=-1)
    table = np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8)
    lit = cv2.LUT(image, table[:, None, :])
    if light.uneven:
        height, width = image.shape[:2]
        field = _cloud(light.seed, 4, 2)
        # A pattern of light and shade that moves a little with every frame.
        shifted = np.roll(field, index * 6, axis=1)[:64, :64]
        gain = 1 + light.uneven * np.clip(shifted, -1, 1)
        fine = cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR)
        lit = cv2.multiply(lit, cv2.merge([fine] * 3), dtype=cv2.CV_8U)
    return np.asarray(lit, dtype=np.uint8)


def apply_smoke(image: UInt8Array, smoke: Smoke, index: int) -> UInt8Array:
    """Draw a veil over a frame.

    Args:
        image: (H, W, 3) uint8 RGB.
        smoke: what to draw.
        index: of the frame, which says how far it has drifted.
    """
    height, width = image.shape[:2]
    density = smoke.densities[index]
    if smoke.even:
        veil = np.array(smoke.gray, np.float64) * density
        matrix = np.column_stack([np.eye(3) * (1 - density), veil])
        return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)
    cloud = _cloud(smoke.seed, 3, 5)
    rows, columns = height // _COARSE + 1, width // _COARSE + 1
    drift_x, drift_y = (round(d * index * cloud.shape[1] / 2) for d in smoke.drift)
    moved = np.roll(cloud, (drift_y, drift_x), axis=(0, 1))
    window = moved[: cloud.shape[0] // 2, : cloud.shape[1] // 2]
    coarse = cv2.resize(window, (columns, rows), interpolation=cv2.INTER_LINEAR)
    thick = density * np.clip(coarse * 0.9 + 0.25, 0, 1)
    opacity = cv2.resize(thick, (width, height), interpolation=cv2.INTER_LINEAR)
    gray = np.empty_like(image)
    gray[:] = smoke.gray
    return np.asarray(cv2.blendLinear(image, gray, 1 - opacity, opacity), dtype=np.uint8)


def add_noise(
    image: UInt8Array, deviation: float, size: float, rng: np.random.Generator
) -> UInt8Array:
    """Add sensor noise to a frame.

    Args:
        image: (H, W, 3) uint8 RGB.
        deviation: standard deviation, gray levels.
        size: blur of the noise, pixels.
        rng: where in a fixed field of noise this frame's begins.
    """
    field = _noise_field(round(size * 4))
    height, width = image.shape[:2]
    y, x = (int(v) for v in rng.integers(0, _NOISE_SIDE, 2))
    rows = (np.arange(height) + y) % _NOISE_SIDE
    columns = (np.arange(width) + x) % _NOISE_SIDE
    piece = field[rows[:, None], columns]
    return np.asarray(
        cv2.scaleAdd(piece, deviation, image.astype(np.float32)).clip(0, 255) + 0.5
    ).astype(np.uint8)


@lru_cache(maxsize=8)
def _noise_field(quarters: int) -> Float32Array:
    """(512, 512, 3) float32 noise of deviation 1, blurred by so many quarters of a pixel."""
    field = np.random.default_rng(0).standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), np.float32)
    if quarters:
        field = np.asarray(cv2.GaussianBlur(field, (0, 0), quarters / 4), dtype=np.float32)
    field /= field.std()
    return field


@lru_cache(maxsize=8)
def _cloud(seed: int, cells: int, octaves: int) -> Float32Array:
    """(256, 256) float32 fractal noise of mean 0 and deviation 1 that repeats on all sides."""
    rng = np.random.default_rng(seed)
    side, total = 256, np.zeros((256, 256), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        coarse = rng.normal(0, 0.55**octave, (count, count)).astype(np.float32)
        coarse = np.pad(coarse, 2, mode="wrap")
        pad = round(2 * side / count)
        fine = cv2.resize(coarse, (side + 2 * pad, side + 2 * pad), interpolation=cv2.INTER_CUBIC)
        total += fine[pad : pad + side, pad : pad + side]
    total -= total.mean()
    return np.asarray(total / total.std(), dtype=np.float32)
