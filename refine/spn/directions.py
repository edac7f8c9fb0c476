"""The four scan directions and their axes.

A scan proceeds over *lines*: columns for the horizontal directions, rows for the vertical ones. The
positions along a line are its *lanes*.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["DIRECTIONS", "Direction", "is_reversed", "line_axis"]

Direction = Literal["left_right", "right_left", "top_bottom", "bottom_top"]

# Kernels identify a direction by its index in this tuple. Gates are stored in this order.
DIRECTIONS: Final[tuple[Direction, ...]] = ("left_right", "right_left", "top_bottom", "bottom_top")


def line_axis(direction: int) -> int:
    """Return the axis of (..., H, W), counted from the end, along which the scan proceeds."""
    return -1 if direction < 2 else -2


def is_reversed(direction: int) -> bool:
    """Tell whether the scan proceeds towards smaller indices."""
    return direction % 2 == 1
