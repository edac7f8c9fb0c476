"""A light propagation network on backbone features, with one set of gates per image.

Cheng et al. (2017) run a VGG-16 per frame for 32 channels of gates. This head computes a single
channel of convex gates from the feature maps of a backbone, and propagates the scores themselves.

Wrong scores are handled by confidence weights, as in normalised convolution (Knutsson and Westin
1993), instead of 32 channels and convolutions. Scores near the border of the coarse mask have a low
weight, so confident scores spread up to the closed gates at image edges. With the paper's maximum
over directions, a wrong score would persist, because the scans along its own strip confirm it.

Two measures prevent the head from erasing unfamiliar content, such as an object without texture on
a uniform background. Contrast lowers a gate regardless of the features, and confident scores are
not changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.checks import check_at_least
from vostrack.errors import InputError
from vostrack.models.pointwise import pointwise
from vostrack.refine.spn.directions import DIRECTIONS
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.gates import normalize_gates, squared_contrast
from vostrack.refine.spn.propagation import scan

__all__ = ["LightGuidanceHead", "LightSpnConfig", "mix_scores", "refine_scores"]

# softplus(-8) = 0.0003: an untrained head hardly changes any score.
_CLOSED = -8.0
# Initial weights, as chosen for the sampled dense CRF. At the logit threshold of ``unsure`` they
# approximately reproduce the logit, so that there is no jump.
_WEIGHTS = (0.4, 2.0)
# Minimum confidence, so that divisions are defined.
_LEAST_CONFIDENCE = 1e-3


@dataclass(frozen=True)
class LightSpnConfig:
    """Configuration of the light head.

    Attributes:
        feature_channels: number of channels of each feature map.
        stride: stride of the gates in image pixels, 2 or 4.
        width: channels of the hidden layers, at least 1.
        n_rounds: number of propagations with the same gates, at least 1; see ``refine_scores``.
        reach: radius of the confidence window in image pixels, at least 0; see ``refine_scores``.
        power: exponent of the confidence, at least 0; see ``refine_scores``.
        unsure: only pixels with an absolute logit below this threshold are refined.
        contrast: colour difference (root mean square over red, green and blue in [0, 1]) that
            lowers a raw gate by one half before training; 0 disables contrast.
    """

    feature_channels: tuple[int, ...]
    stride: Literal[2, 4] = 2
    width: int = 32
    n_rounds: int = 2
    reach: int = 10
    power: float = 4.0
    unsure: float = 3.0
    contrast: float = 0.15

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of range.
        """
        if not self.feature_channels or min(self.feature_channels) < 1:
            raise InputError(
                "LightSpnConfig.feature_channels: expected the channels of at least one feature "
                f"map, got {self.feature_channels}"
            )
        if self.stride not in (2, 4):
            raise InputError(f"LightSpnConfig.stride: expected 2 or 4, got {self.stride}")
        if self.width < 1:
            raise InputError(f"LightSpnConfig.width: expected at least 1, got {self.width}")
        least = {"n_rounds": 1, "reach": 0, "power": 0, "contrast": 0}
        check_at_least(self, least, prefix="LightSpnConfig.")
        if not self.unsure > 0:
            raise InputError(f"LightSpnConfig.unsure: expected a value above 0, got {self.unsure}")


