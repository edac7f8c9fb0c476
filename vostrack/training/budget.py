"""How long one call may train: steps, or hours."""

from __future__ import annotations

import time

import torch

from vostrack.errors import InputError
from vostrack.training.processes import Processes

__all__ = ["Budget"]


class Budget:
    """How long one call may train."""

    def __init__(self, steps: int | None, hours: float | None, processes: Processes) -> None:
        """Start the clock.

        Args:
            steps: of this call, at most; None for no limit.
            hours: after which it ends; None for no limit.
            processes: that have to end in the same step.

        Raises:
            InputError: ``hours`` is not over 0.
        """
        if hours is not None and not hours > 0:
            raise InputError(f"hours: expected over 0, got {hours}")
        self._steps, self._seconds = steps, None if hours is None else 3600 * hours
        self._begin, self._processes = time.monotonic(), processes

    def last(self, first: int, steps: int) -> int:
        """Return the step to stop at, of a training of ``steps`` that stands at ``first``."""
        return steps if self._steps is None else min(steps, first + self._steps)

    def spent(self) -> bool:
        """Tell whether the time is over, the same in every process."""
        if self._seconds is None:
            return False
        passed = torch.tensor([time.monotonic() - self._begin], dtype=torch.float64)
        return float(self._processes.mean(passed)) >= self._seconds
