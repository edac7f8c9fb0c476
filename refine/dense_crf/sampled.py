"""The dense CRF where it matters: at unsure pixels, with neighbours sampled on a grid.

A binary dense CRF (Krähenbühl and Koltun 2011) over all pixels needs a lattice per frame, which
takes longer than a tracker's networks. But scores that are sure do not move, and colours that are
close repeat many times within reach: the sum over a grid of samples is close to that over all.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.compute.threads import in_parts
from vostrack.errors import InputError
from vostrack.refine.dense_crf.options import SampledCrfConfig

__all__ = ["SampledCrfConfig", "SampledCrfRefiner", "messages"]

# Pixels at a time in PyTorch: some 40 MB of pairs at the finest grid.
_CHUNK = 2048
# Fewer pixels are done before a second thread has woken up.
_PART = 500


class SampledCrfRefiner:
    """A binary dense CRF per object at its unsure pixels; a ``Refiner``.

    As ``DenseCrfRefiner``, with m ← a logit(score) + Σ_k w_k F_k(2 sigmoid(m) - 1); F_k are the two
    normalised filters, of which that of appearance takes its samples from a regular grid.

    Args:
        config: kernels, weights and iterations.
    """

    def __init__(self, config: SampledCrfConfig | None = None) -> None:
        self.config = config or SampledCrfConfig()

    @torch.no_grad()
    def __call__(self, image: Tensor, scores: Tensor) -> Tensor:
        """Refine.

        Args:
            image: (3, h, w) float in [0, 1].
            scores: (N, h, w) in [0, 1].

        Returns:
            (N, h, w) in [0, 1].

        Raises:
            InputError: image and scores do not fit each other.
        """
        if scores.ndim != 3 or image.ndim != 3 or scores.shape[1:] != image.shape[1:]:
            raise InputError(
                "SampledCrfRefiner: expected an image (3, h, w) and scores (N, h, w), "
                f"got {tuple(image.shape)} and {tuple(scores.shape)}"
            )
        config = self.config
        # The sigmoid of ``unsure``, from the middle of the scores.
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
            near, alike = messages(image, current, rows, columns, config, stride)
            own = (unary + config.spatial_weight * near + config.bilateral_weight * alike).sigmoid()
        return own.to(score.dtype)


def messages(
    image: Tensor,
    score: Tensor,
    rows: Tensor,
    columns: Tensor,
    config: SampledCrfConfig,
    stride: int,
    *,
    compiled: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Filter 2 score - 1 with both kernels at some pixels.

    Colours are compared by (1 - d² / 8σ²)⁴, 0 from d = 2.8 σ on, in place of exp(-d² / 2σ²): it
    differs by 0.08 at most and needs no exponential. A sample is as far away as the cell of the
    grid that it stands for is from that of the pixel.

    Args:
        image: (3, h, w) float32 in [0, 1].
        score: (h, w) float32 in [0, 1].
        rows: (P,) int64.
        columns: (P,) int64.
        config: the kernels.
        stride: pixels between samples.
        compiled: whether compiled loops do it; None: on a CPU, where numba is installed.

    Returns:
        The mean of the neighbourhood (P,), and that of the samples of the same colour (P,), 0
        where there is none.
    """
    if compiled is None:
        compiled = score.device.type == "cpu" and _has_numba()
    if compiled:
        return _messages_compiled(image, score, rows, columns, config, stride)
    near = _blurred(2 * score - 1, config.spatial_sigma)[rows, columns]
    parts = [
        _alike(image, score, rows[i : i + _CHUNK], columns[i : i + _CHUNK], config, stride)
        for i in range(0, len(rows), _CHUNK)
    ]
    return near, torch.cat(parts) if parts else near


def _blurred(field: Tensor, sigma: float) -> Tensor:
    """Blur (h, w) by a Gaussian cut off at 2 sigma; what is outside repeats the border."""
    taps = _taps(sigma).to(field.device)
    radius = len(taps) // 2
    padded = F.pad(field[None, None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, taps.view(1, 1, 1, -1))
    return F.conv2d(rows, taps.view(1, 1, -1, 1))[0, 0]


def _alike(
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
) -> tuple[Tensor, Tensor]:
    from vostrack.refine.dense_crf import sampled_loops as loops

    start = stride // 2
    colours = image[:, start::stride, start::stride].contiguous().numpy()
    values = (2 * score[start::stride, start::stride] - 1).contiguous().numpy()
    pixels, whole = image.numpy(), score.contiguous().numpy()
    ys, xs = rows.numpy(), columns.numpy()
    taps, fade = _taps(config.spatial_sigma).numpy(), _fade(config, stride).numpy()
    inverse = np.float32(_inverse(config))
    near, alike = (np.empty(len(ys), np.float32) for _ in range(2))

    def run(part: slice) -> None:
        loops.blur_at(whole, ys[part], xs[part], taps, near[part])
        loops.gather_alike(
            pixels, ys[part], xs[part], stride, colours, values, fade, inverse, alike[part]
        )

    in_parts(run, len(ys), _PART)
    # The taps sum to one, so that what is filtered may be turned into -1 to 1 afterwards.
    return torch.from_numpy(near).mul_(2).sub_(1), torch.from_numpy(alike)


@lru_cache(maxsize=1)
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _inverse(config: SampledCrfConfig) -> float:
    """Return 1 / 8σ² for colours in [0, 1]."""
    return 255**2 / (8 * config.colour_sigma**2)


def _where(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and columns (P,) where a mask (h, w) is true."""
    if mask.device.type != "cpu":
        rows, columns = mask.nonzero(as_tuple=True)
        return rows, columns
    # Numpy finds a few pixels among many several times as fast.
    flat = torch.from_numpy(np.flatnonzero(mask.numpy()))
    return flat // mask.shape[1], flat % mask.shape[1]


def _taps(sigma: float) -> Tensor:
    radius = int(2 * sigma + 0.5)
    taps = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    return taps / taps.sum()


def _fade(config: SampledCrfConfig, stride: int) -> Tensor:
    """Return how samples count by their distance along one axis: (2 radius + 1,)."""
    radius = config.radius(stride)
    apart = torch.arange(-radius, radius + 1) * stride
    return torch.exp(-apart.square() / (2 * config.bilateral_sigma**2))