class LightGuidanceHead(nn.Module):
    """Computes convex gates from an image and its backbone features, shared by all channels.

    The features indicate which pixels belong together. One strided convolution of the image
    locates the edges. All are resampled to the resolution of the gates and summed, and the contrast
    along each gate, times a learned factor, is subtracted. The gates of an untrained head are
    nearly closed, so that it hardly changes the scores.
    """

    def __init__(self, config: LightSpnConfig) -> None:
        super().__init__()
        self.config = config
        stride, width = config.stride, config.width
        self.stem = nn.Conv2d(3, width, stride + 1, stride=stride, padding=stride // 2)
        self.laterals = nn.ModuleList(pointwise(c, width) for c in config.feature_channels)
        self.mix = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.gates = nn.Conv2d(width, 12, 3, padding=1)
        if config.contrast > 0:
            # Half of (d / contrast)², as in a dense CRF. It is a logarithm, so that contrast never
            # opens a gate.
            self.steepness = nn.Parameter(torch.tensor(-math.log(2 * config.contrast**2)))
        # Weights of a pixel's own logit and of the propagated score; see ``mix_scores``.
        self.mixing = nn.Parameter(torch.tensor(_WEIGHTS))
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(_bias(self.gates), _CLOSED)

    def open_gates(self, raw: float = 0.0) -> None:
        """Open the gates before training. Nearly closed gates need thousands of steps to open.

        Args:
            raw: initial raw gate. With 0, two thirds of a score come from the neighbours.
        """
        nn.init.constant_(_bias(self.gates), raw)

    def forward(self, image: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Compute the gates.

        Args:
            image: (B, 3, h, w) in [0, 1].
            features: one (B, c, h', w') per entry of ``feature_channels``, at any resolution.

        Returns:
            Convex gates, (B, 1, 4, 3, ceil(h/stride), ceil(w/stride)).

        Raises:
            InputError: the features do not have the configured channels.
        """
        channels = tuple(f.shape[1] if f.ndim == 4 else -1 for f in features)
        if channels != self.config.feature_channels:
            raise InputError(
                "features: expected maps (B, c, h, w) with channels "
                f"{self.config.feature_channels}, got {[tuple(f.shape) for f in features]}"
            )
        # The memory format of the backbone features takes a third less time on a CPU.
        x: Tensor = self.stem((image - 0.5).contiguous(memory_format=torch.channels_last))
        for lateral, feature in zip(self.laterals, features, strict=True):
            level = lateral(feature)
            x = x + functional.interpolate(
                level, x.shape[-2:], mode="bilinear", align_corners=False
            )
        raw: Tensor = self.gates(self.mix(x)).float()
        batch, _, height, width = raw.shape
        raw = raw.contiguous().reshape(batch, 1, 4, 3, height, width)
        if self.config.contrast > 0:
            cells = functional.interpolate(image.float(), (height, width), mode="area")
            raw = raw - self.steepness.float().exp() * squared_contrast(cells)
        return normalize_gates(raw, "convex")

    def refine(self, gates: Tensor, scores: Tensor, impl: Impl = "auto") -> Tensor:
        """Refine scores with the gates of this head.

        Args:
            gates: the result of ``forward``.
            scores: (N, h, w) in [0, 1].
            impl: implementation of the propagation.

        Returns:
            The refined scores (N, h, w) in [0, 1]; see ``refine_scores`` and ``mix_scores``.
        """
        config = self.config
        propagated = refine_scores(
            gates,
            scores,
            impl,
            n_rounds=config.n_rounds,
            reach=config.reach,
            power=config.power,
        )
        return mix_scores(scores, propagated, self.mixing.float(), config.unsure)


def refine_scores(
    gates: Tensor,
    scores: Tensor,
    impl: Impl = "auto",
    *,
    n_rounds: int = 2,
    reach: int = 10,
    power: float = 4.0,
) -> Tensor:
    """Propagate confident scores along the gates.

    In each round, c s and c are propagated along the four directions, with the confidence c and the
    score s. The quotient of their sums over the directions is the new score. The confidence is
    |2 m - 1| ** power for the local mean m of the scores. Object and background are treated
    symmetrically: refining 1 - s yields one minus the refined s. Only the change is upsampled to
    full resolution, so that details finer than the gates are preserved.

    Args:
        gates: (1 or N, 1, 4, 3, h', w'), convex, at any resolution.
        scores: (N, h, w) in [0, 1].
        impl: implementation of the propagation.
        n_rounds: number of rounds. Each one uses the confidence after the previous one.
        reach: radius in pixels of the box filter, which is applied twice to compute the mean.
        power: exponent of the confidence. With 0, all scores have the same confidence.

    Returns:
        The propagated scores (N, h, w) in [0, 1].

    Raises:
        InputError: the shapes do not match.
    """
    if scores.ndim != 3 or gates.ndim != 6:
        raise InputError(
            "refine_scores: expected gates (1 or N, 1, 4, 3, h', w') and scores (N, h, w), got "
            f"{tuple(gates.shape)} and {tuple(scores.shape)}"
        )
    if len(scores) == 0:
        return scores
    per_direction = gates.float().unbind(2)
    radius = round(reach * gates.shape[-1] / scores.shape[-1])
    full = scores.float()[:, None]
    for _ in range(n_rounds):
        coarse = functional.interpolate(full, gates.shape[-2:], mode="area")
        mean = _box(_box(coarse, radius), radius)
        confidence = (2 * mean - 1).abs() ** power + _LEAST_CONFIDENCE
        evidence = torch.cat([confidence * coarse, confidence], dim=1)
        total = torch.zeros_like(evidence)
        for direction, own in zip(DIRECTIONS, per_direction, strict=True):
            total = total + scan(evidence, own, direction, impl)
        change = functional.interpolate(
            total[:, :1] / total[:, 1:] - coarse, scores.shape[-2:], mode="bilinear"
        )
        full = (full + change).clamp(0, 1)
    return full[:, 0].to(scores.dtype)


def mix_scores(scores: Tensor, propagated: Tensor, weights: Tensor, unsure: float) -> Tensor:
    """Combine scores and propagated scores, like unaries and messages in mean field.

    Args:
        scores: any shape, in [0, 1].
        propagated: the same shape, in [0, 1].
        weights: (2,), weights of the logit of ``scores`` and of 2 ``propagated`` - 1. The weighted
            sum is the new logit.
        unsure: scores with an absolute logit of at least this threshold are not changed.

    Returns:
        The new scores, in the type of ``scores``.
    """
    own = scores.float()
    # The threshold as distance of the score from 0.5: the logit of 0 or 1 is infinite.
    margin = torch.tensor(unsure).sigmoid().item() - 0.5
    chosen = (own - 0.5).abs() < margin
    logit = torch.logit(own, eps=0.5 - margin)
    mixed = (weights[0] * logit + weights[1] * (2 * propagated.float() - 1)).sigmoid()
    return torch.where(chosen, mixed.to(scores.dtype), scores)


def _box(x: Tensor, radius: int) -> Tensor:
    """Apply a box filter. The border is replicated."""
    padded = functional.pad(x, (radius,) * 4, mode="replicate")
    # Rows, then columns, which takes a third of the time of a square window.
    rows = functional.avg_pool2d(padded, (1, 2 * radius + 1), stride=1)
    return functional.avg_pool2d(rows, (2 * radius + 1, 1), stride=1)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # every convolution here has one
    return conv.bias
