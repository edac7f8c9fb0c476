"""The two normalised Gaussian kernels of the dense CRF (Krähenbühl and Koltun 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf.lattice_filter import LatticeFilter

__all__ = [
    "GaussianKernel",
    "KernelConfig",
    "Normalisation",
    "bilateral_kernel",
    "image_kernels",
    "spatial_kernel",
]

Normalisation = Literal["symmetric", "after", "before", "none"]

_TINY = 1e-20


@dataclass(frozen=True)
class KernelConfig:
    """Standard deviations and normalisation of the kernels.

    Attributes:
        spatial_sigma: standard deviation of the smoothness kernel, in pixels.
        bilateral_sigma: spatial standard deviation of the appearance kernel, in pixels.
        colour_sigma: colour standard deviation of the appearance kernel, in levels of 0..255.
        normalisation: for the filter K and n = K·1: n^-½ K n^-½ ("symmetric"), n^-1 K ("after"),
            K n^-1 ("before"), or K itself ("none").
    """

    spatial_sigma: float = 3.0
    bilateral_sigma: float = 50.0
    colour_sigma: float = 5.0
    normalisation: Normalisation = "after"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a standard deviation is not positive, or the normalisation is unknown.
        """
        for name in ("spatial_sigma", "bilateral_sigma", "colour_sigma"):
            if not getattr(self, name) > 0:
                raise InputError(f"KernelConfig.{name}: expected > 0, got {getattr(self, name)}")
        _check_normalisation(self.normalisation)


class GaussianKernel:
    """A lattice filter with normalisation, which computes the messages of the CRF.

    The sum includes the message of a pixel to itself, as in every released implementation.

    Args:
        features: (d, N), in units of the standard deviation.
        normalisation: see ``KernelConfig``.

    Raises:
        InputError: ``build_lattice`` rejects the features, or the normalisation is unknown.
    """

    def __init__(self, features: Tensor, normalisation: Normalisation = "after") -> None:
        _check_normalisation(normalisation)
        self._filter = LatticeFilter(features)
        ones = features.new_ones(features.shape[1], 1)
        norm = self._filter(ones) if normalisation != "none" else ones
        exponents = {"symmetric": (-0.5, -0.5), "after": (-1.0, 0.0), "before": (0.0, -1.0)}
        left, right = exponents.get(normalisation, (0.0, 0.0))
        self._filter.scale(
            (norm + _TINY) ** left if left else None, (norm + _TINY) ** right if right else None
        )
        self.of_ones = self(ones)
        """(N, 1), the kernel applied to a constant 1."""

    @property
    def points(self) -> int:
        """N, the number of pixels."""
        return self._filter.points

    @property
    def vertices(self) -> int:
        """M, the number of occupied lattice vertices."""
        return self._filter.vertices

    def __call__(self, values: Tensor, transpose: bool = False) -> Tensor:
        """Filter values (N, C). ``transpose`` applies the transposed operator."""
        return self._filter(values, transpose)


def spatial_kernel(
    height: int,
    width: int,
    sigma: float,
    normalisation: Normalisation = "after",
    like: Tensor | None = None,
) -> GaussianKernel:
    """Return the smoothness kernel for an image size. It is cached for later frames.

    Args:
        height: H in pixels.
        width: W in pixels.
        sigma: standard deviation in pixels.
        normalisation: see ``KernelConfig``.
        like: tensor with the dtype and the device; None for float32 on the CPU.
    """
    reference = torch.empty(0) if like is None else like
    return _cached_spatial_kernel(
        height, width, sigma, normalisation, reference.dtype, reference.device
    )


@lru_cache(maxsize=4)
def _cached_spatial_kernel(
    height: int,
    width: int,
    sigma: float,
    normalisation: Normalisation,
    dtype: torch.dtype,
    device: torch.device,
) -> GaussianKernel:
    # Inference tensors could not be used in training later.
    with torch.inference_mode(False):
        positions = _positions(height, width, torch.empty(0, dtype=dtype, device=device))
        return GaussianKernel(positions / sigma, normalisation)


def bilateral_kernel(
    image: Tensor, sigma: float, colour_sigma: float, normalisation: Normalisation = "after"
) -> GaussianKernel:
    """Return the appearance kernel of an image.

    Args:
        image: (3, H, W) in [0, 1], float32 or float64.
        sigma: standard deviation in space, in pixels.
        colour_sigma: standard deviation in colour, in levels of 0..255.
        normalisation: see ``KernelConfig``.

    Raises:
        InputError: the image is not (3, H, W) with finite values.
    """
    if image.ndim != 3 or not image.is_floating_point():
        raise InputError(
            "bilateral_kernel: expected a floating-point image of shape (3, H, W), "
            f"got {image.dtype} of shape {tuple(image.shape)}"
        )
    channels, height, width = image.shape
    colours = image.detach().reshape(channels, -1) * (255 / colour_sigma)
    positions = _positions(height, width, image) / sigma
    return GaussianKernel(torch.cat([positions, colours]), normalisation)


def image_kernels(image: Tensor, config: KernelConfig) -> list[GaussianKernel]:
    """Return both kernels of an image, the smoothness kernel first.

    Args:
        image: (3, H, W) in [0, 1], float32 or float64.
        config: standard deviations and normalisation.
    """
    height, width = image.shape[-2:]
    return [
        spatial_kernel(height, width, config.spatial_sigma, config.normalisation, image),
        bilateral_kernel(image, config.bilateral_sigma, config.colour_sigma, config.normalisation),
    ]


def _positions(height: int, width: int, like: Tensor) -> Tensor:
    """Return the pixel coordinates (2, H * W): x, then y."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)])


def _check_normalisation(normalisation: str) -> None:
    if normalisation not in get_args(Normalisation):
        raise InputError(
            f"normalisation: expected one of {', '.join(get_args(Normalisation))}, "
            f"got {normalisation!r}"
        )
