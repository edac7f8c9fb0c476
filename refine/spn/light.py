"""Propagation guided by features that the tracker computes anyway, one set of gates per image.

Where Cheng et al. 2017 run a VGG-16 per frame for 32 channels of gates, this head turns the feature
maps of a backbone into a single channel of convex gates, and propagates the scores themselves.

What 32 channels and convolutions do there about scores that are wrong, confidence does here, as in
normalised convolution (Knutsson and Westin 1993): scores near the border of the coarse mask count
little, so that what is sure inside flows up to the closed gates at the edge of the image. The
maximum over directions of the paper would keep a wrong score, which the directions along and out
of its own strip confirm.

Two things keep the head from erasing what it has never met, such as an object without texture on
even ground: contrast lowers a gate whatever the features say, and sure scores stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.checks import demand_at_least
from vostrack.errors import InputError
from vostrack.refine.spn.directions import DIRECTIONS
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.gates import normalize_gates, squared_contrast
from vostrack.refine.spn.propagation import scan

__all__ = ["LightGuidanceHead", "LightSpnConfig", "mix_scores", "refine_scores"]

# softplus(-8) = 0.0003: a head without training leaves even unsure scores as they are.
_CLOSED = -8.0
# Where training starts: as chosen for the dense CRF at unsure pixels. At the logit from which on
# scores stay they give about that logit again, so that nothing jumps.
_WEIGHTS = (0.4, 2.0)
# What the least sure score still counts: divisions stay defined.
_LEAST_CONFIDENCE = 1e-3


@dataclass(frozen=True)
class LightSpnConfig:
    """How the light head is built and used.

    Attributes:
        feature_channels: channels of each feature map it is given.
        stride: pixels of the image per gate along an axis, 2 or 4.
        width: channels inside the head.
        n_rounds: propagations with the same gates; see ``refine_scores`` for this and the next.
        reach: how far confidence looks, pixels of the image.
        power: how steeply it rises with agreement.
        unsure: pixels whose logit is nearer to 0 than this are refined, the others stay.
        contrast: a step of colour, as the root of the mean square over red, green and blue in
            [0, 1], that lowers a raw gate by half before training; 0 leaves contrast out.
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
        demand_at_least(self, least, prefix="LightSpnConfig.")
        if not self.unsure > 0:
            raise InputError(f"LightSpnConfig.unsure: expected over 0, got {self.unsure}")


class LightGuidanceHead(nn.Module):
    """From an image and its backbone features to convex gates, shared by all channels.

    The features say what belongs together, the image, through one strided convolution, where
    exactly it ends. All are brought to the resolution of the gates and summed; the contrast along
    each gate, times a factor that is learnt, is taken off. Without training the gates are nearly
    closed, so that a propagation changes next to nothing.
    """

    def __init__(self, config: LightSpnConfig) -> None:
        super().__init__()
        self.config = config
        stride, width = config.stride, config.width
        self.stem = nn.Conv2d(3, width, stride + 1, stride=stride, padding=stride // 2)
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in config.feature_channels)
        self.mix = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.gates = nn.Conv2d(width, 12, 3, padding=1)
        if config.contrast > 0:
            # Half of (d / contrast)², as in the kernels of a dense CRF; as a logarithm, so that
            # contrast never opens a gate.
            self.steepness = nn.Parameter(torch.tensor(-math.log(2 * config.contrast**2)))
        # Of a pixel's own logit and of what reaches it, -1 to 1; see ``mix_scores``.
        self.mixing = nn.Parameter(torch.tensor(_WEIGHTS))
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(_bias(self.gates), _CLOSED)

    def open_gates(self, raw: float = 0.0) -> None:
        """Set where training starts: nearly closed gates take thousands of steps to open.

        Args:
            raw: the raw gate of a head that knows nothing; 0 takes two thirds from the neighbours.
        """
        nn.init.constant_(_bias(self.gates), raw)

    def forward(self, image: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Compute the gates.

        Args:
            image: (B, 3, h, w) in [0, 1].
            features: one (B, c, h', w') per entry of ``feature_channels``, at any resolution.

        Returns:
            (B, 1, 4, 3, ceil(h/stride), ceil(w/stride)), convex.

        Raises:
            InputError: the features are not those the head was built for.
        """
        channels = tuple(f.shape[1] if f.ndim == 4 else -1 for f in features)
        if channels != self.config.feature_channels:
            raise InputError(
                "features: expected maps (B, c, h, w) with channels "
                f"{self.config.feature_channels}, got {[tuple(f.shape) for f in features]}"
            )
        # As the features of a backbone lie in memory: two thirds of the head's time on a CPU.
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
        """Refine scores with gates of this head.

        Args:
            gates: what ``forward`` returned.
            scores: (N, h, w) in [0, 1].
            impl: implementation of the propagation.

        Returns:
            (N, h, w) in [0, 1]; see ``refine_scores`` and ``mix_scores``.
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
    """Replace scores by what is sure in reach along the gates.

    In each round c s and c, with the confidence c, are propagated along the four directions; the
    sums over the directions, divided, are the new scores. c is |2 m - 1| ** power for the mean m of
    the scores around, so that object and background are refined alike: refining 1 - s gives one
    minus the refined s. Only the change goes back to full resolution, so that detail finer than
    the gates survives.

    Args:
        gates: (1 or N, 1, 4, 3, h', w'), convex, at any resolution.
        scores: (N, h, w) in [0, 1].
        impl: implementation of the propagation.
        n_rounds: how often; the second sees the confidence after the first.
        reach: half the side of the square over which the mean is taken, twice over; pixels.
        power: 0 trusts all scores alike.

    Returns:
        (N, h, w) in [0, 1].

    Raises:
        InputError: the shapes do not fit.
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
    """Weigh scores against what was propagated, as mean field weighs a unary against a message.

    Args:
        scores: any shape, in [0, 1].
        propagated: likewise.
        weights: (2,), of the logit of a score and of 2 propagated - 1; the sum is the new logit.
        unsure: scores whose logit is at least so far from 0 stay as they are.

    Returns:
        The new scores, with the type of the old.
    """
    own = scores.float()
    # The sigmoid of ``unsure``, from the middle of the scores: a score of 0 or 1 has no logit.
    margin = torch.tensor(unsure).sigmoid().item() - 0.5
    chosen = (own - 0.5).abs() < margin
    logit = torch.logit(own, eps=0.5 - margin)
    mixed = (weights[0] * logit + weights[1] * (2 * propagated.float() - 1)).sigmoid()
    return torch.where(chosen, mixed.to(scores.dtype), scores)


def _box(x: Tensor, radius: int) -> Tensor:
    """Average over squares; what is outside repeats the border."""
    padded = functional.pad(x, (radius,) * 4, mode="replicate")
    # Rows, then columns: a third of the time of a square window.
    rows = functional.avg_pool2d(padded, (1, 2 * radius + 1), stride=1)
    return functional.avg_pool2d(rows, (2 * radius + 1, 1), stride=1)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # every convolution here has one
    return conv.bias
