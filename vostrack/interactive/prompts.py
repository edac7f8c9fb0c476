"""What a person points out: clicks and a box, checked against the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.errors import InputError

__all__ = ["Box", "Click", "box_clicks", "check_prompts"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the frame; x1 and y1 are exclusive."""

# How far outside a box its outer clicks lie, as a share of the box's shorter side.
_OUTSIDE = 0.06


@dataclass(frozen=True)
class Click:
    """A click on a frame."""

    x: int
    """Column, in pixels of the frame."""

    y: int
    """Row, in pixels of the frame."""

    inside: bool = True
    """Whether the object is there; False for a place that is not the object's."""


def check_prompts(
    clicks: Sequence[Click],
    box: Box | None,
    size: tuple[int, int],
    start: BoolArray | None = None,
) -> None:
    """Check that clicks and box lie in a frame and point something out.

    Args:
        clicks: any number of them.
        box: around the object; None for none.
        size: H and W of the frame.
        start: the mask that the clicks change; None for none.

    Raises:
        InputError: a click or the box is outside the frame, the box is empty, the start is no mask
            of the frame or comes with a box, or nothing says where the object is.
    """
    height, width = size
    for number, click in enumerate(clicks):
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise InputError(
                f"clicks: expected x in 0..{width - 1} and y in 0..{height - 1}, got click "
                f"{number} at ({click.x}, {click.y}); give positions in pixels of the frame"
            )
    if box is not None:
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(
                f"box: expected 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}, got "
                f"{box}; give x0, y0, x1, y1 in pixels of the frame"
            )
    if start is not None:
        if start.shape != size or start.dtype != np.bool_:
            raise InputError(
                f"start: expected a bool mask of {height} x {width} like the frame, got "
                f"{start.dtype} of {start.shape}"
            )
        if box is not None:
            raise InputError("start: a mask is changed by clicks, not by a box; leave `box` out")
    if box is None and (start is None or not start.any()) and not _any_inside(clicks):
        raise InputError(
            "clicks: expected at least one click inside the object or a box, got "
            f"{len(clicks)} clicks outside; click on the object"
        )


def _any_inside(clicks: Sequence[Click]) -> bool:
    return any(click.inside for click in clicks)


def box_clicks(box: Box, size: tuple[int, int]) -> list[Click]:
    """Return what a box says in clicks: its centre is inside, places around it are not.

    Sides that lie on the border of the frame give no click: the object may go on there.

    Args:
        box: inside the frame.
        size: H and W of the frame.
    """
    height, width = size
    x0, y0, x1, y1 = box
    gap = max(2, round(_OUTSIDE * min(x1 - x0, y1 - y0)))
    columns = (x0 - gap, (x0 + x1) // 2, x1 - 1 + gap)
    rows = (y0 - gap, (y0 + y1) // 2, y1 - 1 + gap)
    around = [
        Click(x, y, inside=False)
        for i, x in enumerate(columns)
        for j, y in enumerate(rows)
        if (i, j) != (1, 1) and 0 <= x < width and 0 <= y < height
    ]
    return [Click(columns[1], rows[1]), *around]
