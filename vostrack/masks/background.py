"""Finding the background of a mask that does not name it, and masks that are inverted.

OpenCV is imported on first use, because most masks do without it.
"""

from __future__ import annotations

import numpy as np

from vostrack.arrays import AnyArray, BoolArray, IntArray

__all__ = ["borders_touched", "find_background", "is_inverted"]

_BORDERS = 3
_MOST_LEVELS = 16


def find_background(values: IntArray) -> int | None:
    """Find the value of the largest connected region that touches at least three borders.

    Args:
        values: (H, W) integers, of which none is known to be background.

    Returns:
        The value; None if no region touches three borders.
    """
    edges = (values[0], values[-1], values[:, 0], values[:, -1])
    levels, counts = np.unique(np.concatenate(edges), return_counts=True)
    levels = levels[np.argsort(-counts, kind="stable")][:_MOST_LEVELS]
    best, largest = None, 0
    for level in levels:
        if sum(bool((edge == level).any()) for edge in edges) < _BORDERS:
            continue
        for area, borders in _regions(values == level):
            if borders >= _BORDERS and area > largest:
                best, largest = int(level), area
    return best


def is_inverted(white: BoolArray) -> bool | None:
    """Tell whether a black and white mask shows a black object on white.

    Args:
        white: (H, W) bool, the white pixels.

    Returns:
        True if a white region touches all four borders and black touches one at most. None if it
        cannot be told: the largest region that touches three borders is white, and black touches
        two borders. False otherwise.
    """
    regions = [area for area, borders in _regions(white) if borders >= _BORDERS]
    if not regions or white.all() or 2 * np.count_nonzero(white) < white.size:
        return False
    black = borders_touched(~white)
    if black >= _BORDERS:
        return False
    if black <= 1 and borders_touched(white) == 4:
        return True
    return None


def borders_touched(mask: BoolArray) -> int:
    """Count the borders of the image that a mask touches, 0..4."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return sum(bool(edge.any()) for edge in edges)


def _regions(mask: BoolArray) -> list[tuple[int, int]]:
    """Return the area and the number of borders touched of each connected region."""
    import cv2

    height, width = mask.shape
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    return [(int(box[cv2.CC_STAT_AREA]), _touched(box, height, width)) for box in boxes[1:]]


def _touched(box: AnyArray, height: int, width: int) -> int:
    import cv2

    left, top = box[cv2.CC_STAT_LEFT], box[cv2.CC_STAT_TOP]
    right, bottom = left + box[cv2.CC_STAT_WIDTH], top + box[cv2.CC_STAT_HEIGHT]
    return int(left == 0) + int(top == 0) + int(right == width) + int(bottom == height)
