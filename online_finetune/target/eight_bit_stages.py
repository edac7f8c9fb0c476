"""Which stages of the backbone are computed in 8 bits while the objects of a video are tracked."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from vostrack.compute.precision import Precision, autocast
from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.byte_layers import with_byte_layers
from vostrack.models.eight_bit import EightBitStages, Ranges, fits_eight_bits
from vostrack.models.eight_bit_mobilenet import EightBitMobileNet
from vostrack.models.memory_reader import ByteMemoryReader
from vostrack.models.target_net import TargetNet

__all__ = [
    "EARLY",
    "WHOLE",
    "measured",
    "ranges_of",
    "tracking_autocast",
    "uses_eight_bits",
    "with_byte_layers_above",
    "with_eight_bits",
]

EARLY = (4, 8)
"""Strides of the stages that fine-tuning does not change."""

WHOLE = (4, 8, 16)
"""Strides of all stages that can be computed in 8 bits."""

# Where the ranges of the second backbone are kept among those of the stages of the first.
_SECOND = 0


def uses_eight_bits(network: TargetNet, device: torch.device, precision: Precision) -> bool:
    """Tell whether stages of a network are to be computed in 8 bits.

    Args:
        network: any.
        device: of the computation.
        precision: only ``auto`` chooses 8 bits, on CPUs.
    """
    return (
        precision == "auto"
        and device.type == "cpu"
        and fits_eight_bits(network.backbone)
        and has_fast_int8()
    )


def tracking_autocast(
    network: TargetNet, device: torch.device, precision: Precision
) -> AbstractContextManager[None]:
    """Return the autocast context for the features of a frame that is tracked.

    Beside stages in 8 bits the rest is float32, on processors with bfloat16 units, too: bfloat16
    saves no time there, and without it results do not depend on such units.

    Args:
        network: any.
        device: of the computation.
        precision: what is asked for.
    """
    return autocast(device, "fp32" if network.eight_bit is not None else precision)


def measured(network: TargetNet, window: Tensor, strides: Sequence[int]) -> Ranges:
    """Return the ranges of activations on a window (1, 3, H, W) of the first frame, in [0, 1].

    Args:
        network: one for which ``uses_eight_bits`` holds.
        window: what to measure on.
        strides: of the stages to compute in 8 bits; a second backbone is among them always.

    Returns:
        By stride of the stage; those of the second backbone under 0.
    """
    ranges = EightBitStages.measure(network.backbone, network.normalized(window), strides)
    if network.semantic is not None:
        second = network.semantic.backbone
        ranges[_SECOND] = EightBitMobileNet.measure(second.features, second.scaled(window))
    return ranges


def with_eight_bits(network: TargetNet, ranges: Ranges) -> TargetNet:
    """Return the same network, with some stages in 8 bits. All weights are shared.

    Args:
        network: not changed.
        ranges: of the stages, from ``measured``; none for the network as it is.
    """
    if not ranges:
        return network
    changed = copy.copy(network)
    stages = {stride: found for stride, found in ranges.items() if stride != _SECOND}
    changed.eight_bit = EightBitStages(network.backbone, stages)
    if network.semantic is not None and _SECOND in ranges:
        features = network.semantic.backbone.features
        changed.eight_bit_semantic = EightBitMobileNet(features, ranges[_SECOND])
    return changed


def ranges_of(network: TargetNet) -> dict[int, tuple[float, ...]]:
    """Return the ranges that ``with_eight_bits`` was given; none without 8 bits."""
    if network.eight_bit is None:
        return {}
    second = network.eight_bit_semantic
    return network.eight_bit.ranges | ({} if second is None else {_SECOND: second.ranges})


def with_byte_layers_above(network: TargetNet) -> TargetNet:
    """Return the same network with the layers above the backbones in 8 bits, if stages are.

    Args:
        network: not changed; its weights must not change any more.
    """
    if network.eight_bit is None:
        return network
    decoder, encoder = network.decoder, network.encoder
    # Layers of one tap, and those of few channels, take as long in bytes.
    small = [encoder.steps, encoder.context, decoder.reduce, decoder.lateral[3]]
    kept: list[nn.Module] = [network.backbone, network.labels, network.embedding, *small]
    if network.semantic is not None:
        kept.append(network.semantic)
    changed = with_byte_layers(network, kept, signed=[decoder.enter])
    for name in ("first_reader", "recent_reader"):
        changed._modules[name] = ByteMemoryReader(getattr(network, name))
    return changed
