"""Configuration of the tracker's frame loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vostrack.checks import check_at_least
from vostrack.errors import InputError

__all__ = ["Gate", "TrackerConfig"]

Gate = Literal["before", "after", "none"]


@dataclass(frozen=True)
class TrackerConfig:
    """How a frame is processed between the object models and the label map.

    Attributes:
        max_size: frames whose longer side exceeds this many pixels are scaled down for
            processing. The masks still have the frame's own size. 0 for no limit.
        threshold: pixels whose best score is below this value are background, in (0, 1).
        gate: when scores outside the foreground are set to zero: ``before`` refinement (as in
            Cheng et al. 2017, section 3.2), ``after`` it (as in their released demo), or ``none``.
        gate_threshold: pixels with at least this foreground probability are foreground, in (0, 1).
        gate_dilation: dilation of the foreground before gating, in pixels, at least 0.
        learn_refined: whether the temporal filter and the object models receive the refined
            scores. If not, only the output is refined. Object models that are updated in every
            frame do better with their own scores.
        second_pass: ``track_video`` tracks a video twice, and learns before the second time from up
            to this number of later frames whose masks are sure; 0 tracks it once.
    """

    max_size: int = 854
    threshold: float = 0.5
    gate: Gate = "before"
    gate_threshold: float = 0.5
    gate_dilation: int = 5
    learn_refined: bool = True
    second_pass: int = 0

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
        check_at_least(self, {"second_pass": 0})
        if self.gate_dilation < 0:
            raise InputError(f"gate_dilation: expected 0 or more, got {self.gate_dilation}")
