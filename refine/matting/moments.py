"""Weighted means and covariances of the colours around pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray

__all__ = ["Colours", "Pixels", "boxed", "colours_around", "symmetric"]

Pixels = tuple[IntArray, IntArray]
"""Rows and columns of n pixels."""

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class Colours:
    """The weighted colours around n pixels.

    Attributes:
        weight: (n,) mean weight.
        mean: (n, 3) mean colour.
        spread: (n, 3, 3) covariance.
    """

    weight: FloatArray
    mean: FloatArray
    spread: FloatArray

    @property
    def known(self) -> BoolArray:
        """Where there is any weight at all."""
        return self.weight > 1e-6


def colours_around(
    image: FloatArray, weight: FloatArray, pixels: Pixels, radius: int, reduced: int
) -> Colours:
    """Return the weighted colours in a square window around each pixel.

    Args:
        image: (H, W, 3) in [0, 1].
        weight: (H, W), at least 0.
        pixels: the centres.
        radius: half of the window, in pixels.
        reduced: the sums run on a picture that is smaller by this factor.
    """
    layers = [weight]
    layers += [image[..., i] * weight for i in range(3)]
    layers += [image[..., i] * image[..., j] * weight for i, j in _PAIRS]
    sums = [boxed(layer, radius, reduced) for layer in layers]
    rows = np.minimum(pixels[0] // reduced, sums[0].shape[0] - 1)
    columns = np.minimum(pixels[1] // reduced, sums[0].shape[1] - 1)
    values = np.stack([total[rows, columns] for total in sums], axis=-1)
    found = np.maximum(values[:, :1], 1e-6)
    mean = values[:, 1:4] / found
    products = np.stack([mean[:, i] * mean[:, j] for i, j in _PAIRS], axis=-1)
    return Colours(values[:, 0], mean, symmetric(values[:, 4:] / found - products))


def boxed(layer: FloatArray, radius: int, reduced: int) -> FloatArray:
    """Return the mean in a square window around each pixel of the smaller picture."""
    if reduced > 1:
        size = max(1, layer.shape[1] // reduced), max(1, layer.shape[0] // reduced)
        layer = np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32)
    side = 2 * max(1, round(radius / reduced)) + 1
    mean = cv2.boxFilter(layer, -1, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32)


def symmetric(values: FloatArray) -> FloatArray:
    """Return (n, 3, 3) symmetric matrices from their upper triangles (n, 6)."""
    matrices = np.empty((len(values), 3, 3), np.float32)
    for k, (i, j) in enumerate(_PAIRS):
        matrices[:, i, j] = matrices[:, j, i] = values[:, k]
    return matrices
