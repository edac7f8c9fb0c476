"""The dense CRF as a refiner of the tracker's score maps."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf.kernels import KernelConfig, image_kernels
from vostrack.refine.dense_crf.options import DenseCrfOptions

__all__ = ["DenseCrfRefiner", "DenseCrfRefinerConfig", "build_dense_crf"]


@dataclass(frozen=True)
class DenseCrfRefinerConfig(DenseCrfOptions):
    """Settings of ``DenseCrfRefiner``: its options, and what only Python can set."""

    kernels: KernelConfig = field(default_factory=KernelConfig)
    """Widths of the two kernels."""


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


def build_dense_crf(options: DenseCrfOptions) -> DenseCrfRefiner:
    """Build the refiner from its options."""
    return DenseCrfRefiner(DenseCrfRefinerConfig(**asdict(options)))
