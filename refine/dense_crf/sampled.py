"""A fast dense CRF: only at uncertain pixels, with neighbours sampled on a grid.

A binary dense CRF (Krähenbühl and Koltun 2011) over all pixels needs a lattice per frame, which
takes longer than a tracker's networks. But confident scores do not change, and similar colours
occur many times nearby. A sum over a grid of samples is therefore close to the sum over all pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.refine.dense_crf.options import SampledCrfConfig
from vostrack.refine.dense_crf.sampled_cells import similar_by_cell

__all__ = ["Messages", "SampledCrfConfig", "SampledCrfRefiner", "messages"]


# Scores below the uncertain ones by less may count as uncertain, whatever the rounding.
_ROUNDING = 1e-6


class SampledCrfRefiner:
    """A binary dense CRF per object at its uncertain pixels. Implements ``Refiner``.

    Like ``DenseCrfRefiner``, with m ← a logit(score) + Σ_k w_k F_k(2 sigmoid(m) - 1). F_k are the
    two normalised filters. The appearance filter uses samples on a regular grid.

    Args:
        config: kernels, weights and iterations.
    """

    def __init__(self, config: SampledCrfConfig | None = None) -> None:
        self.config = config or SampledCrfConfig()

    @torch.no_grad()
    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine the scores of one frame.

        Args:
            image: (3, h, w) float in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            The refined scores (N, h, w) in [0, 1].

        Raises:
            InputError: image and scores differ in size.
        """
        if scores.ndim != 3 or image.ndim != 3 or scores.shape[1:] != image.shape[1:]:
            raise InputError(
                "SampledCrfRefiner: expected an image (3, h, w) and scores (N, h, w), "
                f"got {tuple(image.shape)} and {tuple(scores.shape)}"
            )
        config = self.config
        # The threshold on the logit as distance of the score from 0.5.
        margin = torch.tensor(config.unsure).sigmoid().item() - 0.5
        places = _uncertain(scores, margin)
        stride = config.stride(sum(len(rows) for rows, _ in places))
        image = image.float().contiguous()
        refined = scores.clone()
        for score, target, (rows, columns) in zip(scores, refined, places, strict=True):
            if len(rows):
                target[rows, columns] = self._refine(image, score, rows, columns, stride)
        return refined

    def _refine(
        self, image: Tensor, score: Tensor, rows: Tensor, columns: Tensor, stride: int
    ) -> Tensor:
        """Return the refined scores (P,) of some pixels of one object."""
        config = self.config
        own = score[rows, columns].float()
        unary = config.unary_weight * torch.logit(own)
        current = score.float()
        for step in range(config.iterations):
            if step == 1 and current is score:
                current = score.clone()
            if step:
                current[rows, columns] = own
            near, similar = messages(image, current, rows, columns, config, stride)
            own = (
                unary + config.spatial_weight * near + config.bilateral_weight * similar
            ).sigmoid()
        return own.to(score.dtype)


class Messages(NamedTuple):
    """Messages of both kernels to P pixels, in [-1, 1].

    Attributes:
        near: (P,), the mean over the neighbourhood.
        similar: (P,), the mean over samples of similar colour; 0 if there are none.
    """

    near: Tensor
    similar: Tensor


