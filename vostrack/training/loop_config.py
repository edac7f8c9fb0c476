"""The settings of the training loop: steps, optimizer, schedule and what is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vostrack.checks import check_at_least, check_finite
from vostrack.compute.precision import Precision
from vostrack.errors import InputError

__all__ = ["LoopConfig", "OptimizerName", "Schedule"]

OptimizerName = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "poly"]


@dataclass(frozen=True)
class LoopConfig:
    """How a recipe is followed.

    Attributes:
        steps: optimisation steps.
        optimizer: ``adamw``, or ``sgd`` with momentum.
        momentum: of SGD.
        weight_decay: of either.
        schedule: factor of each group's peak rate at step k of n: ``cosine``
            (1 + cos(pi k / n)) / 2, ``poly`` (1 - k / n) ** power.
        power: of ``poly``; 0 keeps the rate constant.
        warmup: first steps, over which the rate rises linearly.
        clip_norm: largest L2 norm of the whole gradient; None does not clip.
        seed: of every random choice, together with the step and the process. At least 0.
        checkpoint_every: steps between checkpoints.
        precision: of the forward pass; see ``vostrack.compute.precision``.
        tensorboard: write curves for TensorBoard into the folder, too.
        ahead: batches that are drawn ahead, each in its own thread; 0 draws when needed.
        accumulate: batches per step, whose gradients are averaged: n batches of b take the steps
            of one batch of n * b in the memory of b.
        average: decay of the moving average of the weights, in [0, 1), which the network has in
            the end; None keeps no average. See ``vostrack.training.averaging``.
        keep_every: steps between checkpoints that are kept for good, beside the newest; 0 keeps
            the newest only.
    """

    steps: int
    optimizer: OptimizerName = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-2
    schedule: Schedule = "cosine"
    power: float = 0.9
    warmup: int = 0
    clip_norm: float | None = 1.0
    seed: int = 0
    checkpoint_every: int = 200
    precision: Precision = "auto"
    tensorboard: bool = False
    ahead: int = 0
    accumulate: int = 1
    average: float | None = None
    keep_every: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: an unknown name, or a number out of its range.
        """
        for name, kinds in (("optimizer", OptimizerName), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(kinds):
                expected = " or ".join(get_args(kinds))
                raise InputError(f"{name}: expected {expected}, got {getattr(self, name)!r}")
        least = {"steps": 1, "checkpoint_every": 1, "warmup": 0, "seed": 0, "ahead": 0, "power": 0}
        least |= {"accumulate": 1, "keep_every": 0}
        check_at_least(self, least | {"momentum": 0, "weight_decay": 0})
        if self.average is not None and not 0 <= self.average < 1:
            raise InputError(f"average: expected 0 <= decay < 1, or None, got {self.average}")
        check_finite(self, "power", "momentum", "weight_decay")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"clip_norm: expected over 0, or None, got {self.clip_norm}")

    def rate_factor(self, step: int) -> float:
        """Return the factor of the peak learning rate at ``step``, from 0, in [0, 1]."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.schedule == "cosine":
            return warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return warm * float((1 - step / self.steps) ** self.power)
