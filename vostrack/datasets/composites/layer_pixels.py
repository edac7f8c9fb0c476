"""The pixels of a layer before they are placed: cut out, recoloured, and cut apart."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.plan import Colour, Layer
from vostrack.datasets.composites.sources import CompositeSources

__all__ = [
    "BLOB_AREA",
    "SHAPE_SIDE",
    "colour_matrix",
    "colour_statistics",
    "layer_pieces",
    "recolour",
]

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

SHAPE_SIDE = 256
"""Side of the square on which bars and blobs are drawn, pixels."""

BLOB_AREA = 0.45
"""Share of that square which a blob covers, on average."""

# A bar takes this share of its square's width.
_BAR = 0.12
_GRAY = np.full((3, 3), 1 / 3)


def layer_pieces(
    layer: Layer, sources: CompositeSources, backdrop: tuple[FloatArray, FloatArray]
) -> list[UInt8Array]:
    """Make a layer's pixels.

    Args:
        layer: what to make.
        sources: where from.
        backdrop: mean and standard deviation of the background, (3,) each, 0..255.

    Returns:
        One image, or two of equal size if the layer comes apart: (h, w, 4) uint8 RGBA, colours
        multiplied by alpha.
    """
    matte = layer.shape == "matte"
    pixels = sources.cutout(layer.source) if matte else _shape(layer, sources)
    pixels = recolour(pixels, layer.colour, backdrop)
    colours = cv2.multiply(pixels[..., :3], cv2.merge([pixels[..., 3]] * 3), scale=1 / 255)
    premultiplied = np.dstack([colours, pixels[..., 3]])
    if layer.parts is None:
        return [premultiplied]
    first = _half_plane(pixels.shape[0], pixels.shape[1], layer.parts.angle)
    halves = []
    for share in (first, 1 - first):
        halves.append((premultiplied * share[..., None] + 0.5).astype(np.uint8))
    return halves


def recolour(
    pixels: UInt8Array, colour: Colour, backdrop: tuple[FloatArray, FloatArray]
) -> UInt8Array:
    """Change the colours of what is opaque.

    Args:
        pixels: (h, w, 4) uint8 RGBA.
        colour: the change.
        backdrop: mean and standard deviation of the background, (3,) each.
    """
    if colour == Colour():
        return pixels
    solid = (pixels[..., 3] > 128).astype(np.uint8)
    matrix = colour_matrix(colour, colour_statistics(pixels[..., :3], solid), backdrop)
    changed = cv2.transform(np.ascontiguousarray(pixels[..., :3]), matrix)
    return np.dstack([changed, pixels[..., 3]])


def colour_statistics(
    pixels: UInt8Array, mask: UInt8Array | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation, (3,) each, of (H, W, 3) pixels where ``mask`` is not 0."""
    mean, deviation = cv2.meanStdDev(pixels, mask=mask)
    return np.asarray(mean[:, 0], np.float64), np.asarray(deviation[:, 0], np.float64)


def colour_matrix(
    colour: Colour,
    own: tuple[FloatArray, FloatArray],
    backdrop: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return the (3, 4) matrix on (red, green, blue, 1) that makes a change of colours.

    Args:
        colour: the change.
        own: mean and standard deviation of the layer, (3,) each.
        backdrop: those of the background.
    """
    # Harmony: each channel's mean and deviation go part of the way (Reinhard et al. 2001).
    mean, deviation = own
    factor = (backdrop[1] / np.maximum(deviation, 8.0)).clip(0.5, 1.6)
    factor = 1 + colour.harmony * (factor - 1)
    goal = mean + colour.harmony * (backdrop[0] - mean)
    # Hue turns around the gray axis (Rodrigues), saturation scales the distance from it.
    cos, sin = math.cos(colour.hue), math.sin(colour.hue) / math.sqrt(3)
    turn = cos * np.eye(3) + (1 - cos) * _GRAY
    turn += sin * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = (colour.saturation * np.eye(3) + (1 - colour.saturation) * _GRAY) @ turn
    linear = colour.gain * turn @ np.diag(factor * colour.contrast)
    offset = colour.gain * turn @ goal - linear @ mean
    return np.column_stack([linear, offset])


def _half_plane(height: int, width: int, angle: float) -> NDArray[np.float32]:
    """(h, w) 1 on one side of a line through the middle, 0 on the other."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across = (x - (width - 1) / 2) * math.cos(angle) + (y - (height - 1) / 2) * math.sin(angle)
    return np.asarray(np.clip(across + 0.5, 0, 1), dtype=np.float32)


def _shape(layer: Layer, sources: CompositeSources) -> UInt8Array:
    """Cut a bar or a blob out of a background."""
    rng = np.random.default_rng(layer.seed)
    image = sources.frame(layer.source, 0)
    height, width = image.shape[:2]
    side = int(min(height, width) * rng.uniform(0.4, 1.0))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    square = cv2.resize(image[y : y + side, x : x + side], (SHAPE_SIDE, SHAPE_SIDE))
    if layer.shape == "bar":
        columns = np.abs(np.arange(SHAPE_SIDE) - (SHAPE_SIDE - 1) / 2)
        half = _BAR * SHAPE_SIDE / 2 * rng.uniform(0.5, 1.5)
        profile = np.clip(half - columns + 0.5, 0, 1)
        alpha = np.broadcast_to(profile, (SHAPE_SIDE, SHAPE_SIDE)) * 255
    else:
        alpha = _blob(rng) * 255
    return np.dstack([square, (alpha + 0.5).astype(np.uint8)])


def _blob(rng: np.random.Generator) -> NDArray[np.float32]:
    """A random outline around the middle, some 45 % of the square, with or without gaps."""
    cells = int(rng.integers(4, 9))
    coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    bumps = cv2.resize(coarse, (SHAPE_SIDE, SHAPE_SIDE), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:SHAPE_SIDE, :SHAPE_SIDE].astype(np.float32) / (SHAPE_SIDE / 2) - 1
    height = 0.76 - np.hypot(x, y) + 0.16 * bumps
    return np.asarray(np.clip(height * SHAPE_SIDE / 4, 0, 1), dtype=np.float32)
