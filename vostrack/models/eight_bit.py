"""Stages of a residual backbone in 8 bits, for processors that multiply bytes faster than floats.

Activations are bytes with one scale per tensor, weights are signed bytes with one scale per output
channel (Jacob et al. 2018, "Quantization and training of neural networks"). The scales of the
activations come from an image of the video itself, so any trained backbone can be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
from vostrack.models.byte_convolution import (
    LARGEST_BYTE,
    MARGIN,
    ByteConvolution,
    pooled,
    rectified_to_bytes,
)
from vostrack.models.byte_map import ByteMap
from vostrack.models.classifier_layers import BasicBlock

__all__ = ["EightBitStages", "Ranges", "fits_eight_bits"]

# Largest activations of a stage: of its input, then two of each block.
Ranges = Mapping[int, Sequence[float]]


class EightBitStages:
    """Stages of a backbone, computed in 8 bits between float32 feature maps.

    Attributes:
        ranges: by stride of the stage, the largest activations that the scales were made from.
    """

    def __init__(self, backbone: Backbone, ranges: Ranges) -> None:
        """Convert the weights.

        Args:
            backbone: one for which ``fits_eight_bits`` holds; it is not changed.
            ranges: from ``measure``, for the stages to convert.
        """
        self.ranges = {stride: tuple(values) for stride, values in ranges.items()}
        self._stages = {
            stride: _Stage(_blocks(backbone, stride), values)
            for stride, values in self.ranges.items()
        }
        self._first = None
        if {4, 8} <= set(self._stages):
            conv = backbone.layers.conv1
            assert isinstance(conv, nn.Conv2d)
            self._first = _FirstConvolution(conv, self._stages[4].scales[0])

    @staticmethod
    @torch.no_grad()
    def measure(
        backbone: Backbone, image: Tensor, strides: Sequence[int]
    ) -> dict[int, tuple[float, ...]]:
        """Return the largest activations of some stages on an image.

        Args:
            backbone: one for which ``fits_eight_bits`` holds.
            image: (1, 3, H, W), as the backbone takes it.
            strides: of consecutive stages from stride 4 on.
        """
        x, ranges = backbone.stage(image, 2), {}
        for stride in strides:
            x = _entered(x, stride)
            found = [x.amax()]
            for block in _blocks(backbone, stride):
                # As the block does, whose normalisation is folded, but what is inside is seen.
                inner = F.relu_(block.conv1(x))
                out = block.conv2(inner)
                x = F.relu_(out.add_(block.downsample(x) if block.downsample else x))
                found += [inner.amax(), x.amax()]
            ranges[stride] = tuple(torch.stack(found).tolist())
        return ranges

    def __contains__(self, stride: int) -> bool:
        """Tell whether the stage of this stride is among them."""
        return stride in self._stages

    def __call__(self, x: Tensor, stride: int) -> Tensor:
        """Compute the feature map at ``stride`` from the one at half the stride; no gradients."""
        with torch.no_grad():
            return self._stages[stride](_entered(x.detach(), stride))

    @property
    def reads_images(self) -> bool:
        """Whether ``early`` can be used: the stages of strides 4 and 8 are among them."""
        return self._first is not None

    @property
    def early_scales(self) -> tuple[float, float, float]:
        """Values of one step of the maps that ``early`` gives, which are bytes times these."""
        four, eight = self._stages[4].scales, self._stages[8].scales
        return four[0], four[-1], eight[-1]

    @torch.no_grad()
    def early(self, image: Tensor) -> tuple[ByteMap, Tensor, Tensor]:
        """Compute the feature maps at strides 2, 4 and 8 of an image, in bytes all the way.

        Args:
            image: (B, 3, H, W) uint8, channels last; sides are even.
        """
        assert self._first is not None
        values = self._first(image)
        f2 = ByteMap(values, self._stages[4].scales[0])
        values, f4 = self._stages[4].bytes_and_floats(pooled(values))
        # What leaves one stage has the scale of what enters the next.
        _, f8 = self._stages[8].bytes_and_floats(values)
        return f2, f4, f8

    def __deepcopy__(self, memo: dict[int, Any]) -> EightBitStages:
        """Return this one: nothing in it ever changes."""
        return self


def fits_eight_bits(backbone: Backbone) -> bool:
    """Tell whether a backbone has stages of basic residual blocks with folded normalisation."""
    layers = backbone.layers
    if not isinstance(getattr(layers, "conv1", None), nn.Conv2d):
        return False
    stages = [getattr(layers, name, None) for name in ("layer1", "layer2", "layer3")]
    blocks = [block for stage in stages if stage is not None for block in stage]
    return all(stage is not None for stage in stages) and all(
        isinstance(block, BasicBlock) and isinstance(block.bn1, nn.Identity) for block in blocks
    )


def _blocks(backbone: Backbone, stride: int) -> list[Any]:
    return list(backbone.stage_layers(stride).children())


def _entered(x: Tensor, stride: int) -> Tensor:
    """Return what the blocks of a stage see of the map before it."""
    return F.max_pool2d(x, 3, stride=2, padding=1) if stride == 4 else x


class _Stage:
    """The residual blocks of a stage."""

    def __init__(self, blocks: Sequence[Any], ranges: Sequence[float]) -> None:
        scales = [max(largest, 1e-6) * MARGIN / LARGEST_BYTE for largest in ranges]
        self.scales = scales[::2]
        self.blocks = [
            (
                ByteConvolution(block.conv1, before, inner),
                ByteConvolution(block.conv2, inner, after),
                ByteConvolution(block.downsample[0], before, 1.0) if block.downsample else None,
            )
            for block, before, inner, after in zip(
                blocks, scales[:-2:2], scales[1::2], scales[2::2], strict=True
            )
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) float32, at least 0, to (B, D, h', w') float32."""
        values = rectified_to_bytes(x, self.scales[0])
        return self.bytes_and_floats(values)[1]

    def bytes_and_floats(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Map bytes (B, C, h, w) to (B, D, h', w'), as bytes and as float32."""
        for (first, second, shortcut), before, after in zip(
            self.blocks, self.scales, self.scales[1:], strict=False
        ):
            inner = first.relu(values)
            if shortcut is None:
                values = second.add(inner, values, before)
            else:
                total = second.floats(inner).add_(shortcut.floats(values)).relu_()
                values = rectified_to_bytes(total, after)
        return values, values.float().mul_(self.scales[-1])


class _FirstConvolution:
    """The first convolution and its rectifier, from the bytes of an image to bytes.

    Mean and deviation of the colours are part of the weights.
    """

    def __init__(self, conv: nn.Conv2d, output_scale: float) -> None:
        mean, std = (
            255 * torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        assert not isinstance(conv.padding, str)
        rows, columns = conv.padding
        self.padding, self.mean = (rows, columns), mean.round().to(torch.uint8)
        (height, width), (down, right) = conv.kernel_size, conv.stride
        like = nn.Conv2d(3, conv.out_channels, (height, width), (down, right), device="meta")
        like.weight = nn.Parameter(conv.weight.detach() / std, requires_grad=False)
        like.bias = nn.Parameter(torch.zeros(conv.out_channels), requires_grad=False)
        self.conv = ByteConvolution(like, 1.0, output_scale)
        # The mean colour gives 0 with the rounded weights, too.
        rounded = self.conv.steps.float() * self.conv.scale.view(-1, 1, 1, 1)
        bias = -(rounded * mean).sum((1, 2, 3))
        self.conv.bias = bias if conv.bias is None else bias + conv.bias.detach()

    def __call__(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) uint8 to (B, C, H / 2, W / 2) uint8."""
        batch, _, height, width = image.shape
        rows, columns = self.padding
        # Normalised images are padded with zeros: with the mean colour, that is.
        padded = self.mean.expand(batch, 3, height + 2 * rows, width + 2 * columns).contiguous(
            memory_format=torch.channels_last
        )
        padded[:, :, rows : rows + height, columns : columns + width] = image
        return self.conv.relu(padded)
