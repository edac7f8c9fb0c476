"""What fine-tuning does not change of the backbone: computed once for each altered frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vostrack.compute.precision import Precision, autocast
from vostrack.models.target_net import TargetNet

__all__ = ["FixedFeatures", "FixedPart"]


class FixedFeatures(NamedTuple):
    """Feature maps of one image that are kept until the end.

    Attributes:
        entered: what the trained blocks get; without any, the last level.
        early: the early levels, in fewer bytes.
        scales: values of one step of those that are bytes, the first of them.
    """

    entered: Tensor
    early: tuple[Tensor, ...]
    scales: tuple[float, ...]

    def levels(self) -> tuple[Tensor, ...]:
        """Return the early levels in float32."""
        steps = (*self.scales, *[1.0] * (len(self.early) - len(self.scales)))
        return tuple(
            x.float() if step == 1 else x.float() * step
            for x, step in zip(self.early, steps, strict=True)
        )


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
                entered = early[2]
                for block in self.blocks:
                    entered = block(entered)
        scales: tuple[float, ...] = ()
        if network.eight_bit is not None and network.reads_bytes:
            scales = network.eight_bit.early_scales
        # A quarter of the bytes where levels are bytes by nature, and half of them elsewhere.
        kept = [
            (x * (1 / step)).round_().to(torch.uint8)
            for x, step in zip(early, scales, strict=False)
        ]
        rest = early[len(kept) :]
        kept += [x.half() if x.dtype == torch.float32 else x for x in rest]
        return FixedFeatures(entered, tuple(kept), scales)
