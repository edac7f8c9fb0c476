"""When what is done every so many frames is due, though not every frame is seen."""

from __future__ import annotations

__all__ = ["is_due"]


def is_due(every: int, frame: int, carried: int) -> bool:
    """Tell whether something is due in a frame, or was in one just before that was not seen.

    Args:
        every: number of frames from one time to the next; 0 for never.
        frame: number of the frame, from 1.
        carried: how many frames just before it were not seen.
    """
    return bool(every) and frame // every > (frame - 1 - carried) // every
