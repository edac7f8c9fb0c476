"""torchvision's MobileNetV3 as a backbone: an example of a plug-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vostrack.models.backbone_registry import BackboneEntry

if TYPE_CHECKING:
    import torch

    from vostrack.models.backbones import Backbone

# Of each size and stride: the first layer of torchvision's `features`, the one after the last, and
# the number of channels. The last expansion is for classification only and is left out.
_STAGES = {
    "large": {
        2: (0, 2, 16),
        4: (2, 4, 24),
        8: (4, 7, 40),
        16: (7, 13, 112),
        32: (13, 16, 160),
    },
    "small": {
        2: (0, 1, 16),
        4: (1, 2, 16),
        8: (2, 4, 24),
        16: (4, 9, 48),
        32: (9, 12, 96),
    },
}


@dataclass(frozen=True)
class MobileNetV3Options:
    """Options of the backbone."""

    size: Literal["large", "small"] = "large"
    """Which of torchvision's two networks."""

    weights: Path | None = None
    """State dict of torchvision's network to begin with; random weights without it. Files of
    trained networks do not keep a path."""


def build(options: MobileNetV3Options, strides: Sequence[int], device: torch.device) -> Backbone:
    """Build the backbone. Large libraries are loaded here, not with the module."""
    import torch
    import torchvision
    from torch import Tensor, nn

    from vostrack.models.backbones import Backbone
    from vostrack.models.normalization import FrozenBatchNorm2d

    stages = _STAGES[options.size]

    class MobileNetV3(Backbone):
        """The layers up to the last stride that is wanted."""

        def stage(self, x: Tensor, stride: int) -> Tensor:
            """Compute the feature map at ``stride`` from the one at half the stride."""
            return self.stage_layers(stride)(x)  # type: ignore[no-any-return]

        def stage_layers(self, stride: int) -> nn.Module:
            """Return the layers of ``stage``, whose parameters it has."""
            first, last, _ = stages[stride]
            return self.layers.features[first:last]  # type: ignore[index, no-any-return]

    network = torchvision.models.get_model(
        f"mobilenet_v3_{options.size}", weights=None, norm_layer=FrozenBatchNorm2d
    )
    if options.weights is not None:
        network.load_state_dict(torch.load(options.weights, map_location="cpu"))
    layers = nn.ModuleDict({"features": network.features[: stages[strides[-1]][1]]})
    return MobileNetV3(layers, strides, [stages[stride][2] for stride in strides])


ENTRY = BackboneEntry(MobileNetV3Options, build)
"""What the entry point in pyproject.toml refers to."""
