"""The four scan directions and the axes that belong to them.

A scan walks over *lines*: columns for the horizontal directions, rows for the vertical ones. The
positions along a line are its *lanes*.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["DIRECTIONS", "Direction", "is_reversed", "line_axis"]

Direction = Literal["left_right", "right_left", "top_bottom", "bottom_top"]

# A direction is passed to the kernels as its place in this tuple; gates are stored in this order.
DIRECTIONS: Final[tuple[Direction, ...]] = ("left_right", "right_left", "top_bottom", "bottom_top")


def line_axis(direction: int) -> int:
    """Return the axis, counted from the end of (..., H, W), that the scan walks along."""
    return -1 if direction < 2 else -2


def is_reversed(direction: int) -> bool:
    """Tell whether the scan walks towards smaller indices."""
    return direction % 2 == 1
