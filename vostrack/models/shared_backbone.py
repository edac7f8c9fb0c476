"""Backbones that several networks share, and fingerprints that identify them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.target_net import TargetNet
from vostrack.models.weights import load_network, load_target_net, shipped_weights

__all__ = [
    "BackboneKind",
    "BackboneNetwork",
    "backbone_fingerprint",
    "backbone_levels",
    "fingerprint_of",
    "load_backbone_network",
    "on_target_backbone",
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


def on_target_backbone(
    config: NetworkConfig, target: TargetNet, *, seed: int = 0
) -> SegmentationNet:
    """Return a foreground network with the backbone of a target network, and an untrained head.

    Args:
        config: strides, head and width; the backbone, its options and its normalisation are those
            of the target network.
        target: the target network; its backbone is copied.
        seed: of the head's random weights. The global random state is not changed.

    Raises:
        InputError: the target network's backbone has no features of one of the strides.
    """
    if missing := sorted(set(config.strides) - set(target.backbone.strides)):
        raise InputError(
            f"strides: the backbone of a target network ends at stride "
            f"{max(target.backbone.strides)}, so it has none of {', '.join(map(str, missing))}; "
            "choose among 2 4 8 16, or begin from other weights"
        )
    known = target.config
    config = replace(
        config,
        backbone=known.backbone,
        backbone_options=known.backbone_options,
        norm=known.norm,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
    state, own = target.backbone.state_dict(), network.backbone.state_dict()
    network.backbone.load_state_dict({name: state[name] for name in own})
    return network


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
