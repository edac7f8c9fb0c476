"""Target networks with random weights, from which training starts."""

from __future__ import annotations

import torch
from torch import nn

from vostrack.models.backbones import build_backbone
from vostrack.models.target_config import TargetNetConfig
from vostrack.models.target_net import TargetNet

__all__ = ["build_target_net"]


def build_target_net(
    config: TargetNetConfig | None = None, device: torch.device | None = None
) -> TargetNet:
    """Build a target network with random weights, on the CPU.

    Args:
        config: what it is made of.
        device: where it will run; see ``build_backbone``.

    Raises:
        InputError: the configuration names an unknown part.
    """
    config = config or TargetNetConfig()
    backbone = build_backbone(
        config.backbone,
        (2, 4, 8, 16),
        config.norm,
        options=config.backbone_options,
        device=device,
    )
    network = TargetNet(config, backbone)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and "backbone." not in name:
            _initialise(module)
    # Small last layers: the first predictions are even, so that the first masks in memory are too.
    for last in (network.decoder.coarse, network.decoder.fine):
        nn.init.normal_(last.weight, std=0.01)
    # An untrained network can't tell whether an object is there: it says one half.
    nn.init.zeros_(network.decoder.presence.weight)
    nn.init.zeros_(network.decoder.presence.bias)
    # Keys are compared by their direction: a plain projection keeps that of the features.
    nn.init.normal_(network.key.weight, std=network.key.weight[0].numel() ** -0.5)
    return network.to(memory_format=torch.channels_last)


def _initialise(conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
