"""Backbone, displacement head (DFM) and boundary head (CBR); eq. 1, 2 and 14."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models.weights_file import UndrawnWeights, read_described, write_weights
from vostrack.proposers.displacement.backbones import (
    DisplacementBackbone,
    build_displacement_backbone,
)
from vostrack.proposers.displacement.encoding import Encoding, encode_labels, encoding_table

__all__ = [
    "BoundaryHead",
    "DisplacementHead",
    "DisplacementNet",
    "FieldAndBoundary",
    "NetworkConfig",
    "load_displacement_net",
    "save_displacement_net",
]

CELL = 4
"""Side of a cell of the output grid, in input pixels."""

_KEY = "vostrack.displacement"


@dataclass(frozen=True)
class NetworkConfig:
    """Which network.

    Attributes:
        backbone: ``resnet50`` or ``resnet101`` as in the paper, or ``light``, trained from scratch.
        encoding: of the label maps; see ``encoding_table``. A backbone with ImageNet weights needs
            ``palette``.
        widths: channels that the displacement head reduces level 1, level 2 and all others to
            (the paper: 64, 128, 256).
        boundary_width: channels that the boundary head reduces every level to (the paper: 32).
        gain: factor on the last layer's output. The paper gives the displacement head a tenfold
            learning rate instead, which an optimiser with normalised steps does not need.
    """

    backbone: DisplacementBackbone = "light"
    encoding: Encoding = "phase"
    widths: tuple[int, int, int] = (16, 32, 64)
    boundary_width: int = 16
    gain: float = 10.0

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            InputError: unknown backbone or encoding, or widths that cannot be split into groups.
        """
        for name, kinds in (("backbone", DisplacementBackbone), ("encoding", Encoding)):
            if getattr(self, name) not in get_args(kinds):
                raise InputError(
                    f"{name}: expected one of {', '.join(get_args(kinds))}, "
                    f"got {getattr(self, name)!r}"
                )
        for width in (*self.widths, self.boundary_width):
            if width < 1 or width % _groups(width):
                raise InputError(f"widths: expected multiples of {_groups(width)}, got {width}")

    @staticmethod
    def paper(backbone: DisplacementBackbone = "resnet50") -> NetworkConfig:
        """Return the network of the paper, on that backbone."""
        return NetworkConfig(backbone, "palette", (64, 128, 256), 32, 1.0)


class FieldAndBoundary(NamedTuple):
    """What the network says of a batch of label maps, on the grid of cells.

    Attributes:
        field: (B, 2, h, w) displacement (dy, dx) to the centre of the cell's object, in cells.
        boundary: (B, 1, h, w) in [0, 1], 1 on a boundary.
    """

    field: Tensor
    boundary: Tensor


def _groups(width: int) -> int:
    return 16 if width >= 128 else 8 if width >= 64 else 4


def _embed(channels: int, width: int) -> nn.Sequential:
    """Embed a level: phi of eq. 1 without its ReLU, which follows the upsampling."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False), nn.GroupNorm(_groups(width), width)
    )


def _resize(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


class DisplacementHead(nn.Module):
    """The displacement field detection module: eq. 1 and 2.

    Args:
        channels: of the five levels of the backbone; the first may be finer than the second.
        widths: see ``NetworkConfig``.
        gain: see ``NetworkConfig``.
    """

    def __init__(self, channels: Sequence[int], widths: tuple[int, int, int], gain: float) -> None:
        super().__init__()
        first, second, width = widths
        self.levels = nn.ModuleList(
            _embed(c, w)
            for c, w in zip(channels, (first, second, width, width, width), strict=True)
        )
        self.top_down = _embed(3 * width, width)
        self.merge = _embed(first + second + width, width)
        self.out = nn.Conv2d(width, 2, 1, bias=False)
        self.gain = gain

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Compute the field (B, 2, h, w), in cells, on the grid of the second level."""
        e1, e2, e3, e4, e5 = (layer(x) for layer, x in zip(self.levels, levels, strict=True))
        joined = torch.cat([F.relu(_resize(e, e3)) for e in (e3, e4, e5)], dim=1)
        top = F.relu(_resize(self.top_down(joined), e2))
        merged = torch.cat([_resize(F.relu(e1), e2), F.relu(e2), top], dim=1)
        field: Tensor = self.out(F.relu(self.merge(merged)))
        return field * self.gain


