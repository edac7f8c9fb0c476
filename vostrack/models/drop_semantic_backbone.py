"""Take the second backbone out of a target network that was trained to do without it, too."""

from __future__ import annotations

from dataclasses import replace

import torch

from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet, build_target_net
from vostrack.models.weights_file import UndrawnWeights

__all__ = ["without_semantic_backbone"]

# Layers whose last inputs are the features of the second backbone.
_LONGER = ("encoder.context.weight", "decoder.lateral.3.weight")


@torch.no_grad()
def without_semantic_backbone(network: TargetNet) -> TargetNet:
    """Return the same network without its second backbone: smaller, and faster.

    It gives what the network gives while ``network.semantic.used`` is off.

    Args:
        network: with or without a second backbone; it is not changed.

    Raises:
        InputError: the network was not trained to do without.
    """
    config = network.config
    if config.semantic == "none":
        return network
    if not config.semantic_optional:
        raise InputError(
            "target network: expected one that was trained to do without its second backbone; "
            "use it as it is"
        )
    with UndrawnWeights():
        shorter = build_target_net(replace(config, semantic="none", semantic_optional=False))
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("semantic.")}
    for name in _LONGER:
        state[name] = state[name][:, : shorter.state_dict()[name].shape[1]]
    shorter.load_state_dict(state)
    return shorter.to(network.mean.device).train(network.training)
