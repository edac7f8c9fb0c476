"""Backbones that several networks share, and fingerprints that identify them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from vostrack.models.foreground import SegmentationNet
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_network, load_target_net, shipped_weights

__all__ = [
    "BackboneKind",
    "BackboneNetwork",
    "backbone_fingerprint",
    "backbone_levels",
    "fingerprint_of",
    "load_backbone_network",
]

BackboneKind = Literal["target", "foreground"]
"""``target``: the backbone of the target network. ``foreground``: of the foreground network."""

BackboneNetwork = TargetNet | SegmentationNet
"""A network whose ``backbone`` has feature maps at strides 8 and 16."""


def load_backbone_network(kind: BackboneKind, path: Path | None = None) -> BackboneNetwork:
    """Load the network that a backbone is part of.

    Args:
        kind: kind of the backbone.
        path: file of such a network; by default the one that is shipped with the package.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the file does not exist or contains a network of another kind.
    """
    if kind == "target":
        return load_target_net(path)
    return load_network(path or shipped_weights()).eval()


def backbone_fingerprint(network: BackboneNetwork) -> str:
    """Return a name of a backbone, from its kind and a digest of its weights.

    A head that was trained on the features of one backbone does not work with those of another. The
    weights are rounded to float16 first, as in the shipped files.

    Returns:
        The name, for example ``target-1f0c5a7be2d94c38``.
    """
    kind: BackboneKind = "target" if isinstance(network, TargetNet) else "foreground"
    return fingerprint_of(kind, network.backbone)


def fingerprint_of(kind: str, backbone: nn.Module) -> str:
    """Return a name of a backbone of any kind; see ``backbone_fingerprint``."""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        # Names as in version 0.1, which called these layers a trunk: heads recorded such digests.
        name = name.replace("layers.", "trunk.", 1) if name.startswith("layers.") else name
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
    return f"{kind}-{digest.hexdigest()[:16]}"


@torch.inference_mode()
def backbone_levels(network: BackboneNetwork, image: Tensor) -> tuple[Tensor, ...]:
    """Compute the backbone features of a batch of images.

    Args:
        network: the network with the backbone.
        image: (B, 3, H, W) in [0, 1].

    Returns:
        One map (B, C, ceil(H / s), ceil(W / s)) for each stride s of ``network.backbone.strides``.
    """
    pixels = (image - network.mean) / network.std
    return tuple(network.backbone(pixels.contiguous(memory_format=torch.channels_last)))
