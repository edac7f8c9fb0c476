"""The settings of the frame loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vostrack.errors import InputError

__all__ = ["Gate", "TrackerConfig"]

Gate = Literal["before", "after", "none"]


@dataclass(frozen=True)
class TrackerConfig:
    """What happens to a frame between the object models and the label map.

    Attributes:
        max_size: frames with a longer side are worked on scaled down to it, pixels; the masks
            come out at the frame's own size. 0 for no limit.
        threshold: a pixel whose best score is below it is background.
        gate: ``before`` the refiner, scores are made zero outside the foreground (the paper's
            text); ``after`` does so at the end (its released demo); ``none`` leaves it out.
        gate_threshold: probability from which a pixel is foreground.
        gate_dilation: the foreground is grown by so many pixels before it gates.
        learn_refined: whether the filter and the object models go on from the refined scores; if
            not, only what is handed out is refined. Models that learn from frame to frame do
            better with scores of their own.
    """

    max_size: int = 854
    threshold: float = 0.5
    gate: Gate = "before"
    gate_threshold: float = 0.5
    gate_dilation: int = 5
    learn_refined: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range.
        """
        if self.max_size < 0 or 0 < self.max_size < 32:
            raise InputError(f"max_size: expected 0 (no limit) or at least 32, got {self.max_size}")
        if self.gate not in ("before", "after", "none"):
            raise InputError(f"gate: expected before, after or none, got {self.gate!r}")
        for name in ("threshold", "gate_threshold"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name}: expected a value in (0, 1), got {getattr(self, name)}")
        if self.gate_dilation < 0:
            raise InputError(f"gate_dilation: expected 0 or more, got {self.gate_dilation}")
