"""Give a trained network its second backbone."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet, TopDownHead
from vostrack.models.semantic_backbone import SEMANTIC_CHANNELS, SemanticBackbone
from vostrack.models.target_net import TargetNet
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights_file import UndrawnWeights

__all__ = ["add_semantic_backbone", "with_semantic_backbone"]

# Layers whose inputs the new features are appended to.
_LONGER = ("encoder.context.weight", "decoder.lateral.3.weight")


@torch.no_grad()
def add_semantic_backbone(
    network: TargetNet,
    deeplab: str | Path,
    images: Iterable[Tensor],
    *,
    scale: float = 1.0,
    channels: int = 48,
) -> TargetNet:
    """Return a network that also sees the features of a DeepLabv3-MobileNetV2.

    Keys and embeddings get the principal directions of these features at once, without training.
    The other layers that see them start with weights of zero.

    Args:
        network: without a second backbone; it is not changed.
        deeplab: file of the DeepLabv3-MobileNetV2, see ``load_deeplab_mobilenetv2``.
        images: (B, 3, H, W) in [0, 1], of any sizes, from which the directions are found.
        scale: size of the images that it sees, relative to those of the first backbone.
        channels: number of directions.

    Raises:
        InputError: the network has a second backbone, or the file does not fit.
    """
    if network.semantic is not None:
        raise InputError(
            "semantic_weights: the target network has a second backbone already; leave out "
            "`semantic_weights`"
        )
    config = replace(
        network.config, semantic="deeplab", semantic_scale=scale, semantic_channels=channels
    )
    longer = build_target_net(config)
    assert longer.semantic is not None
    longer.semantic.backbone.load_deeplab(deeplab)
    state = {**longer.state_dict(), **network.state_dict()}
    for name in _LONGER:
        weight = state[name]
        zeros = weight.new_zeros(len(weight), SEMANTIC_CHANNELS, 1, 1)
        state[name] = torch.cat([weight, zeros], dim=1)
    longer.load_state_dict(state)
    longer.to(network.mean.device)
    columns = []
    for image in images:
        maps = longer.early_levels(image).semantic
        assert maps is not None
        columns.append(maps.transpose(0, 1).flatten(1))
    longer.semantic.fit(torch.cat(columns, dim=1))
    return longer.train(network.training)


@torch.no_grad()
def with_semantic_backbone(network: SegmentationNet, backbone: SemanticBackbone) -> SegmentationNet:
    """Return a copy of a segmentation network whose head sees a second backbone.

    The new weights of the head are zero, so nothing changes until it is fine-tuned.

    Args:
        network: without a second backbone, on any device; it is not changed.
        backbone: its layers; they become part of the new network, and are fixed.

    Raises:
        InputError: the network has a second backbone.
    """
    if network.semantic is not None:
        raise InputError(
            "semantic: the foreground network has a second backbone already; leave out `semantic`"
        )
    longer = copy.deepcopy(network)
    longer.config = replace(network.config, semantic="deeplab", semantic_scale=backbone.scale)
    longer.semantic = backbone.requires_grad_(False).to(network.mean.device)
    head = longer.head
    levels = head.lateral if isinstance(head, TopDownHead) else head.reduce
    old = levels[-1]
    assert isinstance(old, nn.Conv2d)
    with UndrawnWeights():
        wide = nn.Conv2d(
            old.in_channels + SEMANTIC_CHANNELS, old.out_channels, 1, bias=old.bias is not None
        )
    wide.weight.zero_()
    wide.weight[:, : old.in_channels] = old.weight.cpu()
    if wide.bias is not None:
        assert old.bias is not None
        wide.bias.copy_(old.bias)
    levels[-1] = wide.to(network.mean.device).to(memory_format=torch.channels_last)
    return longer.train(network.training)
