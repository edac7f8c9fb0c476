"""Composited scenes with a known alpha: soft, hairy and sharp objects over moving backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vostrack.arrays import AnyArray, DoubleArray, FloatArray, UInt8Array
from vostrack.datasets.composites.mattes import read_matte
from vostrack.video.image_file import read_image

__all__ = ["SCENES", "MatteFrame", "photo_scene", "scene"]

SCENES = ("hair", "fur", "defocus", "sharp")
"""hair: long thin strands. fur: a short dense rim. defocus: a wide even ramp. sharp: one pixel."""

_HAIRS = {"hair": (260, 0.42, 0.012), "fur": (900, 0.06, 0.05)}
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class MatteFrame:
    """A frame and its truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 in [0, 1].
    """

    image: UInt8Array
    alpha: FloatArray


def scene(name: str, *, size: tuple[int, int], frames: int, seed: int = 0) -> Iterator[MatteFrame]:
    """Draw one of `SCENES`: an object that moves and sways over a background that pans.

    Args:
        name: one of `SCENES`.
        size: (H, W) in pixels.
        frames: how many.
        seed: of the textures and the shape.
    """
    random = np.random.default_rng([seed, SCENES.index(name)])
    background = _texture(random, (size[0] + 64, size[1] + 64), coarse=0.08, contrast=50)
    skin = _texture(random, size, coarse=0.02, contrast=30, base=(140, 90, 55))
    shape = _Shape(name, random, size)
    for number in range(frames):
        alpha = shape.draw(number)
        behind = background[number * 4 % 64 :, number * 7 % 64 :][: size[0], : size[1]]
        yield _composed(np.roll(skin, (number * 2, number * 3), (0, 1)), behind, alpha)


def photo_scene(
    folder: Path, *, size: tuple[int, int], frames: int, seed: int = 0
) -> Iterator[MatteFrame]:
    """Compose a photograph with a matte over another photograph, both moving.

    Args:
        folder: holds ``JPEGImages`` and ``Mattes``, as for ``vostrack synthesize``.
        size: (H, W) in pixels.
        frames: how many.
        seed: chooses the two photographs.
    """
    random = np.random.default_rng(seed)
    paths = sorted((folder / "Mattes").glob("*.png"))
    object_path, behind_path = None, paths[int(random.integers(len(paths)))]
    while object_path is None:
        path = paths[int(random.integers(len(paths)))]
        matte = read_matte(path) / 255
        soft = ((matte > 0.1) & (matte < 0.9)).mean()
        if path != behind_path and 0.1 < matte.mean() < 0.5 and 0.005 < soft < 0.05:
            object_path = path
    image = read_image(next((folder / "JPEGImages").glob(f"{object_path.stem}.*")))
    behind = read_image(next((folder / "JPEGImages").glob(f"{behind_path.stem}.*")))
    backdrop = cv2.resize(behind, (size[1] + 64, size[0] + 64), interpolation=cv2.INTER_CUBIC)
    matte = read_matte(object_path).astype(np.float32) / 255
    scale = 0.8 * min(size[0] / image.shape[0], size[1] / image.shape[1])
    for number in range(frames):
        place = np.array(
            [
                [scale, 0, size[1] * 0.1 + 6 * number],
                [0, scale, size[0] * 0.1 + 2 * number],
            ],
            np.float64,
        )
        shown = cv2.warpAffine(image, place, size[::-1], flags=cv2.INTER_CUBIC)
        alpha = cv2.warpAffine(matte, place, size[::-1], flags=cv2.INTER_CUBIC)
        moved = backdrop[number * 4 % 64 :, number * 7 % 64 :][: size[0], : size[1]]
        clear = np.asarray(np.clip(alpha, 0, 1), np.float32)
        yield _composed(np.asarray(shown, np.uint8), np.asarray(moved, np.uint8), clear)


def _composed(front: UInt8Array, behind: UInt8Array, alpha: FloatArray) -> MatteFrame:
    over = alpha[..., None]
    return MatteFrame(np.rint(over * front + (1 - over) * behind).astype(np.uint8), alpha)


def _texture(
    random: np.random.Generator,
    size: tuple[int, int],
    *,
    coarse: float,
    contrast: float,
    base: tuple[int, int, int] = (105, 125, 120),
) -> UInt8Array:
    """Smooth noise of light and a little of colour, at three scales, and some grain."""
    total = np.zeros((*size, 3), np.float32)
    for level in range(3):
        cells = [max(3, round(1 / coarse * 2**level * side / max(size))) for side in size]
        noise = random.normal(size=(*cells, 3)) * 0.25 + random.normal(size=(*cells, 1))
        rough = noise.astype(np.float32)
        total += cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC) / 2**level
    coloured = np.asarray(base) + total * contrast / 2 + random.normal(size=(*size, 1)) * 2
    return np.clip(np.rint(coloured), 0, 255).astype(np.uint8)


class _Shape:
    """A blob whose edge is a ramp, or carries strands of hair."""

    def __init__(self, name: str, random: np.random.Generator, size: tuple[int, int]) -> None:
        self.name, self.size = name, size
        self._waves = random.normal(size=(6, 2)) / np.arange(2, 8)[:, None]
        count, length, curl = _HAIRS.get(name, (0, 0.0, 0.0))
        self._angles = random.uniform(0, 2 * np.pi, count)
        self._lengths = length * random.uniform(0.4, 1, count)
        self._curls = random.normal(size=(count, 2)) * 0.8 + curl
        self._widths = random.choice([1, 1, 2, 3], count)

    def draw(self, number: int) -> FloatArray:
        """Return the alpha (H, W) of a frame."""
        height, width = (side * _SUPERSAMPLING for side in self.size)
        radius = 0.27 * height
        centre = np.array([width * (0.42 + 0.006 * number), height * (0.5 + 0.003 * number)])
        angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
        canvas = np.zeros((height, width), np.uint8)
        outline = centre + self._radii(angles, radius)[:, None] * _unit(angles)
        cv2.fillPoly(canvas, [_fixed(outline)], (255,), cv2.LINE_AA, 4)
        for k, angle in enumerate(self._angles):
            sway = 0.05 * np.sin(0.6 * number + k)
            along = np.linspace(0, 1, 16)
            bent = angle + (self._curls[k, 0] + sway) * along**2 * 0.4
            reach = self._radii(np.array([angle]), radius)[0] + radius * self._lengths[k] * along
            strand = centre + reach[:, None] * _unit(bent)
            thick = int(self._widths[k]) * max(1, round(height / 2160))
            cv2.polylines(canvas, [_fixed(strand)], False, (255,), thick, cv2.LINE_AA, 4)
        small = cv2.resize(canvas, self.size[::-1], interpolation=cv2.INTER_AREA)
        alpha = np.asarray(small, np.float32) / np.float32(255)
        if self.name == "defocus":
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), self.size[0] / 180), np.float32)
        return np.asarray(alpha, np.float32)

    def _radii(self, angles: DoubleArray, radius: float) -> DoubleArray:
        wave = sum(
            a * np.cos(k * angles) + b * np.sin(k * angles)
            for k, (a, b) in enumerate(self._waves, start=2)
        )
        return np.asarray(radius * (1 + 0.12 * np.asarray(wave, np.float64)), np.float64)


def _unit(angles: DoubleArray) -> DoubleArray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _fixed(points: DoubleArray) -> AnyArray:
    """Points with four binary places, as OpenCV takes them."""
    return np.rint(points * 16).astype(np.int32)
