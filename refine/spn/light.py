"""Propagation guided by features that the tracker computes anyway, one set of gates per image.

Where Cheng et al. 2017 run a VGG-16 per frame for 32 channels of gates, this head turns the feature
maps of a backbone into a single channel of convex gates, and propagates the scores themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.errors import InputError
from vostrack.refine.spn.dispatch import Impl
from vostrack.refine.spn.gates import normalize_gates
from vostrack.refine.spn.propagation import propagate

__all__ = ["LightGuidanceHead", "LightSpnConfig", "refine_scores"]

# softplus(-5) = 0.007: a head without training keeps 98 % of every score where it is.
_CLOSED = -5.0


@dataclass(frozen=True)
class LightSpnConfig:
    """How the light head is built and used.

    Attributes:
        feature_channels: channels of each feature map it is given.
        stride: pixels of the image per gate along an axis, 2 or 4.
        width: channels inside the head.
    """

    feature_channels: tuple[int, ...]
    stride: Literal[2, 4] = 2
    width: int = 32

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


class LightGuidanceHead(nn.Module):
    """From an image and its backbone features to convex gates, shared by all channels.

    The features say what belongs together, the image, through one strided convolution, where
    exactly it ends. All are brought to the resolution of the gates and summed. Without training the
    gates are nearly closed, so that a propagation changes next to nothing.
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
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(_bias(self.gates), _CLOSED)

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
        x: Tensor = self.stem(image - 0.5)
        for lateral, feature in zip(self.laterals, features, strict=True):
            level = lateral(feature)
            x = x + functional.interpolate(
                level, x.shape[-2:], mode="bilinear", align_corners=False
            )
        raw: Tensor = self.gates(self.mix(x)).float()
        batch, _, height, width = raw.shape
        return normalize_gates(raw.reshape(batch, 1, 4, 3, height, width), "convex")


def refine_scores(gates: Tensor, scores: Tensor, impl: Impl = "auto") -> Tensor:
    """Propagate scores, and what speaks against them, along convex gates.

    Object and background are propagated alike and weighed against one another, so that the maximum
    over directions favours neither: refining 1 - s gives one minus the refined s. Only the change
    goes back to full resolution, so that detail finer than the gates survives.

    Args:
        gates: (1 or N, 1, 4, 3, h', w'), convex, at any resolution.
        scores: (N, h, w) in [0, 1].
        impl: implementation of the propagation.

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
    full = scores.float()[:, None]
    coarse = functional.interpolate(full, gates.shape[-2:], mode="area")
    both = propagate(torch.cat([1 - coarse, coarse], dim=1), gates.float(), impl)
    refined = both[:, 1:] / both.sum(dim=1, keepdim=True)
    change = functional.interpolate(refined - coarse, scores.shape[-2:], mode="bilinear")
    return (full + change)[:, 0].clamp(0, 1).to(scores.dtype)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # every convolution here has one
    return conv.bias
