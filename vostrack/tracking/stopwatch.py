"""Time spent in each stage of a frame."""

from __future__ import annotations

import time

import torch

__all__ = ["Stopwatch"]


class Stopwatch:
    """Measures the time that each stage takes.

    Attributes:
        seconds: seconds spent, by name of the stage.
    """

    def __init__(self, device: torch.device) -> None:
        """Start the clock.

        Args:
            device: device of the work. Each lap waits until a CUDA device has finished.
        """
        self.seconds: dict[str, float] = {}
        self._device = device
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the previous lap to ``stage``."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
