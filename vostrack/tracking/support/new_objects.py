"""Masks of objects that are not tracked yet, from proposals."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.tracking.frame_input import VOID

__all__ = ["new_objects"]

# A proposal is new if no more of it than this is tracked already, or taken by a better proposal.
_KNOWN = 0.2
# And large enough to be tracked, pixels.
_SMALLEST = 100


def new_objects(
    labels: UInt8Array, proposals: FloatArray, used: Collection[int], at_most: int
) -> UInt8Array:
    """Give new ids to the proposals that are no tracked object.

    Args:
        labels: (H, W) uint8, ids.
        proposals: (K, H, W) in [0, 1], best first.
        used: ids that are in use or were removed.
        at_most: number of new objects.

    Returns:
        (H, W) uint8: 0, or one of the lowest ids that are not used; the best proposal comes first.
    """
    free = [number for number in range(1, VOID) if number not in used][:at_most]
    found = np.zeros(labels.shape, np.uint8)
    for proposal in proposals:
        if not free:
            break
        region = proposal >= 0.5
        area = int(region.sum())
        if area < _SMALLEST or (region & ((labels > 0) | (found > 0))).sum() > _KNOWN * area:
            continue
        found[region & (labels == 0) & (found == 0)] = free.pop(0)
    return found
