"""The messages of ``sampled``, pixel by pixel: slow and obvious, for comparison."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vostrack.refine.dense_crf.options import SampledCrfConfig

__all__ = ["messages_at_pixel"]


def messages_at_pixel(
    image: Tensor, score: Tensor, place: tuple[int, int], config: SampledCrfConfig, stride: int
) -> tuple[float, float]:
    """Return both messages to one pixel; see ``sampled.messages``.

    Args:
        image: (3, h, w) in [0, 1].
        score: (h, w) in [0, 1].
        place: row and column of the pixel.
        config: the kernels.
        stride: sample spacing in pixels.
    """
    return _near(score, place, config), _similar(image, score, place, config, stride)


def _near(score: Tensor, place: tuple[int, int], config: SampledCrfConfig) -> float:
    height, width = score.shape
    radius = int(2 * config.spatial_sigma + 0.5)
    total = norm = 0.0
    for i in range(-radius, radius + 1):
        for j in range(-radius, radius + 1):
            tap = math.exp(-(i * i + j * j) / (2 * config.spatial_sigma**2))
            y = min(max(place[0] + i, 0), height - 1)
            x = min(max(place[1] + j, 0), width - 1)
            total, norm = total + tap * (2 * float(score[y, x]) - 1), norm + tap
    return total / norm


def _similar(
    image: Tensor, score: Tensor, place: tuple[int, int], config: SampledCrfConfig, stride: int
) -> float:
    height, width = score.shape
    y, x = place
    radius = config.radius(stride)
    total = weight = 0.0
    for v in range(stride // 2, height, stride):
        for u in range(stride // 2, width, stride):
            i, j = v // stride - y // stride, u // stride - x // stride
            if max(abs(i), abs(j)) > radius:
                continue
            apart = float(torch.sum((255 * (image[:, y, x] - image[:, v, u])).double() ** 2))
            close = max(0.0, 1 - apart / (8 * config.colour_sigma**2)) ** 4
            close *= math.exp(-(stride**2) * (i * i + j * j) / (2 * config.bilateral_sigma**2))
            total, weight = total + close * (2 * float(score[v, u]) - 1), weight + close
    return total / (weight + 1e-6)
