"""Feature extractors with five levels, from stride 2 to stride 16 or 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models.backbones import Backbone, build_backbone

__all__ = [
    "DisplacementBackbone",
    "LightBackbone",
    "build_displacement_backbone",
    "fill_displacement_backbone",
]

DisplacementBackbone = Literal["light", "resnet50", "resnet101"]


def _conv(channels: int, width: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(width),
    )


class _Residual(nn.Module):
    """Two convolutions with a residual connection."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class LightBackbone(nn.Module):
    """A small residual network for label maps: 0.93 million parameters, strides 2 to 32.

    The receptive field of the deepest level is 460 pixels, larger than most objects.

    Attributes:
        channels: of the five levels.
    """

    channels = (16, 32, 64, 96, 96)
    _DILATIONS: Sequence[Sequence[int]] = ((), (1,), (1,), (1, 2), (1, 2))

    def __init__(self) -> None:
        super().__init__()
        previous = 3
        self.stages = nn.ModuleList()
        for width, dilations in zip(self.channels, self._DILATIONS, strict=True):
            blocks = [_Residual(width, dilation) for dilation in dilations]
            self.stages.append(nn.Sequential(_conv(previous, width, stride=2), nn.ReLU(), *blocks))
            previous = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the five levels of (B, 3, H, W)."""
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels


def build_displacement_backbone(name: DisplacementBackbone) -> tuple[nn.Module, tuple[int, ...]]:
    """Build a backbone with random weights.

    The last stage of a ResNet keeps stride 16, so that small objects stay apart.

    Returns:
        A module from (B, 3, H, W) to five levels, and their channels.
    """
    if name == "light":
        light = LightBackbone()
        return light, light.channels
    backbone = build_backbone(name, strides=(2, 4, 8, 16, 32))
    for module in backbone.layers.get_submodule("layer4").modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (1, 1)
    return backbone, backbone.channels


def fill_displacement_backbone(
    backbone: nn.Module, name: DisplacementBackbone, weights: str
) -> None:
    """Fill a ResNet backbone with trained weights, in place.

    Args:
        backbone: built by ``build_displacement_backbone``.
        name: of that backbone.
        weights: ``imagenet`` (torchvision's, downloaded once), ``none``, or the file of a state
            dict with torchvision's names.

    Raises:
        InputError: the weights cannot be loaded or do not fit, or the backbone is the light one,
            which has none.
    """
    from vostrack.models.foreground import NetworkConfig
    from vostrack.models.weights import initialise

    if weights == "none":
        return
    if not isinstance(backbone, Backbone) or name == "light":
        raise InputError(
            f"weights: expected none with the light backbone, which learns from scratch, got "
            f"{weights!r}; leave `weights` out"
        )
    source = initialise(NetworkConfig(name, strides=(2, 4, 8, 16, 32)), weights)
    if source.config.norm != "frozen":
        raise InputError(
            f"weights: {weights} has batch normalisation folded away; give torchvision's own"
        )
    backbone.layers.load_state_dict(source.backbone.layers.state_dict())
