"""In which order frames are tracked, from the frames that a person drew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vostrack.errors import InputError

__all__ = ["Direction", "Leg", "plan_legs"]

Direction = Literal["forward", "backward", "both", "between"]
"""``forward`` to the end, ``backward`` to the start; frames that a person drew on the way correct
the tracker. ``both`` goes both ways. ``between`` fills the gap between two drawn frames, each half
from its own side."""


@dataclass(frozen=True)
class Leg:
    """A run of frames that is tracked from one frame.

    Attributes:
        anchor: the frame whose label map the tracker starts from.
        last: the frame at which it ends; less than the anchor going backwards.
    """

    anchor: int
    last: int

    @property
    def frames(self) -> range:
        """The frames after the anchor, in the order of tracking."""
        step = 1 if self.last >= self.anchor else -1
        return range(self.anchor + step, self.last + step, step)


def plan_legs(
    frame: int,
    direction: Direction,
    corrected: Sequence[int],
    count: int,
    tracked: Collection[int] = (),
) -> tuple[Leg, ...]:
    """Plan what is tracked.

    Args:
        frame: where the person stands.
        direction: which way to go.
        corrected: the frames that a person drew, ascending.
        count: number of frames of the video.
        tracked: the frames that have a mask from the tracker; who stopped there can go on there.

    Raises:
        InputError: an unknown direction, no drawn frame to start from, or nothing to track.
    """
    if direction not in get_args(Direction):
        raise InputError(
            f"direction: expected one of {', '.join(get_args(Direction))}, got {direction!r}"
        )
    if not corrected:
        raise InputError("track: no frame has a mask; outline an object first")
    if direction == "between":
        legs = _between(frame, corrected)
    else:
        if frame not in corrected and frame not in tracked:
            raise InputError(
                f"track: frame {frame} has no mask; outline the object, or go to a frame that "
                f"has one, such as {min(corrected, key=lambda other: abs(other - frame))}"
            )
        ends = {"forward": (count - 1,), "backward": (0,), "both": (count - 1, 0)}[direction]
        legs = tuple(Leg(frame, end) for end in ends)
    legs = tuple(leg for leg in legs if leg.frames)
    if not legs:
        raise InputError("track: there is no frame to track that way")
    return legs


def _between(frame: int, corrected: Sequence[int]) -> tuple[Leg, ...]:
    before = [other for other in corrected if other <= frame]
    after = [other for other in corrected if other > frame]
    if not after and len(before) > 1 and before[-1] == frame:
        # Who has just corrected the last drawn frame means the gap before it.
        after = [before.pop()]
    if not before or not after:
        raise InputError(
            "track: expected a drawn frame on both sides; correct one before and one after, or "
            "track forward or backward"
        )
    low, high = before[-1], after[0]
    middle = (low + high) // 2
    return Leg(low, middle), Leg(high, middle + 1)
