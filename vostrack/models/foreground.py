"""The segmentation network of Cheng et al. (2017): a backbone and a multi-level head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.checks import OptionValue
from vostrack.errors import InputError
from vostrack.models.backbones import Backbone, NormKind, build_backbone
from vostrack.models.image_input import register_imagenet_statistics
from vostrack.models.pointwise import pointwise
from vostrack.models.semantic_backbone import SEMANTIC_CHANNELS, SemanticBackbone

__all__ = ["FusionHead", "NetworkConfig", "SegmentationNet", "TopDownHead", "build_network"]


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of a segmentation network. The defaults are those of Cheng et al. (2017).

    Attributes:
        backbone: name of the backbone.
        strides: strides of the backbone levels that the head uses.
        head: ``fusion`` is the head of the paper, a linear map of the concatenated levels.
            ``topdown`` adds a 3x3 convolution with ReLU after each fusion step, from the deepest
            level up, and a dilated context stage. It yields better edges with a small backbone.
        width: channels of the fused map (128 in the paper).
        norm: how batch normalisation is handled; see ``build_backbone``.
        backbone_options: fields of the backbone's options that are not left at their defaults.
        semantic: whether the head also sees a second backbone that never changes, next to the
            deepest level: ``deeplab`` (see ``SemanticBackbone``) or ``none``, as in the paper.
        semantic_scale: size of the images that it sees, relative to those of the first.
    """

    backbone: str = "resnet101"
    strides: tuple[int, ...] = (8, 16, 32)
    head: Literal["fusion", "topdown"] = "fusion"
    width: int = 128
    norm: NormKind = "frozen"
    backbone_options: Mapping[str, OptionValue] = field(default_factory=dict)
    semantic: Literal["none", "deeplab"] = "none"
    semantic_scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the values that ``build_backbone`` does not.

        Raises:
            InputError: the head or the second backbone is unknown, or the width is below 1.
        """
        if self.semantic not in ("none", "deeplab"):
            raise InputError(f"semantic: expected none or deeplab, got {self.semantic!r}")
        if self.head not in ("fusion", "topdown"):
            raise InputError(f"head: expected fusion or topdown, got {self.head!r}")
        if self.width < 1:
            raise InputError(f"width: expected at least 1 channel, got {self.width}")


def _upsample_like(x: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)


class FusionHead(nn.Module):
    """Linear fusion of the levels: concatenation, 1x1 to ``width``, 1x1 to the outputs.

    Upsampling, concatenation and 1x1 convolutions are linear and commute. Each level is therefore
    reduced to ``width`` channels before it is upsampled, and the levels are summed. This computes
    the same function as figure 2 of the paper with an eighth of the memory.
    """

    # The shallower levels are scaled by this constant, as in the released network, so that the
    # deepest level dominates at the start of training.
    SHALLOW_SCALE = 0.2

    def __init__(self, channels: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(
            pointwise(c, width, bias=i == 0) for i, c in enumerate(channels)
        )
        self.classify = nn.Conv2d(width, outputs, 1)
        for conv in [*self.reduce, self.classify]:
            nn.init.normal_(conv.weight, std=0.01)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features (B, C_i, h_i, w_i), shallow to deep, to logits (B, outputs, h_0, w_0)."""
        fused = self.reduce[-1](features[-1])
        for reduce, feature in zip(
            reversed(self.reduce[:-1]), reversed(features[:-1]), strict=True
        ):
            fused = _upsample_like(fused, feature) + reduce(self.SHALLOW_SCALE * feature)
        return self.classify(fused)  # type: ignore[no-any-return]


class TopDownHead(nn.Module):
    """Top-down fusion of the levels, with a 3x3 convolution and ReLU at each step."""

    def __init__(self, channels: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(pointwise(c, width) for c in channels)
        # With dilations 2 and 4, the deepest level sees the whole object.
        self.context = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in (2, 4)
        )
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels[:-1])
        self.classify = nn.Conv2d(width, outputs, 3, padding=1)
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
        nn.init.normal_(self.classify.weight, std=0.01)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features (B, C_i, h_i, w_i), shallow to deep, to logits (B, outputs, h_0, w_0)."""
        x = F.relu(self.lateral[-1](features[-1]))
        for context in self.context:
            x = x + F.relu(context(x))
        for level in reversed(range(len(features) - 1)):
            skip = self.lateral[level](features[level])
            x = F.relu(self.smooth[level](_upsample_like(x, skip) + skip))
        return self.classify(x)  # type: ignore[no-any-return]


# The features of the second backbone are unit vectors of 320 entries. 8 makes these 0.45 in the
# root mean square; the deepest level of ResNet-18 has 0.25. Three times as much gained nothing.
_SEMANTIC_NORM = 8.0


class SegmentationNet(nn.Module):
    """A backbone and a head: computes class logits at the size of the image.

    Attributes:
        config: the architecture.
        outputs: number of classes, background first.
        semantic: the second backbone, which never changes; None without one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.outputs = outputs
        self.backbone = backbone
        self.semantic: SemanticBackbone | None = None
        channels = list(backbone.channels)
        if config.semantic != "none":
            self.semantic = SemanticBackbone(config.semantic_scale)
            self.semantic.requires_grad_(False)
            channels[-1] += SEMANTIC_CHANNELS
        head = FusionHead if config.head == "fusion" else TopDownHead
        self.head = head(channels, config.width, outputs)
        register_imagenet_statistics(self)

    def forward(self, image: Tensor) -> Tensor:
        """Compute class logits for every pixel.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            Logits (B, outputs, H, W), float32.
        """
        return self.decode(self.features(image), image.shape[-2:])

    def features(self, image: Tensor) -> list[Tensor]:
        """Compute what the head sees of images (B, 3, H, W) in [0, 1], shallow to deep."""
        return self.with_semantic(image, self.backbone((image - self.mean) / self.std))

    def with_semantic(self, image: Tensor, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return what the head sees, from the levels of the backbone for the same images."""
        seen = list(levels)
        if self.semantic is not None:
            semantic = _SEMANTIC_NORM * self.semantic(image, seen[-1].shape[-2:])
            seen[-1] = torch.cat([seen[-1], semantic.to(seen[-1].dtype)], dim=1)
        return seen

    def decode(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Compute class logits (B, outputs, H, W), float32, from the features; ``size`` is H, W."""
        logits = self.head(features).float()
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


def build_network(
    config: NetworkConfig, outputs: int = 2, device: torch.device | None = None
) -> SegmentationNet:
    """Build a segmentation network with random weights, on the CPU.

    Args:
        config: the architecture.
        outputs: number of classes, background first: 2 for one object or the foreground, N + 1 for
            a model of all objects of a video.
        device: where it will run; see ``build_backbone``.

    Raises:
        InputError: the backbone, the strides or the norm are not supported.
    """
    backbone = build_backbone(
        config.backbone,
        config.strides,
        config.norm,
        options=config.backbone_options,
        device=device,
    )
    network = SegmentationNet(config, backbone, outputs)
    return network.to(memory_format=torch.channels_last)
