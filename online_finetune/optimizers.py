"""Optimizers in as many lines as fine-tuning needs.

``torch.optim`` computes the same. But the first step of its optimizers imports torch's compiler,
which takes as long as several steps of fine-tuning, and a hundred megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["SGD", "AdamW"]

_MEANS = (0.9, 0.999)
_EPSILON = 1e-8

Groups = Iterable[tuple[Iterable[nn.Parameter], float]]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        groups: parameters, and the learning rate of each group.
        weight_decay: share of a weight that is taken off per step, times the learning rate.
    """

    def __init__(self, groups: Groups, weight_decay: float) -> None:
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


class SGD:
    """Gradient descent with momentum, and weight decay as part of the gradient.

    Args:
        groups: parameters, and the learning rate of each group.
        momentum: share of the last change of a weight that is kept, in [0, 1).
        weight_decay: share of a weight that is added to its gradient.
    """

    def __init__(self, groups: Groups, momentum: float, weight_decay: float) -> None:
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._rates = [(parameter, rate) for parameters, rate in groups for parameter in parameters]
        self._moving: list[Tensor | None] = [None] * len(self._rates)

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Change all parameters that have a gradient, and drop the gradients.

        Args:
            share: of each group's learning rate, as a schedule gives it.
        """
        for number, (parameter, rate) in enumerate(self._rates):
            gradient, moving = parameter.grad, self._moving[number]
            if gradient is None:
                continue
            gradient = gradient.add(parameter, alpha=self.weight_decay)
            moving = gradient if moving is None else moving.mul_(self.momentum).add_(gradient)
            self._moving[number] = moving
            parameter.add_(moving, alpha=-rate * share)
            parameter.grad = None
