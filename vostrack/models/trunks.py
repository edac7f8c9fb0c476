"""The trunk that two networks of the package are built on, and how one is told from another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from vostrack.models.foreground import SegmentationNet
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_network, load_target_net, shipped_weights

__all__ = ["TrunkKind", "TrunkNetwork", "digest_name", "load_trunk", "trunk_maps", "trunk_name"]

TrunkKind = Literal["target", "foreground"]
"""``target``: of the tracker's target network. ``foreground``: of the foreground network."""

TrunkNetwork = TargetNet | SegmentationNet
"""A network with a ``backbone`` that gives strides 8 and 16."""


def load_trunk(kind: TrunkKind, path: Path | None = None) -> TrunkNetwork:
    """Read the network that a trunk is part of, ready for inference.

    Args:
        kind: of the trunk.
        path: file of such a network; the one that comes with the package by default.

    Raises:
        InputError: no such file, or a network of another kind.
    """
    if kind == "target":
        return load_target_net(path)
    return load_network(path or shipped_weights()).eval()


def trunk_name(network: TrunkNetwork) -> str:
    """Name the trunk: its kind and a digest of its weights, rounded to float16 as files hold them.

    What was trained on the features of one trunk is of no use on those of another.

    Returns:
        For example ``target-1f0c5a7be2d94c38``.
    """
    kind: TrunkKind = "target" if isinstance(network, TargetNet) else "foreground"
    return digest_name(kind, network.backbone)


def digest_name(kind: str, trunk: nn.Module) -> str:
    """Name a trunk of any kind; see ``trunk_name``."""
    digest = hashlib.sha256()
    for name, value in sorted(trunk.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
    return f"{kind}-{digest.hexdigest()[:16]}"


@torch.inference_mode()
def trunk_maps(network: TrunkNetwork, image: Tensor) -> tuple[Tensor, ...]:
    """Run the trunk once.

    Args:
        network: whose trunk.
        image: (B, 3, H, W) in [0, 1].

    Returns:
        One (B, C, ceil(H / s), ceil(W / s)) for each stride s of ``network.backbone.strides``.
    """
    pixels = (image - network.mean) / network.std
    return tuple(network.backbone(pixels.contiguous(memory_format=torch.channels_last)))
