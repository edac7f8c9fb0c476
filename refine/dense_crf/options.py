"""The options of the refiners ``sampled-crf`` and ``dense-crf``. This module loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.checks import check_at_least, check_positive

__all__ = ["DenseCrfOptions", "SampledCrfConfig"]

# Pixels between samples: the finest of these that keeps to ``SampledCrfConfig.pairs``.
_STRIDES = (4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class SampledCrfConfig:
    """Options of the refiner sampled-crf.

    The defaults were chosen on sequences of the DAVIS training set. A change of any of them by a
    third moved J and F by less than half a point there.
    """

    unary_weight: float = 0.4
    """Weight of the score's own logit, 0 or more. It is below 1 because networks are more confident
    than they are accurate."""

    spatial_weight: float = 1.0
    """Weight of the mean of the neighbourhood, 0 or more."""

    bilateral_weight: float = 2.0
    """Weight of the mean of nearby pixels of the same colour, 0 or more."""

    iterations: int = 1
    """Mean-field steps, 0 or more."""

    unsure: float = 3.0
    """Pixels whose logit is nearer to 0 than this are refined; the others stay. Above 0."""

    spatial_sigma: float = 3.0
    """Standard deviation of the neighbourhood, pixels, above 0."""

    bilateral_sigma: float = 50.0
    """Standard deviation, in space, of the pixels of the same colour, pixels, above 0."""

    colour_sigma: float = 8.0
    """What counts as the same colour: standard deviation in levels of 0 to 255, above 0."""

    reach: float = 1.5
    """Samples further away than this many bilateral_sigma are left out. Above 0."""

    pairs: int = 3_000_000
    """Most pairs of a pixel and a sample per frame and step, above 0. With more pixels to refine
    the grid of samples gets coarser, which bounds the time of a frame."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is out of its range.
        """
        weights = ("unary_weight", "spatial_weight", "bilateral_weight", "iterations")
        check_at_least(self, dict.fromkeys(weights, 0))
        check_positive(
            self, "unsure", "spatial_sigma", "bilateral_sigma", "colour_sigma", "reach", "pairs"
        )

    def stride(self, pixels: int) -> int:
        """Return the pixels between samples where so many pixels are refined."""
        for stride in _STRIDES:
            if pixels * (2 * self.radius(stride) + 1) ** 2 <= self.pairs:
                return stride
        return _STRIDES[-1]

    def radius(self, stride: int) -> int:
        """Return how many samples count to either side of a pixel."""
        return int(self.reach * self.bilateral_sigma / stride)


@dataclass(frozen=True)
class DenseCrfOptions:
    """Options of the refiner dense-crf."""

    spatial_weight: float = 1.0
    """Weight of the smoothness kernel, 0 or more."""

    bilateral_weight: float = 2.0
    """Weight of the appearance kernel, 0 or more."""

    iterations: int = 5
    """Mean-field steps, 0 or more."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a weight or the number of iterations is negative.
        """
        weights = ("spatial_weight", "bilateral_weight", "iterations")
        check_at_least(self, dict.fromkeys(weights, 0))
