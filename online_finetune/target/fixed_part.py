"""What fine-tuning does not change of the backbone: computed once for each altered frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.compute.precision import Precision, autocast
from vostrack.models.byte_map import ByteMap, as_floats
from vostrack.models.target_features import EarlyLevels
from vostrack.models.target_net import TargetNet

__all__ = ["FixedFeatures", "FixedPart"]


class FixedFeatures(NamedTuple):
    """Feature maps of one image that are kept until the end.

    Attributes:
        entered: what the trained blocks get; without any, the last level.
        levels: what the lateral layers make of the levels at strides 2, 4 and 8, and the rest.
    """

    entered: Tensor
    levels: EarlyLevels


class FixedPart:
    """Runs the part of a network that fine-tuning does not change.

    Args:
        network: on its device.
        blocks: those of the last stage that stay fixed, before the trained ones; None where all of
            the stage is fixed.
        precision: see ``vostrack.compute.precision``.
    """

    def __init__(
        self, network: TargetNet, blocks: Sequence[nn.Module] | None, precision: Precision
    ) -> None:
        self.network, self.blocks, self.precision = network, blocks, precision

    @torch.no_grad()
    def __call__(self, image: Tensor) -> FixedFeatures:
        """Compute the feature maps of an image (1, 3, h, w) in [0, 1]."""
        network, device = self.network, self.network.mean.device
        with autocast(device, self.precision):
            early = network.early_levels(image.to(device))
            if self.blocks is None:
                entered = network.last_level(early)
            else:
                entered = early.stride8
                for block in self.blocks:
                    entered = block(entered)
        # In bfloat16, the decoder loses accuracy.
        early = _with_laterals(network, EarlyLevels(*map(_in_floats, early)))
        return FixedFeatures(entered, early)


def _in_floats(level: Tensor | ByteMap | None) -> Any:
    return level if level is None or isinstance(level, ByteMap) else level.float()


def _with_laterals(network: TargetNet, early: EarlyLevels) -> EarlyLevels:
    """Return levels as they are kept where the decoder's lateral layers do not change."""
    halved = F.avg_pool2d(early.stride8, 2, ceil_mode=True)
    f2, f4, f8 = (
        layer(as_floats(level).float())
        for layer, level in zip(network.decoder.outline_laterals(), early[:3], strict=True)
    )
    return EarlyLevels(f2, f4, f8, early.semantic, halved)
