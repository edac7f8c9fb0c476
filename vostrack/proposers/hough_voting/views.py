"""Averaging over flips and scales of an image (multi-view testing, Wu et al. 2016, section 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.errors import InputError

__all__ = ["ViewConfig", "average_views", "unflip_transforms"]

# From an image (1, 3, H, W) to a map (1, C, h, w).
Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ViewConfig:
    """The views. The paper names none, so these are our own.

    Attributes:
        scales: of the image.
        flip: whether each scale is also mirrored.
    """

    scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    flip: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: no scale, or one that is not positive.
        """
        if not self.scales or min(self.scales) <= 0:
            raise InputError(f"views: expected positive scales, got {self.scales}")


def unflip_transforms(transforms: Tensor) -> Tensor:
    """Turn the transforms of a mirrored image into those of the image.

    Args:
        transforms: (B, 4 K, h, w): offset x and y, width and height of K classes.

    Returns:
        The same shape: mirrored, the offsets in x negated.
    """
    sign = transforms.new_tensor([-1, 1, 1, 1]).repeat(transforms.shape[1] // 4)
    return transforms.flip(-1) * sign.view(1, -1, 1, 1)


def average_views(
    predict: Predict, image: Tensor, views: Sequence[float] | ViewConfig, *, transforms: bool
) -> Tensor:
    """Predict on several views of an image and average in the frame of the image itself.

    Args:
        predict: gives class probabilities or transforms (offsets and sizes, in any unit of length)
            on a grid of its own; the same grid for images of the same size.
        image: (1, 3, H, W).
        views: the scales and whether to flip; a plain sequence of scales flips too.
        transforms: whether ``predict`` gives transforms: their x offsets change sign with a flip,
            and all lengths are divided by the scale.

    Returns:
        (1, C, h, w) on the grid that ``predict`` has for the image as it is.
    """
    config = views if isinstance(views, ViewConfig) else ViewConfig(tuple(views))
    grid = predict(image).shape[-2:]
    total = torch.zeros(())
    count = 0
    for scale in config.scales:
        height, width = (max(1, round(side * scale)) for side in image.shape[-2:])
        seen = image
        if scale != 1:
            seen = F.interpolate(
                image, (height, width), mode="bilinear", align_corners=False, antialias=scale < 1
            )
        for mirrored in (False, True)[: 2 if config.flip else 1]:
            result = predict(seen.flip(-1) if mirrored else seen)
            if mirrored:
                result = unflip_transforms(result) if transforms else result.flip(-1)
            if transforms:
                result = _unscale(result, height / image.shape[-2], width / image.shape[-1])
            total = total + F.interpolate(result, grid, mode="bilinear", align_corners=False)
            count += 1
    return total / count


def _unscale(transforms: Tensor, vertical: float, horizontal: float) -> Tensor:
    lengths = transforms.new_tensor([horizontal, vertical] * 2).repeat(transforms.shape[1] // 4)
    return transforms / lengths.view(1, -1, 1, 1)
