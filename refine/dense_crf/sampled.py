"""A fast dense CRF: only at uncertain pixels, with neighbours sampled on a grid.

A binary dense CRF (Krähenbühl and Koltun 2011) over all pixels needs a lattice per frame, which
takes longer than a tracker's networks. But confident scores do not change, and similar colours
occur many times nearby. A sum over a grid of samples is therefore close to the sum over all pixels.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.compute.threads import in_parts
from vostrack.errors import InputError
from vostrack.refine.dense_crf.options import SampledCrfConfig

__all__ = ["Messages", "SampledCrfConfig", "SampledCrfRefiner", "messages"]

# Pixels per batch in PyTorch, which take about 40 MB on the finest grid.
_CHUNK = 2048
# Minimum pixels per thread. Fewer are done before a second thread wakes up.
_PART = 500


class SampledCrfRefiner:
    """A binary dense CRF per object at its uncertain pixels. Implements ``Refiner``.

    Like ``DenseCrfRefiner``, with m ← a logit(score) + Σ_k w_k F_k(2 sigmoid(m) - 1). F_k are the
    two normalised filters. The appearance filter uses samples on a regular grid.

    Args:
        config: kernels, weights and iterations.
    """

    def __init__(self, config: SampledCrfConfig | None = None) -> None:
        self.config = config or SampledCrfConfig()

    def warm_up(self, device: torch.device) -> None:
        """Load the compiled loops of this device by refining a small image.

        Args:
            device: device of the images and scores to come.
        """
        self(torch.zeros(3, 32, 32, device=device), torch.full((1, 32, 32), 0.6, device=device))

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
        places = [_where((score - 0.5).abs_() < margin) for score in scores]
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
    *,
    compiled: bool | None = None,
) -> Messages:
    """Filter 2 score - 1 with both kernels at some pixels.

    The colour weight is (1 - d² / 8σ²)⁴, and 0 from d = 2.8 σ on, instead of exp(-d² / 2σ²). It
    differs by at most 0.08 and needs no exponential. The distance of a sample is that between its
    grid cell and the grid cell of the pixel.

    Args:
        image: (3, h, w) float32 in [0, 1].
        score: (h, w) float32 in [0, 1].
        rows: (P,) int64, rows of the pixels.
        columns: (P,) int64, columns of the pixels.
        config: the kernels.
        stride: sample spacing in pixels.
        compiled: whether to use compiled loops; None for the CPU if numba is installed.
    """
    if compiled is None:
        compiled = score.device.type == "cpu" and _has_numba()
    if compiled:
        return _messages_compiled(image, score, rows, columns, config, stride)
    near = _blurred(2 * score - 1, config.spatial_sigma)[rows, columns]
    parts = [
        _similar(image, score, rows[i : i + _CHUNK], columns[i : i + _CHUNK], config, stride)
        for i in range(0, len(rows), _CHUNK)
    ]
    return Messages(near, torch.cat(parts) if parts else near)


def _blurred(field: Tensor, sigma: float) -> Tensor:
    """Blur a map (h, w) with a Gaussian truncated at 2 sigma. The border is replicated."""
    taps = _taps(sigma).to(field.device)
    radius = len(taps) // 2
    padded = F.pad(field[None, None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, taps.view(1, 1, 1, -1))
    return F.conv2d(rows, taps.view(1, 1, -1, 1))[0, 0]


def _similar(
    image: Tensor,
    score: Tensor,
    rows: Tensor,
    columns: Tensor,
    config: SampledCrfConfig,
    stride: int,
) -> Tensor:
    start, radius = stride // 2, config.radius(stride)
    colours, values = image[:, start::stride, start::stride], score[start::stride, start::stride]
    values = 2 * values - 1
    height, width = values.shape
    offsets = torch.arange(-radius, radius + 1, device=score.device)
    y = (rows // stride)[:, None] + offsets
    x = (columns // stride)[:, None] + offsets
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    if height == 0 or width == 0:
        return torch.zeros_like(rows, dtype=score.dtype)
    y, x = y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]
    apart = (colours[:, y, x] - image[:, rows, columns][:, :, None, None]).square().sum(0)
    close = (1 - apart * _inverse(config)).clamp_(min=0) ** 4
    fade = _fade(config, stride).to(score.device)
    weights = close * (fade[:, None] * fade) * inside
    return (weights * values[y, x]).sum((1, 2)) / (weights.sum((1, 2)) + 1e-6)


def _messages_compiled(
    image: Tensor,
    score: Tensor,
    rows: Tensor,
    columns: Tensor,
    config: SampledCrfConfig,
    stride: int,
) -> Messages:
    from vostrack.refine.dense_crf import sampled_loops as loops

    start = stride // 2
    colours = image[:, start::stride, start::stride].contiguous().numpy()
    values = (2 * score[start::stride, start::stride] - 1).contiguous().numpy()
    pixels, whole = image.numpy(), score.contiguous().numpy()
    ys, xs = rows.numpy(), columns.numpy()
    taps, fade = _taps(config.spatial_sigma).numpy(), _fade(config, stride).numpy()
    inverse = np.float32(_inverse(config))
    near, similar = (np.empty(len(ys), np.float32) for _ in range(2))

    def run(part: slice) -> None:
        loops.blur_at(whole, ys[part], xs[part], taps, near[part])
        loops.gather_similar(
            pixels, ys[part], xs[part], stride, colours, values, fade, inverse, similar[part]
        )

    in_parts(run, len(ys), _PART)
    # The taps sum to one, so the result can be mapped to [-1, 1] after filtering.
    return Messages(torch.from_numpy(near).mul_(2).sub_(1), torch.from_numpy(similar))


@lru_cache(maxsize=1)
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _inverse(config: SampledCrfConfig) -> float:
    """Return 1 / 8σ² for colours in [0, 1]."""
    return 255**2 / (8 * config.colour_sigma**2)


def _where(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and columns (P,) of the true pixels of a mask (h, w)."""
    if mask.device.type != "cpu":
        rows, columns = mask.nonzero(as_tuple=True)
        return rows, columns
    # numpy is several times faster if few pixels are true.
    flat = torch.from_numpy(np.flatnonzero(mask.numpy()))
    return flat // mask.shape[1], flat % mask.shape[1]


def _taps(sigma: float) -> Tensor:
    radius = int(2 * sigma + 0.5)
    taps = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    return taps / taps.sum()


def _fade(config: SampledCrfConfig, stride: int) -> Tensor:
    """Return the weights (2 radius + 1,) of samples by their distance along one axis."""
    radius = config.radius(stride)
    apart = torch.arange(-radius, radius + 1) * stride
    return torch.exp(-apart.square() / (2 * config.bilateral_sigma**2))
