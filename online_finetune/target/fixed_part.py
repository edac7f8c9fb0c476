"""What fine-tuning does not change of the backbone: computed once for each altered frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
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
        early: the levels at strides 2, 4 and 8, in fewer bytes.
        semantic: of the second backbone; None without one.
    """

    entered: Tensor
    early: tuple[Tensor | ByteMap, ...]
    semantic: Tensor | None

    def levels(self) -> EarlyLevels:
        """Return the early levels in float32; the first stays in bytes where it is in bytes."""
        first = self.early[0]
        f2 = first if isinstance(first, ByteMap) else first.float()
        f4, f8 = (as_floats(x).float() for x in self.early[1:])
        return EarlyLevels(f2, f4, f8, None if self.semantic is None else self.semantic.float())


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
        # A quarter of the bytes where levels are bytes by nature, and half of them elsewhere.
        scales: tuple[float | None, ...] = (None, None, None)
        if network.eight_bit is not None and network.reads_bytes:
            scales = network.eight_bit.early_scales
        kept = tuple(map(_in_fewer_bytes, early[:3], scales))
        semantic = None if early.semantic is None else _in_half(early.semantic)
        return FixedFeatures(entered, kept, semantic)


def _in_fewer_bytes(level: Tensor | ByteMap, step: float | None) -> Tensor | ByteMap:
    """Return a level in bytes, if it is made of bytes times ``step``, else in half precision."""
    if isinstance(level, ByteMap):
        return level
    if step is None:
        return _in_half(level)
    return ByteMap((level * (1 / step)).round_().to(torch.uint8), step)


def _in_half(level: Tensor) -> Tensor:
    return level.half() if level.dtype == torch.float32 else level
