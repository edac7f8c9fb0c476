"""The blocks of MobileNetV2 in 8 bits; see ``byte_convolution``.

What is added from block to block stays in float32, with a zero that lies anywhere between the
bytes; what is inside a block is at least 0 and at most 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vostrack.models.byte_convolution import LARGEST_BYTE, MARGIN, ByteConvolution, to_bytes
from vostrack.models.deeplab_mobilenetv2 import SameConv

__all__ = ["EightBitMobileNet"]

# The first convolution sees colours, and the block behind it is no faster in bytes.
_IN_FLOATS = 2

# ReLU6 ends here.
_CEILING = 6.0


class EightBitMobileNet:
    """The layers ``DeepLabMobileNetV2.features``, from float32 to float32; no gradients.

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
        self._first = layers[:_IN_FLOATS]
        self._blocks = [
            _Block(block, self.ranges[4 * number : 4 * number + 4])
            for number, block in enumerate(layers[_IN_FLOATS:])
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
        for layer in layers[:_IN_FLOATS]:
            x = layer(x)
        for block in layers[_IN_FLOATS:]:
            # As the block does, but what is inside is seen.
            widened = block.conv[0](x)
            filtered = block.conv[1](widened)
            found += [x.amin(), x.amax(), widened.amax(), filtered.amax()]
            y = block.conv[2](filtered)
            x = y.add_(x) if block.residual else y
        return tuple(torch.stack(found).tolist())

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Compute the feature maps (B, 320, h, w) of images (B, 3, H, W) in [-1, 1]."""
        x = image
        for layer in self._first:
            x = layer(x)
        for block in self._blocks:
            x = block(x)
        return x

    def __deepcopy__(self, memo: dict[int, Any]) -> EightBitMobileNet:
        """Return this one: nothing in it ever changes."""
        return self


def _layers(features: nn.Sequential) -> list[Any]:
    """Return the layers; torch does not tell of which types they are."""
    return list(features)


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
    """A depthwise convolution with a rectifier, whose padding depends on the size of the map."""

    def __init__(self, conv: SameConv, input_scale: float, output_scale: float) -> None:
        self.conv, self.scales = conv, (input_scale, output_scale)
        self.made: dict[tuple[tuple[int, int], tuple[int, int]], ByteConvolution] = {}

    def __call__(self, x: Tensor) -> Tensor:
        zeros = self.conv.zeros_around(x.shape[-2:])
        if zeros not in self.made:
            self.made[zeros] = ByteConvolution(self.conv.plain(x.shape[-2:]), *self.scales)
        return self.made[zeros].relu(x)
