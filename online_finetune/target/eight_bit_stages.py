"""Which stages of the backbone are computed in 8 bits while the objects of a video are tracked."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from vostrack.compute.precision import Precision, has_fast_bf16
from vostrack.models.eight_bit import EightBitStages, Ranges, fits_eight_bits, has_fast_int8
from vostrack.models.target_net import TargetNet

__all__ = ["EARLY", "WHOLE", "measured", "uses_eight_bits", "with_eight_bits"]

EARLY = (4, 8)
"""Strides of the stages that fine-tuning does not change."""

WHOLE = (4, 8, 16)
"""Strides of all stages that can be computed in 8 bits."""


def uses_eight_bits(network: TargetNet, device: torch.device, precision: Precision) -> bool:
    """Tell whether stages of a network are to be computed in 8 bits.

    Args:
        network: any.
        device: of the computation.
        precision: only ``auto`` chooses 8 bits, on CPUs without bfloat16 units.
    """
    return (
        precision == "auto"
        and device.type == "cpu"
        and not has_fast_bf16(device)
        and fits_eight_bits(network.backbone)
        and has_fast_int8()
    )


def measured(network: TargetNet, window: Tensor, strides: Sequence[int]) -> Ranges:
    """Return the ranges of some stages on a window (1, 3, H, W) of the first frame, in [0, 1]."""
    return EightBitStages.measure(network.backbone, network.normalized(window), strides)


def with_eight_bits(network: TargetNet, ranges: Ranges) -> TargetNet:
    """Return the same network, with some stages in 8 bits. All weights are shared.

    Args:
        network: not changed.
        ranges: of the stages; none for the network as it is.
    """
    if not ranges:
        return network
    changed = copy.copy(network)
    changed.eight_bit = EightBitStages(network.backbone, ranges)
    return changed
