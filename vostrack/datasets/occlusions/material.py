"""What is seen in clips with occlusions: objects, backgrounds, and what hides things."""

from __future__ import annotations

import colorsys
import math
from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator

from vostrack.arrays import DoubleArray, UInt8Array
from vostrack.datasets.composites import CompositeSources
from vostrack.datasets.synthetic import paint_texture
from vostrack.datasets.synthetic_scene import Texture, TextureKind
from vostrack.errors import InputError

__all__ = ["Material", "PaintedMaterial", "PhotoMaterial"]

# Side of the square that an object is painted on, pixels; its outline fills most of it.
_SIDE = 96
# Distinct objects are the farthest apart in colour of so many that were drawn.
_DRAWN = 6


class Material(Protocol):
    """Where the pixels of clips come from."""

    def objects(self, rng: Generator, count: int) -> list[UInt8Array]:
        """Draw objects with distinct looks.

        Returns:
            For each, (h, w, 4) uint8 RGBA, colours multiplied by alpha, cut to its box.
        """
        ...

    def twins(self, rng: Generator) -> list[UInt8Array]:
        """Draw two objects that look alike; as ``objects``."""
        ...

    def sheet(self, rng: Generator, height: int, width: int) -> UInt8Array:
        """Draw a background (height, width, 3) uint8 RGB."""
        ...


class PaintedMaterial:
    """Textures of the synthetic generator; nothing is read."""

    def objects(self, rng: Generator, count: int) -> list[UInt8Array]:
        """See ``Material``."""
        hue = float(rng.uniform())
        kinds = rng.permutation(3)
        return [
            _painted(rng, _texture(rng, hue + k / count, int(kinds[k % 3]))) for k in range(count)
        ]

    def twins(self, rng: Generator) -> list[UInt8Array]:
        """See ``Material``; the same colours and pattern, another outline."""
        texture = _texture(rng, float(rng.uniform()), int(rng.integers(3)))
        return [_painted(rng, texture) for _ in range(2)]

    def sheet(self, rng: Generator, height: int, width: int) -> UInt8Array:
        """See ``Material``."""
        side = max(height, width)
        layers = [
            paint_texture(_texture(rng, float(rng.uniform()), kind, saturation=0.35), side)
            for kind in (2, 1)
        ]
        mixed = cv2.addWeighted(layers[0], 0.55, layers[1], 0.45, 0)
        return np.asarray(mixed[:height, :width], np.uint8)


class PhotoMaterial:
    """Objects cut out of photographs, and frames of videos and photographs behind them.

    Args:
        sources: objects and backgrounds.
        half: 0 or 1: every second object and background, so that settings chosen on one half are
            judged on the other.
    """

    def __init__(self, sources: CompositeSources, half: int) -> None:
        self._sources = sources
        self._objects = sorted(photo.name for photo in sources.objects)[half::2]
        places = sorted(place.name for place in (*sources.videos, *sources.stills))
        self._places = places[half::2]
        if len(self._objects) < 2 or not self._places:
            raise InputError(
                f"occlusions: expected at least 4 objects and 2 backgrounds to divide, got "
                f"{len(sources.objects)} and {len(places)}"
            )

    def objects(self, rng: Generator, count: int) -> list[UInt8Array]:
        """See ``Material``."""
        chosen: list[str] = []
        for _ in range(count):
            names = [str(rng.choice(self._objects)) for _ in range(_DRAWN)]
            names = [name for name in names if name not in chosen] or names
            chosen.append(max(names, key=lambda name: self._distance(name, chosen)))
        return [_premultiplied(self._sources.cutout(name)) for name in chosen]

    def twins(self, rng: Generator) -> list[UInt8Array]:
        """See ``Material``; the same photograph, one mirrored and a little brighter or darker."""
        pixels = self._sources.cutout(str(rng.choice(self._objects)))
        gain = float(rng.choice([-1, 1]) * rng.uniform(0.08, 0.15))
        other = pixels[:, ::-1].copy()
        other[..., :3] = (other[..., :3] * (1 + gain)).clip(0, 255)
        return [_premultiplied(pixels), _premultiplied(other)]

    def sheet(self, rng: Generator, height: int, width: int) -> UInt8Array:
        """See ``Material``."""
        name = str(rng.choice(self._places))
        image = self._sources.frame(name, 0, emptied=True)
        scale = max(height / image.shape[0], width / image.shape[1])
        size = (math.ceil(image.shape[1] * scale), math.ceil(image.shape[0] * scale))
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        y, x = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
        return np.ascontiguousarray(scaled[y : y + height, x : x + width], np.uint8)

    def _distance(self, name: str, others: list[str]) -> float:
        own = np.array(self._sources.photo(name).colour)
        gaps = [float(np.abs(own - self._sources.photo(o).colour).sum()) for o in others]
        return min(gaps, default=0.0)


def _texture(rng: Generator, hue: float, kind: int, saturation: float = 0.75) -> Texture:
    kinds: tuple[TextureKind, ...] = ("stripes", "spots", "noise")
    dark, light = float(rng.uniform(60, 120)), float(rng.uniform(150, 235))
    colours = (
        colorsys.hsv_to_rgb(hue % 1, saturation, dark),
        colorsys.hsv_to_rgb((hue + 0.08) % 1, 0.7 * saturation, light),
    )
    return Texture(
        kinds[kind],
        colours,
        cells=float(rng.uniform(4, 9)),
        angle=float(rng.uniform(0, math.pi)),
        seed=int(rng.integers(2**31)),
    )


def _painted(rng: Generator, texture: Texture) -> UInt8Array:
    """Cut an outline with bumps out of a texture."""
    angles = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    radius: DoubleArray = np.ones_like(angles)
    for order in range(2, 6):
        bump, phase = rng.uniform(0.03, 0.24) / order, rng.uniform(0, 2 * math.pi)
        radius = radius + 1.5 * bump * np.cos(order * angles + phase)
    radius = radius * (0.48 * _SIDE / radius.max())
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] + _SIDE / 2
    alpha = np.zeros((_SIDE, _SIDE), np.uint8)
    cv2.fillPoly(alpha, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return _premultiplied(np.dstack([paint_texture(texture, _SIDE), alpha]))


def _premultiplied(pixels: UInt8Array) -> UInt8Array:
    """Multiply the colours of RGBA by alpha, shrink to at most 96 pixels and cut to the box."""
    shrink = _SIDE / max(*pixels.shape[:2], _SIDE)
    alpha = pixels[..., 3:].astype(np.float32) / 255
    wide = np.dstack([pixels[..., :3] * alpha, pixels[..., 3]]).astype(np.float32)
    whole = cv2.resize(wide, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    x, y, width, height = cv2.boundingRect((whole[..., 3] >= 128).view(np.uint8))
    return np.rint(whole[y : y + height, x : x + width]).astype(np.uint8)
