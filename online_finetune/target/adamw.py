"""AdamW (Loshchilov and Hutter 2019), in as many lines as fine-tuning needs.

``torch.optim.AdamW`` computes the same. But its first step imports torch's compiler, which takes as
long as several steps of fine-tuning, and a hundred megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["AdamW"]

_MEANS = (0.9, 0.999)
_EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay.

    Args:
        groups: parameters, and the learning rate of each group.
        weight_decay: share of a weight that is taken off per step, times the learning rate.
    """

    def __init__(
        self, groups: Iterable[tuple[Iterable[nn.Parameter], float]], weight_decay: float
    ) -> None:
        self.weight_decay = weight_decay
        self._steps = 0
        self._entries: list[tuple[nn.Parameter, float, Tensor, Tensor]] = [
            (parameter, rate, torch.zeros_like(parameter), torch.zeros_like(parameter))
            for parameters, rate in groups
            for parameter in parameters
        ]

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Change all parameters that have a gradient, and drop the gradients.

        Args:
            share: of each group's learning rate, as a schedule gives it.
        """
        self._steps += 1
        first, second = (1 - mean**self._steps for mean in _MEANS)
        for parameter, rate, mean, square in self._entries:
            gradient = parameter.grad
            if gradient is None:
                continue
            parameter.mul_(1 - rate * share * self.weight_decay)
            mean.lerp_(gradient, 1 - _MEANS[0])
            square.mul_(_MEANS[1]).addcmul_(gradient, gradient, value=1 - _MEANS[1])
            size = square.sqrt().div_(math.sqrt(second)).add_(_EPSILON)
            parameter.addcdiv_(mean, size, value=-rate * share / first)
            parameter.grad = None
