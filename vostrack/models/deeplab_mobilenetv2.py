"""DeepLabv3 on MobileNetV2 (Chen et al. 2017; Sandler et al. 2018), without batch normalisation.

The public weights have batch normalisation folded into each convolution, so every layer here is a
plain convolution with a bias. The network follows the TensorFlow conventions that the weights were
trained with: inputs in [-1, 1], SAME padding, a 513 x 513 canvas, corner-aligned upsampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vostrack.errors import InputError
from vostrack.models.image_input import check_images
from vostrack.models.weights_file import UndrawnWeights, read_state_dict

__all__ = [
    "DeepLabMobileNetV2",
    "InvertedResidual",
    "SameConv",
    "load_deeplab_mobilenetv2",
]

_CANVAS = 513
# Expansion, output channels, stride of the first block, dilation of each depthwise convolution.
_STAGES = (
    (1, 16, 1, (1,)),
    (6, 24, 2, (1, 1)),
    (6, 32, 2, (1, 1, 1)),
    (6, 64, 2, (1, 1, 1, 1)),
    (6, 96, 1, (1, 1, 1)),
    # Stride 16 is kept here. The following blocks use dilation instead of stride 32.
    (6, 160, 1, (1, 2, 2)),
    (6, 320, 1, (2,)),
)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: an odd pixel goes to the right or bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, h, w)."""
        rows, columns = self.zeros_around(x.shape[-2:])
        if not self._fits_kernel(rows, columns):
            return super().forward(functional.pad(x, (*columns, *rows)))
        return functional.conv2d(
            x,
            self._lengthened(rows, columns),
            self.bias,
            self.stride,
            (rows[1], columns[1]),
            self.dilation,
            self.groups,
        )

    def zeros_around(self, size: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the zeros above and below, left and right of a map of ``size`` = h and w."""
        return self._pads(size[0], -2), self._pads(size[1], -1)

    def plain(self, size: Sequence[int]) -> nn.Conv2d:
        """Return the usual convolution that does the same on maps of ``size``.

        Raises:
            ValueError: none does.
        """
        rows, columns = self.zeros_around(size)
        if not self._fits_kernel(rows, columns):
            raise ValueError(f"no symmetric padding fits dilation {self.dilation} at {size}")
        weight = self._lengthened(rows, columns)
        like = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            (weight.shape[2], weight.shape[3]),
            (self.stride[0], self.stride[1]),
            (rows[1], columns[1]),
            (self.dilation[0], self.dilation[1]),
            self.groups,
            device="meta",
        )
        like.weight = nn.Parameter(weight.detach(), requires_grad=False)
        like.bias = self.bias
        return like

    def _fits_kernel(self, rows: tuple[int, int], columns: tuple[int, int]) -> bool:
        """Tell whether zeros before the kernel can make the padding the same on either side."""
        uneven = rows[1] - rows[0], columns[1] - columns[0]
        return not any(extra % step for extra, step in zip(uneven, self.dilation, strict=True))

    def _lengthened(self, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
        """Return the kernel with zeros in front, so that both sides need the same: no copy of x."""
        top = (rows[1] - rows[0]) // self.dilation[0]
        left = (columns[1] - columns[0]) // self.dilation[1]
        return functional.pad(self.weight, (left, 0, top, 0)) if top or left else self.weight

    def _pads(self, size: int, axis: int) -> tuple[int, int]:
        """Return the zeros before and after a side of ``size``."""
        extent = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        reach = (-(-size // self.stride[axis]) - 1) * self.stride[axis] + extent
        total = max(reach - size, 0)
        return total // 2, total - total // 2


def _conv(
    channels: int, width: int, size: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    layer = SameConv(channels, width, size, stride, dilation=dilation, groups=groups)
    return nn.Sequential(layer, nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(
        self, channels: int, width: int, stride: int, expansion: int, dilation: int
    ) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv(channels, hidden)]
        layers.append(_conv(hidden, hidden, 3, stride, dilation, groups=hidden))
        layers.append(nn.Conv2d(hidden, width, 1))
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, D, h', w')."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class DeepLabMobileNetV2(nn.Module):
    """DeepLabv3 with a MobileNetV2 backbone: class logits of an image.

    Args:
        classes: number of classes L, background first; 21 for PASCAL VOC.
    """

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, 2)]
        channels = 32
        for expansion, width, first_stride, dilations in _STAGES:
            for block, dilation in enumerate(dilations):
                stride = first_stride if block == 0 else 1
                layers.append(InvertedResidual(channels, width, stride, expansion, dilation))
                channels = width
        self.classes = classes
        self.features = nn.Sequential(*layers)
        self.aspp = nn.ModuleDict({"pool": nn.Conv2d(320, 256, 1), "conv": nn.Conv2d(320, 256, 1)})
        self.project = nn.Conv2d(512, 256, 1)
        self.classifier = nn.Conv2d(256, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Compute class logits for every pixel.

        The image is scaled to the square canvas, whatever its aspect ratio.

        Args:
            image: (B, 3, H, W) float RGB in [0, 1].

        Returns:
            (B, L, H, W) logits.

        Raises:
            InputError: the image is not (B, 3, H, W).
        """
        check_images(image, "DeepLabMobileNetV2")
        height, width = image.shape[-2:]
        canvas = functional.interpolate(
            image,
            (_CANVAS, _CANVAS),
            mode="bilinear",
            align_corners=False,
            antialias=max(height, width) > _CANVAS,
        )
        scores = self._canvas_scores(canvas * 2 - 1)
        return functional.interpolate(scores, (height, width), mode="bilinear", align_corners=False)

    def _canvas_scores(self, canvas: Tensor) -> Tensor:
        """Compute logits (B, L, 513, 513) of canvases (B, 3, 513, 513) in [-1, 1]."""
        x = self.features(canvas)
        pooled = functional.relu(self.aspp["pool"](x.mean((2, 3), keepdim=True)))
        local = functional.relu(self.aspp["conv"](x))
        joined = torch.cat([pooled.expand_as(local), local], dim=1)
        scores = self.classifier(functional.relu(self.project(joined)))
        return functional.interpolate(
            scores, canvas.shape[-2:], mode="bilinear", align_corners=True
        )


def load_deeplab_mobilenetv2(path: str | Path) -> DeepLabMobileNetV2:
    """Load a network whose weights have batch normalisation folded in.

    Args:
        path: a state dict, ``.pt``, ``.pth`` or ``.safetensors``.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the file does not exist or does not contain this network.
    """
    path = Path(path)
    state = read_state_dict(path)
    try:
        with UndrawnWeights():
            network = DeepLabMobileNetV2(classes=len(state["classifier.bias"]))
        network.load_state_dict(state)
    except (RuntimeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"semantic weights: {path}: expected a state dict of DeepLabv3-MobileNetV2 with folded "
            f"batch normalisation ({reason}); check the path"
        ) from None
    return network.eval()
