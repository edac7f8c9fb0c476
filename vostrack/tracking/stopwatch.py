"""How long each stage of a frame takes."""

from __future__ import annotations

import time

import torch

__all__ = ["Stopwatch"]


class Stopwatch:
    """Collects the seconds between one stage and the next.

    Attributes:
        seconds: by name of the stage.
    """

    def __init__(self, device: torch.device) -> None:
        """Start.

        Args:
            device: where the work is done; of a GPU, each lap waits until it is.
        """
        self.seconds: dict[str, float] = {}
        self._device = device
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the lap before towards ``stage``."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
