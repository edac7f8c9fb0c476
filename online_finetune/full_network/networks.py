"""Copies of a network with other classes or other weights.

A backbone that fine-tuning leaves as it is belongs to all copies: its features are computed once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from vostrack.compute.precision import Precision, autocast
from vostrack.models.foreground import SegmentationNet, build_network
from vostrack.models.weights_file import UndrawnWeights

__all__ = [
    "copy_to_learn",
    "probabilities",
    "saved_weights",
    "weights_or_place",
    "with_classes",
    "with_outputs",
    "with_weights",
]


def copy_to_learn(network: SegmentationNet, *, backbone: bool) -> SegmentationNet:
    """Return a copy that can be fine-tuned, the backbone too or the head only.

    What does not learn is not copied, the second backbone never.
    """
    fixed: list[nn.Module | None] = (
        [network.semantic] if backbone else [network.semantic, network.backbone]
    )
    return copy.deepcopy(network, {id(part): part for part in fixed if part is not None})


@torch.inference_mode()
def probabilities(
    networks: Sequence[SegmentationNet], image: Tensor, precision: Precision
) -> list[Tensor]:
    """Compute the probabilities (K, h, w) of the K classes of each network in a frame.

    Args:
        networks: the features of a backbone are computed once where its networks are neighbours.
        image: (3, h, w) in [0, 1].
        precision: see ``vostrack.compute.precision``.
    """
    batch = image[None].contiguous(memory_format=torch.channels_last)
    backbone, found = None, []
    for network in networks:
        with autocast(image.device, precision):
            if network.backbone is not backbone:
                backbone, features = network.backbone, network.features(batch)
            logits = network.decode(features, image.shape[-2:])
        found.append(logits[0].softmax(0))
    return found


def with_outputs(network: SegmentationNet, outputs: int) -> SegmentationNet:
    """Return a network with ``outputs`` classes; each object class starts as the foreground.

    The backbone is that of ``network``, not a copy.
    """
    state = network.head.state_dict()
    for key in ("classify.weight", "classify.bias"):
        background, foreground = state[key][:1], state[key][1:2]
        state[key] = torch.cat([background, *[foreground] * (outputs - 1)])
    return _with_head(network, outputs, state)


def with_classes(
    network: SegmentationNet, classes: Sequence[int], foreground: SegmentationNet, count: int
) -> SegmentationNet:
    """Return a network with the classes 0..count: the given ones, then new ones as ``foreground``.

    The backbone is that of ``network``, not a copy.
    """
    state, new = network.head.state_dict(), foreground.head.state_dict()
    for key in ("classify.weight", "classify.bias"):
        added = [new[key][1:2]] * (count - len(classes))
        state[key] = torch.cat([state[key][[0, *classes]], *added])
    return _with_head(network, count + 1, state)


def _with_head(
    network: SegmentationNet, outputs: int, head: Mapping[str, Tensor]
) -> SegmentationNet:
    with UndrawnWeights():
        wide = build_network(network.config, outputs)
    wide.to(network.mean.device).eval()
    wide.backbone, wide.semantic = network.backbone, network.semantic
    wide.head.load_state_dict(head)
    return wide


def with_weights(generic: SegmentationNet, weights: Mapping[str, Tensor]) -> SegmentationNet:
    """Return a copy of a network with other weights, and as many outputs as these have.

    Args:
        generic: the network; it is not changed.
        weights: what ``saved_weights`` returned.
    """
    network = copy_to_learn(generic, backbone=True)
    outputs = len(weights["head.classify.bias"])
    if outputs != network.outputs:
        network = with_outputs(network, outputs)
    fixed = {k: v for k, v in network.state_dict().items() if k.startswith("semantic.")}
    network.load_state_dict({**weights, **fixed})
    own = network.backbone.state_dict()
    if all(torch.equal(own[k], v) for k, v in generic.backbone.state_dict().items()):
        network.backbone = generic.backbone
    return network


def saved_weights(network: SegmentationNet) -> dict[str, Tensor]:
    """Return the weights of a network without those of the second backbone, which never change."""
    return {k: v for k, v in network.state_dict().items() if not k.startswith("semantic.")}


def weights_or_place(
    network: SegmentationNet, known: Sequence[SegmentationNet]
) -> int | dict[str, Tensor]:
    """Return the place of a network among the known ones, or its weights."""
    for place, other in enumerate(known):
        if other is network:
            return place
    return saved_weights(network)
