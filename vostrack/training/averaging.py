"""The mean of a network's weights over the last steps of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of the weights (Polyak and Juditsky 1992).

    After step k each mean is d * mean + (1 - d) * weight, with d = min(decay, (1 + k) / (10 + k)):
    the initial weights are soon forgotten. Tensors of integers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the network's weights.

        Args:
            network: whose weights are averaged.
            decay: in [0, 1); 0 keeps the newest weights.
        """
        self._decay = decay
        self._mean = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step ``step``, from 0."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            mean = self._mean[name]
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Give the network the mean weights."""
        network.load_state_dict(self._mean)

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Let the network have the mean weights for a while."""
        own = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.copy_to(network)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mean weights by name."""
        return self._mean

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what ``state_dict`` returned."""
        for name, value in state.items():
            self._mean[name].copy_(value)
