"""The dense CRF as a refiner of the tracker's score maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf.kernels import KernelConfig, image_kernels

__all__ = ["DenseCrfRefiner", "DenseCrfRefinerConfig"]


@dataclass(frozen=True)
class DenseCrfRefinerConfig:
    """Configuration of ``DenseCrfRefiner``.

    Attributes:
        kernels: the two kernels.
        spatial_weight: weight of the smoothness kernel, at least 0.
        bilateral_weight: weight of the appearance kernel, at least 0.
        iterations: number of mean-field iterations, at least 0.
    """

    kernels: KernelConfig = field(default_factory=KernelConfig)
    spatial_weight: float = 1.0
    bilateral_weight: float = 2.0
    iterations: int = 5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a weight or the number of iterations is negative.
        """
        for name in ("spatial_weight", "bilateral_weight", "iterations"):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"DenseCrfRefinerConfig.{name}: expected >= 0, got {getattr(self, name)}"
                )


class DenseCrfRefiner:
    """A binary dense CRF per object. Implements ``Refiner``.

    For two labels, mean field needs only the margin m = z_1 - z_0. With Potts compatibility,
    m ← logit(score) + Σ_k w_k F_k(2 sigmoid(m) - 1), with one filtered channel per object. All
    objects are filtered together.

    Args:
        config: kernels, weights and iterations.
    """

    def __init__(self, config: DenseCrfRefinerConfig | None = None) -> None:
        self.config = DenseCrfRefinerConfig() if config is None else config

    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of one frame.

        Args:
            image: (3, h, w) float in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            The refined scores (N, h, w) in [0, 1]. They are differentiable with respect to
            ``scores``.

        Raises:
            InputError: image and scores differ in size, or the scores are not finite.
        """
        if scores.ndim != 3 or image.ndim != 3 or scores.shape[1:] != image.shape[1:]:
            raise InputError(
                "DenseCrfRefiner: expected an image (3, h, w) and scores (N, h, w), "
                f"got {tuple(image.shape)} and {tuple(scores.shape)}"
            )
        if not bool(torch.isfinite(scores).all()):
            raise InputError("DenseCrfRefiner: expected finite scores, got NaN or infinity")
        if len(scores) == 0:
            return scores
        kernels = image_kernels(image, self.config.kernels)
        weights = (self.config.spatial_weight, self.config.bilateral_weight)
        unary = torch.logit(scores.reshape(len(scores), -1).T, eps=1e-6)
        margin = unary
        for _ in range(self.config.iterations):
            field_values = 2 * torch.sigmoid(margin) - 1
            margin = unary
            for weight, kernel in zip(weights, kernels, strict=True):
                margin = margin + weight * kernel(field_values)
        return torch.sigmoid(margin).T.reshape(scores.shape)