def messages(
    image: Tensor,
    score: Tensor,
    rows: Tensor,
    columns: Tensor,
    config: SampledCrfConfig,
    stride: int,
) -> Messages:
    """Filter 2 score - 1 with both kernels at some pixels.

    The colour weight is (1 - d² / 8σ²)⁴, and 0 from d = 2.8 σ on, instead of exp(-d² / 2σ²). It
    differs by at most 0.08 and needs no exponential. The distance of a sample is that between its
    grid cell and the grid cell of the pixel. ``sampled_reference`` computes the same, pixel by
    pixel.

    Args:
        image: (3, h, w) float32 in [0, 1].
        score: (h, w) float32 in [0, 1].
        rows: (P,) int64, rows of the pixels, on the CPU.
        columns: (P,) int64, columns of the pixels, on the CPU.
        config: the kernels.
        stride: sample spacing in pixels.
    """
    if not len(rows):
        return Messages(score.new_zeros(0), score.new_zeros(0))
    near = _blurred_at(score, rows, columns, config.spatial_sigma)
    cells = [index.div(stride, rounding_mode="floor") for index in (rows, columns)]
    spans = [_seen(index, config.radius(stride)) for index in cells]
    part = tuple(slice(stride // 2 + stride * a, stride * (b + 1), stride) for a, b in spans)
    samples = torch.cat([image[:, part[0], part[1]], 2 * score[part][None] - 1])
    similar = similar_by_cell(
        image[:, rows, columns],
        samples,
        cells[0] - spans[0][0],
        cells[1] - spans[1][0],
        fade_by_cell(config, stride).to(score.device),
        inverse_square(config),
    )
    # The taps sum to one, so the result can be mapped to [-1, 1] after filtering.
    return Messages(2 * near - 1, similar)


def _seen(cells: Tensor, radius: int) -> tuple[int, int]:
    """Return the first and the last cell along an axis that the windows of some cells hold."""
    first, last = torch.stack(cells.aminmax()).tolist()
    return max(0, first - radius), last + radius


def _blurred_at(field: Tensor, rows: Tensor, columns: Tensor, sigma: float) -> Tensor:
    """Blur a map (h, w) at some pixels (P,): only the part around them is blurred."""
    reach = len(gaussian_taps(sigma)) // 2
    (top, bottom), (left, right) = (
        torch.stack(index.aminmax()).tolist() for index in (rows, columns)
    )
    top, left = max(0, top - reach), max(0, left - reach)
    part = field[top : bottom + reach + 1, left : right + reach + 1]
    return _blurred(part, sigma)[rows - top, columns - left]


def _blurred(field: Tensor, sigma: float) -> Tensor:
    """Blur a map (h, w) with a Gaussian truncated at 2 sigma. The border is replicated."""
    taps = gaussian_taps(sigma)
    if field.device.type == "cpu":
        array, line = field.numpy(), taps.numpy()
        return torch.from_numpy(
            cv2.sepFilter2D(array, -1, line, line, borderType=cv2.BORDER_REPLICATE)
        )
    radius = len(taps) // 2
    taps = taps.to(field.device)
    padded = F.pad(field[None, None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, taps.view(1, 1, 1, -1))
    return F.conv2d(rows, taps.view(1, 1, -1, 1))[0, 0]


def inverse_square(config: SampledCrfConfig) -> float:
    """Return 1 / 8σ² for colours in [0, 1]."""
    return 255**2 / (8 * config.colour_sigma**2)


def _uncertain(scores: Tensor, margin: float) -> list[tuple[Tensor, Tensor]]:
    """Return the rows and columns (P,) of each object's uncertain pixels.

    They are on the CPU, whatever the device of the scores (N, h, w): pixels are grouped there, and
    a GPU is waited for once for all objects.
    """
    if scores.device.type != "cpu":
        found = ((scores - 0.5).abs_() < margin).nonzero().cpu()
        counts = torch.bincount(found[:, 0], minlength=len(scores)).tolist()
        return [(part[:, 1], part[:, 2]) for part in torch.split(found, counts)]
    return [_uncertain_on_host(score.float().numpy(), margin) for score in scores]


def _uncertain_on_host(score: FloatArray, margin: float) -> tuple[Tensor, Tensor]:
    """Return the rows and columns (P,) of the uncertain pixels of a map (h, w)."""
    # Most of it is far below: only the box around the rest is looked at.
    high = score > 0.5 - margin - _ROUNDING
    left, top, width, height = cv2.boundingRect(high.view(np.uint8))
    unsure = np.abs(score[top : top + height, left : left + width] - 0.5) < margin
    # OpenCV is several times faster if few pixels are true.
    found = cv2.findNonZero(unsure.view(np.uint8)) if width else None
    pixels = np.empty((0, 2), np.int32) if found is None else found.reshape(-1, 2)
    columns, rows = torch.from_numpy(pixels.T.astype(np.int64, order="C"))
    return rows.add_(top), columns.add_(left)


def gaussian_taps(sigma: float) -> Tensor:
    """Return the weights of a Gaussian truncated at 2 sigma, which sum to one."""
    radius = int(2 * sigma + 0.5)
    taps = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    return taps / taps.sum()


def fade_by_cell(config: SampledCrfConfig, stride: int) -> Tensor:
    """Return the weights (2 radius + 1,) of samples by their distance along one axis."""
    radius = config.radius(stride)
    apart = torch.arange(-radius, radius + 1) * stride
    return torch.exp(-apart.square() / (2 * config.bilateral_sigma**2))
