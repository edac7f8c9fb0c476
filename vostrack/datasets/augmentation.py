"""Affine and photometric augmentation: parameters are drawn first and applied separately."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.errors import InputError

__all__ = [
    "IGNORE",
    "AugmentationConfig",
    "AugmentationParams",
    "apply_augmentation",
    "draw_augmentation",
    "strong_augmentation",
]

IGNORE = 255


@dataclass(frozen=True)
class AugmentationConfig:
    """How far an augmented sample may be from the original.

    The defaults are those of the released network of Cheng et al. (2017).

    Attributes:
        scale: lowest and highest scale of the content; drawn uniformly.
        rotation: the angle is uniform in -rotation .. rotation, degrees.
        shift: shift in x and y, uniform in -shift .. shift, as a share of width and height.
        flip: probability of a horizontal flip.
        brightness: the image is multiplied by a factor of 1 - brightness .. 1 + brightness.
        contrast: the same for the distance to the mean gray.
        saturation: the same for the distance to the pixel's own gray.
        identity: probability of the unchanged original.
    """

    scale: tuple[float, float] = (0.95, 1.05)
    rotation: float = 5.0
    shift: float = 0.1
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    identity: float = 1 / 3001

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale: expected 0 < lowest <= highest, got {self.scale}")
        for name in ("flip", "identity", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a value in [0, 1], got {getattr(self, name)}")


def strong_augmentation(
    *, brightness: float, contrast: float, saturation: float
) -> AugmentationConfig:
    """Return the geometry that suits the training on crops, with the given colour changes.

    Args:
        brightness: see ``AugmentationConfig``, as for what follows.
        contrast: of the image.
        saturation: of the image.
    """
    return AugmentationConfig(
        scale=(0.6, 1.7),
        rotation=15,
        shift=0.3,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        identity=0.0,
    )


@dataclass(frozen=True)
class AugmentationParams:
    """One draw: enough to make the same sample again.

    Attributes:
        scale: size of the content relative to the original.
        angle: counter-clockwise rotation, degrees.
        shift: (x, y) shift of the content, shares of width and height.
        flip: whether the content is mirrored horizontally.
        brightness: factor on the image.
        contrast: factor on the distance to the mean gray.
        saturation: factor on the distance to the pixel's gray.
    """

    scale: float = 1.0
    angle: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


_IDENTITY = AugmentationParams()


def draw_augmentation(config: AugmentationConfig, generator: Generator) -> AugmentationParams:
    """Draw the parameters of one sample.

    Args:
        config: the ranges.
        generator: the only source of chance; a fixed count of numbers is taken from it.
    """
    u = torch.rand(9, generator=generator, dtype=torch.float64).tolist()
    if u[0] < config.identity:
        return _IDENTITY

    def symmetric(value: float, limit: float) -> float:
        return (2 * value - 1) * limit

    low, high = config.scale
    return AugmentationParams(
        scale=low + u[1] * (high - low),
        angle=symmetric(u[2], config.rotation),
        shift=(symmetric(u[3], config.shift), symmetric(u[4], config.shift)),
        flip=u[5] < config.flip,
        brightness=1 + symmetric(u[6], config.brightness),
        contrast=1 + symmetric(u[7], config.contrast),
        saturation=1 + symmetric(u[8], config.saturation),
    )


def apply_augmentation(
    image: Tensor,
    labels: Tensor,
    params: AugmentationParams,
    *,
    center: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Warp image and labels by one matrix, then change the colours.

    Args:
        image: (3, H, W) in [0, 1]; sampled bilinearly, mirrored at the border.
        labels: (H, W) int64; sampled at the nearest pixel, 255 (ignored by the losses) where the
            sample lies outside the frame.
        params: what to do.
        center: (x, y) of the input, in pixels, that lands in the middle of the output before the
            shift; the middle of the frame by default.
        size: (h, w) of the output; that of the input by default.

    Returns:
        The sample: image (3, h, w) in [0, 1] and labels (h, w).
    """
    if params == _IDENTITY and center is None and size is None:
        return image, labels
    height, width = labels.shape
    grid = _sampling_grid(params, (height, width), center, size or (height, width))
    grid = grid.to(image.device)
    warped = F.grid_sample(
        image[None], grid[None], mode="bilinear", padding_mode="reflection", align_corners=False
    )[0]
    # Labels are shifted by one so that the zero padding of grid_sample marks "outside".
    sampled = F.grid_sample(
        labels[None, None].float() + 1,
        grid[None],
        mode="nearest",
        padding_mode="zeros",
        align_corners=False,
    )[0, 0]
    sampled = sampled.round().to(labels.dtype) - 1
    return _change_colours(warped, params), sampled.masked_fill(sampled < 0, IGNORE)


def _sampling_grid(
    params: AugmentationParams,
    frame: tuple[int, int],
    center: tuple[float, float] | None,
    size: tuple[int, int],
) -> Tensor:
    """Return where in the input each output pixel comes from: (h, w, 2), normalised (x, y)."""
    height, width = frame
    cx, cy = center or (width / 2, height / 2)
    # Offsets of output pixel centres from the middle, with the content's shift taken back.
    y = torch.arange(size[0]) + 0.5 - size[0] / 2 - params.shift[1] * size[0]
    x = torch.arange(size[1]) + 0.5 - size[1] / 2 - params.shift[0] * size[1]
    dy, dx = torch.meshgrid(y, x, indexing="ij")
    angle = math.radians(params.angle)
    cos, sin = math.cos(angle) / params.scale, math.sin(angle) / params.scale
    source_x = cos * dx - sin * dy
    source_y = sin * dx + cos * dy
    if params.flip:
        source_x = -source_x
    return torch.stack([(source_x + cx) * 2 / width - 1, (source_y + cy) * 2 / height - 1], dim=-1)


def _change_colours(image: Tensor, params: AugmentationParams) -> Tensor:
    if (params.brightness, params.contrast, params.saturation) == (1.0, 1.0, 1.0):
        return image.clamp(0, 1)
    # Luma weights of ITU-R BT.601.
    gray = (image * image.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
    image = gray + params.saturation * (image - gray)
    mean = gray.mean()
    image = mean + params.contrast * (image - mean)
    return (image * params.brightness).clamp(0, 1)
