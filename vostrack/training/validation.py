"""Judging a network while it trains, and keeping the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from vostrack.errors import InputError

__all__ = ["Validation", "ValidationHistory"]


@dataclass(frozen=True)
class Validation:
    """How a network is judged while it trains.

    Attributes:
        every: steps between two judgements; the weights after the last step are judged, too.
        judge: returns figures by name, higher is better, for a network in evaluation mode. It
            must not depend on chance: training that goes on is to find the same best weights.
        keep: called with a network whose figure is the highest so far: it saves the weights.
        figure: name of the figure that decides.
    """

    every: int
    judge: Callable[[nn.Module], Mapping[str, float]]
    keep: Callable[[nn.Module], None]
    figure: str

    def __post_init__(self) -> None:
        """Check the interval.

        Raises:
            InputError: it is under 1.
        """
        if self.every < 1:
            raise InputError(f"validation: expected at least 1 step between, got {self.every}")

    def due(self, step: int, steps: int) -> bool:
        """Tell whether to judge after ``step`` of ``steps`` steps."""
        return step % self.every == 0 or step == steps


@dataclass
class ValidationHistory:
    """What the judgements of one training were.

    Attributes:
        entries: ``step`` and the figures of each, in order.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)

    def run(self, validation: Validation, network: nn.Module, step: int) -> dict[str, float]:
        """Judge the network after ``step`` steps, keep it if it is the best, return the figures.

        Raises:
            InputError: the judge gave no figure of the name that decides, or not a finite one.
        """
        figures = dict(validation.judge(network))
        value = figures.get(validation.figure, math.nan)
        if not math.isfinite(value):
            raise InputError(
                f"validation: expected a finite {validation.figure!r}, got {figures or 'nothing'}"
            )
        best = max((entry[validation.figure] for entry in self.entries), default=-math.inf)
        self.entries.append({"step": step, **figures})
        if value > best:
            validation.keep(network)
        return figures
