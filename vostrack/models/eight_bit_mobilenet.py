"""The blocks of MobileNetV2 in 8 bits; see ``byte_convolution``.

What is added from block to block stays in float32, with a zero that lies anywhere between the
bytes; what is inside a block is at least 0 and at most 6.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vostrack.models.byte_convolution import (
    LARGEST_BYTE,
    MARGIN,
    MIDDLE_BYTE,
    ByteConvolution,
    image_bytes,
    to_bytes,
)
from vostrack.models.deeplab_mobilenetv2 import SameConv

__all__ = ["EightBitMobileNet"]

# The first convolution and the block behind it; all others are blocks that widen their input.
_FIRST = 2

# ReLU6 ends here.
_CEILING = 6.0


class EightBitMobileNet:
    """The layers ``DeepLabMobileNetV2.features``, from pictures to float32; no gradients.

    Attributes:
        ranges: least and largest input of each block, and largest activations of its two inner
            layers, that the scales were made from.
    """

    def __init__(self, features: nn.Sequential, ranges: Sequence[float]) -> None:
        """Convert the weights.

        Args:
            features: the layers; they are not changed.
            ranges: from ``measure``.
        """
        self.ranges = tuple(ranges)
        layers = _layers(features)
        self._first = _FirstLayers(*layers[:_FIRST])
        self._blocks = [
            _Block(block, self.ranges[4 * number : 4 * number + 4])
            for number, block in enumerate(layers[_FIRST:])
        ]

    @staticmethod
    @torch.no_grad()
    def measure(features: nn.Sequential, image: Tensor) -> tuple[float, ...]:
        """Return the ranges of activations on an image.

        Args:
            features: the layers.
            image: (1, 3, H, W) in [-1, 1].
        """
        layers, found, x = _layers(features), [], image
        for layer in layers[:_FIRST]:
            x = layer(x)
        for block in layers[_FIRST:]:
            # As the block does, but what is inside is seen.
            widened = block.conv[0](x)
            filtered = block.conv[1](widened)
            found += [x.amin(), x.amax(), widened.amax(), filtered.amax()]
            y = block.conv[2](filtered)
            x = y.add_(x) if block.residual else y
        return tuple(torch.stack(found).tolist())

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Compute the feature maps (B, 320, h, w) of images (B, 3, H, W), in [0, 1] or bytes."""
        x = self._first(image_bytes(image))
        for block in self._blocks:
            x = block(x)
        return x

    def __deepcopy__(self, memo: dict[int, Any]) -> EightBitMobileNet:
        """Return this one: nothing in it ever changes."""
        return self


def _layers(features: nn.Sequential) -> list[Any]:
    """Return the layers; torch does not tell of which types they are."""
    return list(features)


class _FirstLayers:
    """The first convolution, and the block behind it."""

    def __init__(self, first: Any, block: Any) -> None:
        # What is inside ends at the ceiling; a byte b of a picture stands for 2 / 255 b - 1.
        step, inner = 2 / LARGEST_BYTE, _CEILING / LARGEST_BYTE
        filters, project = block.conv
        colours = copy.copy(first[0])
        colours._parameters = dict(colours._parameters)
        # Halfway between two bytes is 0. The bias makes up for what 128 is more than that.
        over = (MIDDLE_BYTE - LARGEST_BYTE / 2) * step
        bias = first[0].bias + over * first[0].weight.sum((1, 2, 3))
        colours.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.colours = _SameByteConvolution(colours, step, inner, MIDDLE_BYTE)
        self.filter = _SameByteConvolution(filters[0], inner, inner)
        self.project = ByteConvolution(project, inner, 1.0)

    def __call__(self, picture: Tensor) -> Tensor:
        """Map (B, 3, H, W) uint8 to (B, 16, h, w) float32."""
        return self.project.floats(self.filter(self.colours(picture)))


class _Block:
    """An inverted residual block, ``InvertedResidual``."""

    def __init__(self, block: Any, ranges: Sequence[float]) -> None:
        low, high = min(0.0, ranges[0]) * MARGIN, max(ranges[1], 1e-6) * MARGIN
        widened, filtered = (
            min(max(largest, 1e-6) * MARGIN, _CEILING) / LARGEST_BYTE for largest in ranges[2:]
        )
        self.scale = (high - low) / LARGEST_BYTE
        self.zero = round(-low / self.scale)
        self.widen = ByteConvolution(block.conv[0][0], self.scale, widened, self.zero)
        self.filter = _SameByteConvolution(block.conv[1][0], widened, filtered)
        self.project = ByteConvolution(block.conv[2], filtered, 1.0)
        self.residual = block.residual

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) float32 to (B, D, h', w') float32."""
        inner = self.filter(self.widen.relu(to_bytes(x, self.scale, self.zero)))
        y = self.project.floats(inner)
        return y.add_(x) if self.residual else y


class _SameByteConvolution:
    """A convolution with a rectifier, whose padding depends on the size of the map."""

    def __init__(
        self, conv: SameConv, input_scale: float, output_scale: float, input_zero: int = 0
    ) -> None:
        self.conv, self.scales = conv, (input_scale, output_scale, input_zero)
        self.made: dict[tuple[tuple[int, int], tuple[int, int]], ByteConvolution] = {}

    def __call__(self, x: Tensor) -> Tensor:
        zeros = self.conv.zeros_around(x.shape[-2:])
        if zeros not in self.made:
            self.made[zeros] = ByteConvolution(self.conv.plain(x.shape[-2:]), *self.scales)
        return self.made[zeros].relu(x)
