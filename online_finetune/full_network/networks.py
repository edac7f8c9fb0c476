"""Copies of a network with other classes or other weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vostrack.models.foreground import SegmentationNet, build_network

__all__ = ["weights_or_place", "with_classes", "with_outputs", "with_weights"]


def with_outputs(network: SegmentationNet, outputs: int) -> SegmentationNet:
    """Return a copy with ``outputs`` classes; each object class starts as the foreground."""
    wide = build_network(network.config, outputs)
    state = network.state_dict()
    for key in ("head.classify.weight", "head.classify.bias"):
        background, foreground = state[key][:1], state[key][1:2]
        state[key] = torch.cat([background, *[foreground] * (outputs - 1)])
    wide.load_state_dict(state)
    return wide.to(next(network.parameters()).device).eval()


def with_classes(
    network: SegmentationNet, classes: Sequence[int], foreground: SegmentationNet, count: int
) -> SegmentationNet:
    """Return a copy with the classes 0..count: the given ones, then new ones as ``foreground``."""
    wide = build_network(network.config, count + 1)
    state, new = network.state_dict(), foreground.state_dict()
    for key in ("head.classify.weight", "head.classify.bias"):
        added = [new[key][1:2]] * (count - len(classes))
        state[key] = torch.cat([state[key][[0, *classes]], *added])
    wide.load_state_dict(state)
    return wide.to(next(network.parameters()).device).eval()


def with_weights(generic: SegmentationNet, weights: Mapping[str, Tensor]) -> SegmentationNet:
    """Return a copy of a network with other weights, and as many outputs as these have."""
    outputs = len(weights["head.classify.bias"])
    network = copy.deepcopy(generic)
    if outputs != network.outputs:
        network = with_outputs(network, outputs)
    network.load_state_dict(dict(weights))
    return network


def weights_or_place(
    network: SegmentationNet, known: Sequence[SegmentationNet]
) -> int | dict[str, Tensor]:
    """Return the place of a network among the known ones, or its weights."""
    for place, other in enumerate(known):
        if other is network:
            return place
    return network.state_dict()
