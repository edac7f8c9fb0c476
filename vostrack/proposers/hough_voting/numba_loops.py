"""The compiled loops of ``suppression``."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import DoubleArray, IntArray
from vostrack.compute.jit import jit

__all__ = ["claim", "most_overlapping", "settle"]


# Votes that are compared with one box after the other while they lie in the cache, a vector
# operation each; and boxes after which those votes that found their owner are left out.
_BLOCK = 256
_STEP = 8


@jit()
def claim(
    boxes: DoubleArray, votes: IntArray, picked: DoubleArray, overlap: float, owners: IntArray
) -> None:
    """Give each vote to the first picked box that it overlaps, -1 where it overlaps none.

    Args:
        boxes: (P, 4) of all votes.
        votes: (V,) those that are claimed, in any order.
        picked: (K, 5) x0, y0, x1, y1 and area of the picked boxes in the order of picking.
        overlap: least intersection over union, itself left out.
        owners: (P,) written at ``votes``.
    """
    block = np.empty((5, _BLOCK))
    x0, y0, x1, y1, areas = block[0], block[1], block[2], block[3], block[4]
    waiting, takers = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    for start in range(0, len(votes), _BLOCK):
        size = min(_BLOCK, len(votes) - start)
        for i in range(size):
            waiting[i] = votes[start + i]
            box = boxes[waiting[i]]
            x0[i], y0[i], x1[i], y1[i] = box[0], box[1], box[2], box[3]
            areas[i] = (box[2] - box[0]) * (box[3] - box[1])
        first = 0
        while size > 0 and first < len(picked):
            last = min(first + _STEP, len(picked))
            takers[:size] = -1
            # Backwards: the first of them has the last word.
            for k in range(last - 1, first - 1, -1):
                left, upper, right, lower = picked[k, 0], picked[k, 1], picked[k, 2], picked[k, 3]
                area = picked[k, 4]
                for i in range(size):
                    width = max(min(x1[i], right) - max(x0[i], left), 0.0)
                    height = max(min(y1[i], lower) - max(y0[i], upper), 0.0)
                    common = width * height
                    taken = common > overlap * (areas[i] + area - common)
                    takers[i] = k if taken else takers[i]
            # Those that nobody took close up.
            rest = 0
            for i in range(size):
                owners[waiting[i]] = takers[i]
                waiting[rest], areas[rest] = waiting[i], areas[i]
                x0[rest], y0[rest], x1[rest], y1[rest] = x0[i], y0[i], x1[i], y1[i]
                rest += 1 if takers[i] < 0 else 0
            size, first = rest, last


@jit()
def settle(
    boxes: DoubleArray,
    votes: IntArray,
    picked: DoubleArray,
    found: int,
    overlap: float,
    owners: IntArray,
    kept: IntArray,
) -> int:
    """Let the votes that the first ``found`` picks did not claim be claimed or picked in turn.

    A box belongs to the first picked box that it overlaps, since that one was picked, and took its
    share, before any other; a box that overlaps none is picked.

    Args:
        boxes: (P, 4) of all votes.
        votes: (V,) in the order of picking; those with an owner are passed over.
        picked: (P, 5), filled so far to ``found``.
        found: number of picks.
        overlap: least intersection over union, itself left out.
        owners: (P,) written at ``votes``.
        kept: (P,) the vote of each pick, filled so far to ``found``.

    Returns:
        The number of picks.
    """
    before = found
    for vote in votes:
        if owners[vote] >= 0:
            continue
        x0, y0, x1, y1 = boxes[vote, 0], boxes[vote, 1], boxes[vote, 2], boxes[vote, 3]
        area = (x1 - x0) * (y1 - y0)
        owner = found
        for k in range(before, found):
            width = min(x1, picked[k, 2]) - max(x0, picked[k, 0])
            height = min(y1, picked[k, 3]) - max(y0, picked[k, 1])
            if width > 0 and height > 0:
                common = width * height
                if common > overlap * (area + picked[k, 4] - common):
                    owner = k
                    break
        owners[vote] = owner
        if owner == found:
            kept[found] = vote
            picked[found, 0], picked[found, 1] = x0, y0
            picked[found, 2], picked[found, 3] = x1, y1
            picked[found, 4] = area
            found += 1
    return found


@jit()
def most_overlapping(
    boxes: DoubleArray, modes: DoubleArray, best: IntArray, most: DoubleArray
) -> None:
    """Find for each box (P, 4) the mode (K, 4) that it overlaps most, and how much.

    Args:
        boxes: (P, 4).
        modes: (K, 4).
        best: (P,) of noughts; becomes the mode, the first of equals.
        most: (P,) of noughts; becomes its intersection over union with the box.
    """
    block = np.empty((6, _BLOCK))
    x0, y0, x1, y1, areas, overlaps = block[0], block[1], block[2], block[3], block[4], block[5]
    for start in range(0, len(boxes), _BLOCK):
        size = min(_BLOCK, len(boxes) - start)
        for i in range(size):
            box = boxes[start + i]
            x0[i], y0[i], x1[i], y1[i] = box[0], box[1], box[2], box[3]
            areas[i] = (box[2] - box[0]) * (box[3] - box[1])
        top, winner = most[start : start + size], best[start : start + size]
        for k in range(len(modes)):
            left, upper, right, lower = modes[k, 0], modes[k, 1], modes[k, 2], modes[k, 3]
            area = (right - left) * (lower - upper)
            for i in range(size):
                width = max(min(x1[i], right) - max(x0[i], left), 0.0)
                height = max(min(y1[i], lower) - max(y0[i], upper), 0.0)
                common = width * height
                overlaps[i] = common / (areas[i] + area - common)
            for i in range(size):
                winner[i] = k if overlaps[i] > top[i] else winner[i]
            for i in range(size):
                top[i] = overlaps[i] if overlaps[i] > top[i] else top[i]
