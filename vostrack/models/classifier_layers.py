"""Layers of ResNet (He et al. 2016) and MobileNetV2 (Sandler et al. 2018), as in torchvision.

Importing torchvision takes longer, and more memory, than all else that tracking needs. The layers
have torchvision's names, so its weights fit, and the outputs are the same. So are the random
weights of a seed: all layers are drawn, also those that are not kept.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["BasicBlock", "Bottleneck", "MobileNetLayers", "ResNetLayers"]

Norm = Callable[[int], nn.Module]

_DEPTHS: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}
_CLASSES = 1000
# Expansion, channels, blocks and stride of each group of MobileNetV2 (its table 2).
_GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(
        self, channels: int, width: int, stride: int, shortcut: nn.Module | None, norm: Norm
    ) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 3, stride)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = norm(width)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, ceil(H / stride), ceil(W / stride))."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, beside a shortcut. It has the stride."""

    expansion = 4

    def __init__(
        self, channels: int, width: int, stride: int, shortcut: nn.Module | None, norm: Norm
    ) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 1)
        self.bn1 = norm(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = norm(width)
        self.conv3 = _conv(width, width * self.expansion, 1)
        self.bn3 = norm(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4 width, ceil(H / stride), ceil(W / stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class ResNetLayers(nn.Module):
    """The layers of a ResNet, without its classifier.

    Args:
        name: ``resnet18``, ``resnet34``, ``resnet50``, ``resnet101`` or ``resnet152``.
        norm: makes a normalisation for so many channels.
    """

    def __init__(self, name: str, norm: Norm) -> None:
        super().__init__()
        kind, depths = _DEPTHS[name]
        block = BasicBlock if kind == "basic" else Bottleneck
        self.expansion = block.expansion
        self.conv1 = _conv(3, 64, 7, 2)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for index in range(4):
            width, stride = 64 * 2**index, 1 if index == 0 else 2
            blocks = []
            for place in range(depths[index]):
                step, wide = stride if place == 0 else 1, width * block.expansion
                shortcut = None
                if step != 1 or channels != wide:
                    shortcut = nn.Sequential(_conv(channels, wide, 1, step), norm(wide))
                blocks.append(block(channels, width, step, shortcut, norm))
                channels = wide
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        nn.Linear(channels, _CLASSES)
        _initialise(self)


class _InvertedResidual(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, expansion: int, norm: Norm) -> None:
        super().__init__()
        inner = channels * expansion
        layers = [_activated(channels, inner, 1, 1, 1, norm)] if expansion != 1 else []
        layers.append(_activated(inner, inner, 3, stride, inner, norm))
        self.conv = nn.Sequential(*layers, _conv(inner, width, 1), norm(width))
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetLayers(nn.Module):
    """The layers of MobileNetV2, without its classifier.

    Args:
        norm: makes a normalisation for so many channels.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = [_activated(3, 32, 3, 2, 1, norm)]
        channels = 32
        for expansion, width, blocks, stride in _GROUPS:
            for place in range(blocks):
                step = stride if place == 0 else 1
                layers.append(_InvertedResidual(channels, width, step, expansion, norm))
                channels = width
        layers.append(_activated(channels, 1280, 1, 1, 1, norm))
        self.features = nn.Sequential(*layers)
        classifier = nn.Linear(1280, _CLASSES)
        _initialise(self)
        nn.init.normal_(classifier.weight, 0, 0.01)


def _conv(channels: int, width: int, side: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = (side - 1) // 2
    return nn.Conv2d(
        channels, width, side, stride=stride, padding=padding, groups=groups, bias=False
    )


def _activated(
    channels: int, width: int, side: int, stride: int, groups: int, norm: Norm
) -> nn.Sequential:
    conv = _conv(channels, width, side, stride, groups)
    return nn.Sequential(conv, norm(width), nn.ReLU6(inplace=True))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
