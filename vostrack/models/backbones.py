"""Image classification networks as feature extractors at strides 2 to 32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.models.backbone_registry import BACKBONES, OWN_BACKBONES, backbone_settings
from vostrack.models.classifier_layers import MobileNetLayers, ResNetLayers
from vostrack.models.normalization import FrozenBatchNorm2d, fold_batch_norm
from vostrack.models.plug_in_backbones import try_backbone
from vostrack.models.weights_file import UndrawnWeights

__all__ = ["Backbone", "BackboneName", "NormKind", "build_backbone", "build_own_backbone"]

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]
NormKind = Literal["frozen", "folded"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The range of layers of MobileNetV2's `features` for each stride. The last 1x1 expansion to 1280
# channels is for classification only and is left out.
_MOBILENET_SLICES = {2: (0, 2), 4: (2, 4), 8: (4, 7), 16: (7, 14), 32: (14, 18)}
_RESNET_LAYERS = {4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"}


class Backbone(nn.Module, ABC):
    """A network that computes one feature map per stride.

    Attributes:
        layers: the layers, with torchvision's names.
        strides: ascending strides of the feature maps that ``forward`` returns.
        channels: number of channels of each of these maps.
    """

    def __init__(self, layers: nn.Module, strides: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.layers = layers
        self.strides = tuple(strides)
        self.channels = tuple(channels)

    @abstractmethod
    def stage(self, x: Tensor, stride: int) -> Tensor:
        """Compute the feature map at ``stride`` from the one at half the stride."""

    @abstractmethod
    def stage_layers(self, stride: int) -> nn.Module:
        """Return the layers of ``stage``, whose parameters it has."""

    @property
    def last_stage(self) -> nn.Module:
        """The layers between the two largest strides."""
        return self.stage_layers(self.strides[-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the feature maps.

        Args:
            image: (B, 3, H, W), ImageNet-normalised.

        Returns:
            One (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i])) map per stride.
        """
        features = []
        x, stride = image, 1
        while stride < self.strides[-1]:
            stride *= 2
            x = self.stage(x, stride)
            if stride in self.strides:
                features.append(x)
        return features


class ResNetBackbone(Backbone):
    """torchvision's ResNet up to the largest requested stride."""

    def stage(self, x: Tensor, stride: int) -> Tensor:
        """Compute the feature map at ``stride`` from the one at half the stride."""
        layers = self.layers
        if stride == 2:
            return layers.relu(layers.bn1(layers.conv1(x)))  # type: ignore[operator, no-any-return]
        if stride == 4:
            x = layers.maxpool(x)  # type: ignore[operator]
        return getattr(layers, _RESNET_LAYERS[stride])(x)  # type: ignore[no-any-return]

    def stage_layers(self, stride: int) -> nn.Module:
        """Return the layers of ``stage``, whose parameters it has."""
        if stride == 2:
            return nn.ModuleList([self.layers.conv1, self.layers.bn1])  # type: ignore[list-item]
        layers: nn.Module = getattr(self.layers, _RESNET_LAYERS[stride])
        return layers


class MobileNetBackbone(Backbone):
    """torchvision's MobileNetV2 up to the largest requested stride."""

    def stage(self, x: Tensor, stride: int) -> Tensor:
        """Compute the feature map at ``stride`` from the one at half the stride."""
        first, last = _MOBILENET_SLICES[stride]
        for layer in self.layers.features[first:last]:  # type: ignore[index]
            x = layer(x)
        return x

    def stage_layers(self, stride: int) -> nn.Module:
        """Return the layers of ``stage``, whose parameters it has."""
        first, last = _MOBILENET_SLICES[stride]
        return nn.ModuleList(self.layers.features[first:last])  # type: ignore[index]


def build_backbone(
    name: str,
    strides: Sequence[int] = (8, 16, 32),
    norm: NormKind = "frozen",
    *,
    options: Mapping[str, OptionValue] | None = None,
    device: torch.device | None = None,
) -> Backbone:
    """Build a backbone. The package's own have random weights; see ``vostrack.models.weights``.

    Args:
        name: one of ``BACKBONES``: torchvision's name of a network, or the name of a plug-in.
        strides: ascending strides from 2, 4, 8, 16, 32. Layers after the last one are left out.
        norm: ``frozen`` keeps batch normalisation with fixed statistics and a trainable affine
            part; ``folded`` merges it into the convolutions. A plug-in is left as it is.
        options: fields of its options that are not left at their defaults.
        device: where it will run, by default the CPU. Only plug-ins are told.

    Raises:
        InputError: the name, the strides, the norm or an option is not supported, or a plug-in
            fails or gives other feature maps than it should.
    """
    settings = backbone_settings(name, options or {})
    if not strides or list(strides) != sorted(set(strides)) or set(strides) - {2, 4, 8, 16, 32}:
        raise InputError(
            f"strides: expected ascending values from 2, 4, 8, 16, 32, got {tuple(strides)}"
        )
    if norm not in get_args(NormKind):
        raise InputError(f"norm: expected one of {', '.join(get_args(NormKind))}, got {norm!r}")
    where = device or torch.device("cpu")
    backbone = BACKBONES.build(name, settings, tuple(strides), where)
    if not isinstance(backbone, Backbone):
        raise InputError(
            f"backbone: the plug-in {name!r} built a {type(backbone).__name__}; expected a "
            "subclass of vostrack.models.backbones.Backbone"
        )
    if name not in OWN_BACKBONES:
        try_backbone(backbone, strides, filled=not UndrawnWeights.active())
    elif norm == "folded":
        fold_batch_norm(backbone.layers)
    return backbone


def build_own_backbone(name: str, strides: Sequence[int]) -> Backbone:
    """Build one of the package's own backbones, with frozen batch normalisation."""
    build = _build_mobilenet if name == "mobilenet_v2" else _build_resnet
    return build(name, strides)


def _build_resnet(name: str, strides: Sequence[int]) -> Backbone:
    layers = ResNetLayers(name, FrozenBatchNorm2d)
    width = {2: 64} | {s: 64 * 2**i * layers.expansion for i, s in enumerate((4, 8, 16, 32))}
    for stride, layer in _RESNET_LAYERS.items():
        if stride > strides[-1]:
            delattr(layers, layer)
    return ResNetBackbone(layers, strides, [width[s] for s in strides])


def _build_mobilenet(name: str, strides: Sequence[int]) -> Backbone:
    layers = MobileNetLayers(FrozenBatchNorm2d)
    layers.features = layers.features[: _MOBILENET_SLICES[strides[-1]][1]]
    width = {2: 16, 4: 24, 8: 32, 16: 96, 32: 320}
    return MobileNetBackbone(layers, strides, [width[s] for s in strides])
