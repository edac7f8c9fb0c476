"""A target network, fine-tuned on the frames of a video whose masks are given."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.eight_bit import Ranges
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.eight_bit_stages import (
    EARLY,
    WHOLE,
    measured,
    ranges_of,
    uses_eight_bits,
    with_byte_layers_above,
    with_eight_bits,
)
from vostrack.online_finetune.target.finetune import OnProgress, finetune_target_net
from vostrack.online_finetune.target.frame_pairs import LabelledFrame
from vostrack.online_finetune.target.given_frames import slot_masks
from vostrack.online_finetune.target.memory import TargetModelConfig
from vostrack.online_finetune.target.places import find_places
from vostrack.online_finetune.target.view import window_around

__all__ = ["FittedNetwork", "fit_network"]


@dataclass(frozen=True)
class FittedNetwork:
    """A network as it is used on a video.

    Attributes:
        weights: the network.
        network: the same, with some stages in 8 bits where the machine has them.
    """

    weights: TargetNet
    network: TargetNet

    def state_dict(self, base: TargetNet, *, changes: bool = False) -> dict[str, Any]:
        """Return the weights and the ranges of the stages in 8 bits.

        Args:
            base: no weights are returned if they are this network's.
            changes: return only the tensors that differ from those of ``base``.
        """
        state: dict[str, Tensor] = {}
        if self.weights is not base:
            before = base.state_dict()
            state = {
                name: value
                for name, value in self.weights.state_dict().items()
                if not changes or not value.equal(before[name])
            }
        return {"network": state, "ranges": ranges_of(self.network)}

    @staticmethod
    def from_state(base: TargetNet, state: Mapping[str, Any]) -> FittedNetwork:
        """Restore the result of ``state_dict`` with the same ``base``."""
        weights = base
        if state["network"]:
            weights = copy.deepcopy(base)
            weights.load_state_dict({**base.state_dict(), **state["network"]})
        # A machine without fast bytes goes on in floats.
        ranges = state["ranges"] if has_fast_int8() else {}
        return FittedNetwork(weights, with_byte_layers_above(with_eight_bits(weights, ranges)))


def fit_network(
    generic: TargetNet,
    frames: Sequence[LabelledFrame],
    config: TargetModelConfig,
    *,
    slots: Sequence[Sequence[int]] | None = None,
    steps: bool = True,
    on_progress: OnProgress | None = None,
) -> FittedNetwork:
    """Fine-tune a copy of a network.

    Args:
        generic: not changed.
        frames: at least one; see ``finetune_target_net``.
        config: how the network is used and fine-tuned.
        slots: see ``finetune_target_net``.
        steps: False leaves the fine-tuning out.
        on_progress: told of every step.
    """
    image, labels = frames[0]
    weights, network = generic, None
    if config.finetune.steps and steps:
        weights = _with_own_weights(generic, config)
        fixed = EARLY if config.finetune.trained_blocks(generic) else WHOLE
        network = with_eight_bits(weights, _ranges(weights, image, labels, config, fixed))
        finetune_target_net(
            network,
            image,
            labels,
            config.finetune,
            later=frames[1:],
            slots=slots,
            seed=config.seed,
            precision=config.precision,
            on_progress=on_progress,
        )
    # Stages that are not trained stay as they were converted.
    if network is None or config.finetune.trained_blocks(generic):
        network = with_eight_bits(weights, _ranges(weights, image, labels, config, WHOLE))
    return FittedNetwork(weights, with_byte_layers_above(network))


def _with_own_weights(generic: TargetNet, config: TargetModelConfig) -> TargetNet:
    """Return a copy of a network, which shares with it the backbones that never change."""
    fixed: list[nn.Module] = [] if generic.semantic is None else [generic.semantic.backbone]
    if not config.finetune.trained_blocks(generic):
        fixed.append(generic.backbone)
    return copy.deepcopy(generic, {id(module): module for module in fixed})


def _ranges(
    network: TargetNet,
    image: Tensor,
    labels: Tensor,
    config: TargetModelConfig,
    strides: Sequence[int],
) -> Ranges:
    """Return the ranges of the stages to compute in 8 bits, none if there are none."""
    if not uses_eight_bits(network, image.device, config.precision):
        return {}
    window = window_around(find_places(slot_masks(labels)), 1, image.shape[1:], config.window)
    return measured(network, window.crop(image[None]), strides)
