"""Stages of a residual backbone in 8 bits, for processors that multiply bytes faster than floats.

Activations are bytes with one scale per tensor, weights are signed bytes with one scale per output
channel (Jacob et al. 2018, "Quantization and training of neural networks"). The scales of the
activations come from an image of the video itself, so any trained backbone can be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.models.backbones import Backbone
from vostrack.models.classifier_layers import BasicBlock

__all__ = ["EightBitStages", "Ranges", "fits_eight_bits", "has_fast_int8"]

# Processors without VNNI add pairs of products in 16 bits: 2 x 255 x 64 is the most that fits.
_ACTIVATION, _WEIGHT = 255, 64
# Later frames may be brighter than the one that the scales come from.
_MARGIN = 1.1

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
                inner = F.relu(block.conv1(x))
                x = block(x)
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

    def __deepcopy__(self, memo: dict[int, Any]) -> EightBitStages:
        """Return this one: nothing in it ever changes."""
        return self


@lru_cache(maxsize=1)
def has_fast_int8() -> bool:
    """Tell whether this processor and this torch can compute convolutions in 8 bits.

    Only x86 processors with AVX2 or more are known to gain. The operators differ between versions
    of torch, so one convolution is compared with float32.
    """
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(8, 8, 3, padding=1)
    x = torch.rand(1, 8, 6, 6, generator=generator).contiguous(memory_format=torch.channels_last)
    try:
        with torch.no_grad():
            conv.weight.copy_(torch.rand(conv.weight.shape, generator=generator) - 0.5)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # there is one
            wanted = F.relu(conv(x) + x)
            scale = 1 / _ACTIVATION
            whole = _Convolution(conv, scale, float(wanted.max()) / _ACTIVATION)
            found = whole.add(_to_bytes(x, scale), _to_bytes(x, scale), scale)
            return bool((found * whole.output_scale - wanted).abs().max() < 0.05)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False


def fits_eight_bits(backbone: Backbone) -> bool:
    """Tell whether a backbone has stages of basic residual blocks with folded normalisation."""
    layers = backbone.layers
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


def _to_bytes(x: Tensor, scale: float) -> Tensor:
    """Round x / scale to bytes; x is at least 0."""
    return (x * (1 / scale)).add_(0.5).clamp_(max=_ACTIVATION).to(torch.uint8)


class _Stage:
    """The residual blocks of a stage."""

    def __init__(self, blocks: Sequence[Any], ranges: Sequence[float]) -> None:
        scales = [max(largest, 1e-6) * _MARGIN / _ACTIVATION for largest in ranges]
        self.scales = scales[::2]
        self.blocks = [
            (
                _Convolution(block.conv1, before, inner),
                _Convolution(block.conv2, inner, after),
                _Convolution(block.downsample[0], before, 1.0) if block.downsample else None,
            )
            for block, before, inner, after in zip(
                blocks, scales[:-2:2], scales[1::2], scales[2::2], strict=True
            )
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) float32, at least 0, to (B, D, h', w') float32."""
        values = _to_bytes(x.contiguous(memory_format=torch.channels_last), self.scales[0])
        for (first, second, shortcut), before, after in zip(
            self.blocks, self.scales, self.scales[1:], strict=False
        ):
            inner = first.relu(values)
            if shortcut is None:
                values = second.add(inner, values, before)
            else:
                total = second.floats(inner).add_(shortcut.floats(values)).relu_()
                values = _to_bytes(total, after)
        return values.float().mul_(self.scales[-1])


class _Convolution:
    """One convolution of bytes.

    Args:
        conv: the layer.
        input_scale: value of one step of the input.
        output_scale: of the output, where that is bytes.
    """

    def __init__(self, conv: nn.Conv2d, input_scale: float, output_scale: float) -> None:
        weight = conv.weight.detach().float()
        scale = (weight.abs().amax((1, 2, 3)) / _WEIGHT).clamp(min=1e-9)
        steps = (weight / scale.view(-1, 1, 1, 1)).round().to(torch.int8)
        self.input_scale, self.output_scale = input_scale, output_scale
        self.geometry = [list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups]
        self.bias = None if conv.bias is None else conv.bias.detach().clone()
        self.scale, self.zeros = scale, torch.zeros(len(scale), dtype=torch.int32)
        self.steps = steps
        self._pack()

    def _pack(self) -> None:
        self.packed = torch.ops.onednn.qconv_prepack(
            self.steps, self.scale, self.input_scale, 0, *self.geometry
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what only this process can use."""
        return {name: value for name, value in vars(self).items() if name != "packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._pack()

    def _given(self, x: Tensor) -> list[Any]:
        return [x, self.input_scale, 0, self.packed, self.scale, self.zeros]

    def relu(self, x: Tensor) -> Tensor:
        """Convolve bytes to bytes, with a rectifier behind."""
        output = (self.output_scale, 0, torch.uint8)
        return torch.ops.onednn.qconv2d_pointwise(  # type: ignore[no-any-return]
            *self._given(x), self.bias, *self.geometry, *output, "relu", [], ""
        )

    def floats(self, x: Tensor) -> Tensor:
        """Convolve bytes to float32."""
        output = (1.0, 0, torch.float32)
        return torch.ops.onednn.qconv2d_pointwise(  # type: ignore[no-any-return]
            *self._given(x), self.bias, *self.geometry, *output, "none", [], ""
        )

    def add(self, x: Tensor, other: Tensor, other_scale: float) -> Tensor:
        """Convolve bytes and add others, with a rectifier behind; ``other`` is overwritten."""
        output = (self.output_scale, 0, torch.uint8)
        return torch.ops.onednn.qconv2d_pointwise.binary(  # type: ignore[no-any-return]
            *self._given(x),
            other,
            self.bias,
            *self.geometry,
            *output,
            other_scale,
            0,
            "sum",
            1.0,
            "relu",
            [],
            "",
        )