class BoundaryHead(nn.Module):
    """The class boundary refinement module: eq. 14.

    Args:
        channels: of the five levels of the backbone.
        width: channels that every level is reduced to.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_embed(c, width) for c in channels)
        self.out = nn.Conv2d(5 * width, 1, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Compute the boundary's logits (B, 1, h, w) on the grid of the second level."""
        embedded = [layer(x) for layer, x in zip(self.levels, levels, strict=True)]
        joined = torch.cat([F.relu(_resize(e, levels[1])) for e in embedded], dim=1)
        logits: Tensor = self.out(joined)
        return logits


class DisplacementNet(nn.Module):
    """From label maps to displacement field and boundary map.

    A ResNet backbone is frozen, as in the paper; the light backbone learns.

    Attributes:
        config: what was built.
        backbone_channels: of the backbone's five levels.
        mean_shift: (2,) mean displacement (dy, dx) of the training objects, in cells. The losses
            see differences only, so the field has a free constant; ``field_and_boundary`` takes it
            off. See ``vostrack.proposers.displacement.mean_shift``.
    """

    mean_shift: Tensor
    table: Tensor

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        self.backbone, channels = build_displacement_backbone(self.config.backbone)
        self.backbone_channels = channels
        self.frozen = self.config.backbone != "light"
        if self.frozen:
            self.backbone.requires_grad_(False)
        self.displacement = DisplacementHead(channels, self.config.widths, self.config.gain)
        self.boundary = BoundaryHead(channels, self.config.boundary_width)
        self.register_buffer("mean_shift", torch.zeros(2))
        self.register_buffer("table", encoding_table(self.config.encoding), persistent=False)

    def train(self, mode: bool = True) -> DisplacementNet:
        """Switch to training; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, labels: Tensor) -> FieldAndBoundary:
        """Compute the field with its free constant, as the losses take it, and the boundary.

        Args:
            labels: (B, H, W) integers: 0 background, 1..254 classes, 255 void; H and W multiples
                of 16.

        Returns:
            Maps of (H / 4, W / 4) cells.

        Raises:
            InputError: another shape.
        """
        if labels.ndim != 3 or labels.shape[1] % 16 or labels.shape[2] % 16:
            raise InputError(
                "labels: expected (B, H, W) with H and W multiples of 16, "
                f"got {tuple(labels.shape)}; scale the label map first"
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            levels = self.backbone(encode_labels(labels, self.table))
        # Exponents and differences below need more digits than autocast leaves.
        field = self.displacement(levels).float()
        return FieldAndBoundary(field, self.boundary(levels).float().sigmoid())

    @torch.no_grad()
    def field_and_boundary(self, labels: Tensor) -> FieldAndBoundary:
        """Compute the field whose zero is at the objects' centres, and the boundary."""
        field, boundary = self(labels)
        return FieldAndBoundary(field - self.mean_shift.view(1, 2, 1, 1), boundary)


def save_displacement_net(network: DisplacementNet, path: Path, *, half: bool = False) -> None:
    """Write a network with its configuration as safetensors, whole or not at all.

    Args:
        network: what to save.
        path: file to write.
        half: store float16.
    """
    write_weights(network, path, {_KEY: asdict(network.config)}, half=half)


def load_displacement_net(path: Path) -> DisplacementNet:
    """Read a network that ``save_displacement_net`` wrote, ready for inference.

    Raises:
        InputError: no such file, or another kind of file.
    """
    config, state = read_described(path, _KEY, what="displacement network", command="siseg")
    if "trunk" in config:  # as files before version 0.2 call it
        config["backbone"] = config.pop("trunk")
    with UndrawnWeights():
        network = DisplacementNet(NetworkConfig(**{**config, "widths": tuple(config["widths"])}))
    network.load_state_dict(state)
    return network.eval()
