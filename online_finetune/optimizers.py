"""Optimizers in as many lines as fine-tuning needs.

``torch.optim`` computes the same. But the first step of its optimizers imports torch's compiler,
which takes as long as several steps of fine-tuning, and a hundred megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
        self._groups: list[tuple[list[_Entry], float]] = [
            ([_Entry(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters], rate)
            for parameters, rate in groups
        ]

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Change all parameters that have a gradient, and drop the gradients.

        Args:
            share: of each group's learning rate, as a schedule gives it.
        """
        self._steps += 1
        for entries, rate in self._groups:
            known = [entry for entry in entries if entry.parameter.grad is not None]
            # torch's kernel goes through the memory as it lies: gradients have to lie as well.
            fused = all(entry.lies_alike() for entry in known)
            (self._fused if fused else self._one_by_one)(known, rate * share)
            for entry in known:
                entry.parameter.grad = None

    def _fused(self, entries: Sequence[_Entry], rate: float) -> None:
        """Change parameters on the CPU in one pass, which takes a third of the time."""
        if entries:
            torch._fused_adamw_(
                [entry.parameter for entry in entries],
                [entry.gradient for entry in entries],
                [entry.mean for entry in entries],
                [entry.square for entry in entries],
                [],
                [torch.tensor(float(self._steps))] * len(entries),
                lr=rate,
                beta1=_MEANS[0],
                beta2=_MEANS[1],
                weight_decay=self.weight_decay,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def _one_by_one(self, entries: Sequence[_Entry], rate: float) -> None:
        """Change parameters on any device."""
        first, second = (1 - mean**self._steps for mean in _MEANS)
        for entry in entries:
            parameter, gradient = entry.parameter, entry.gradient
            parameter.mul_(1 - rate * self.weight_decay)
            entry.mean.lerp_(gradient, 1 - _MEANS[0])
            entry.square.mul_(_MEANS[1]).addcmul_(gradient, gradient, value=1 - _MEANS[1])
            size = entry.square.sqrt().div_(math.sqrt(second)).add_(_EPSILON)
            parameter.addcdiv_(entry.mean, size, value=-rate / first)


class _Entry(NamedTuple):
    """A parameter, and the running means of its gradients and of their squares."""

    parameter: nn.Parameter
    mean: Tensor
    square: Tensor

    @property
    def gradient(self) -> Tensor:
        """The gradient, which there must be."""
        assert self.parameter.grad is not None
        return self.parameter.grad

    def lies_alike(self) -> bool:
        """Tell whether the gradient is on the CPU, of the same type and order as the parameter."""
        like, gradient = self.parameter, self.gradient
        return (
            like.device.type == "cpu"
            and gradient.dtype == like.dtype
            and gradient.stride() == like.stride()
        )


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
