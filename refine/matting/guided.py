"""The guided filter of a colour picture, at some pixels, with a weight for each pixel."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import FloatArray
from vostrack.refine.matting.moments import Pixels, boxed, symmetric

__all__ = ["guided_at"]

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def guided_at(
    image: FloatArray,
    values: FloatArray,
    weight: FloatArray,
    pixels: Pixels,
    *,
    radius: int,
    reduced: int,
    eps: float,
) -> FloatArray:
    """Return the filtered values of some pixels, in [0, 1].

    Around each pixel the values are fitted by a linear function of colour (He et al. 2013, eq. 19
    and 20), here by weighted least squares. The coefficients are computed on a smaller picture (He
    and Sun 2015).

    Args:
        image: (H, W, 3) in [0, 1], the guide.
        values: (H, W) in [0, 1].
        weight: (H, W) above 0.
        pixels: where the result is wanted.
        radius: half of the window, in pixels.
        reduced: factor of the smaller picture.
        eps: variance of colour below which the values are averaged.
    """
    slopes, offset = _coefficients(image, values, weight, pixels, radius, reduced, eps)
    height, width = values.shape
    fitted = np.zeros(len(pixels[0]), np.float32)
    for channel, layer in enumerate([*slopes, offset]):
        mean = boxed(layer, max(1, radius // reduced), 1)
        if reduced > 1:
            mean = np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR))
        part = mean[pixels]
        fitted += part * image[..., channel][pixels] if channel < 3 else part
    return np.clip(fitted, 0, 1)


def _coefficients(
    image: FloatArray,
    values: FloatArray,
    weight: FloatArray,
    pixels: Pixels,
    radius: int,
    reduced: int,
    eps: float,
) -> tuple[list[FloatArray], FloatArray]:
    """Return three slopes and the offset of each window of the smaller picture."""
    layers = [weight, values * weight]
    layers += [image[..., i] * weight for i in range(3)]
    layers += [image[..., i] * image[..., j] * weight for i, j in _PAIRS]
    layers += [image[..., i] * values * weight for i in range(3)]
    sums = [boxed(layer, radius, reduced) for layer in layers]
    shape = sums[0].shape
    reached = np.zeros(shape, np.uint8)
    reached[
        np.minimum(pixels[0] // reduced, shape[0] - 1),
        np.minimum(pixels[1] // reduced, shape[1] - 1),
    ] = 1
    side = 2 * (max(1, radius // reduced) + 1) + 1
    near = np.nonzero(cv2.dilate(reached, np.ones((side, side), np.uint8)))
    found = np.stack([total[near] for total in sums], axis=-1)
    found = found[:, 1:] / found[:, :1]
    mean, colour = found[:, 0], found[:, 1:4]
    products = np.stack([colour[:, i] * colour[:, j] for i, j in _PAIRS], axis=-1)
    variance = symmetric(found[:, 4:10] - products) + np.eye(3, dtype=np.float32) * eps
    joint = found[:, 10:] - colour * mean[:, None]
    slope = np.linalg.solve(variance, joint[..., None])[..., 0]
    maps = [np.zeros(shape, np.float32) for _ in range(4)]
    for channel in range(3):
        maps[channel][near] = slope[:, channel]
    maps[3][near] = mean - np.einsum("nc,nc->n", slope, colour)
    return maps[:3], maps[3]
