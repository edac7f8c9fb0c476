"""A click in a frame that has a mask already, such as one that was tracked, changes a part of it.

The mask is right almost everywhere: its inside and its outside far from the click are evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vostrack.arrays import BoolArray, FloatArray
from vostrack.interactive.corrections import (
    ALIKE,
    LARGEST_CHANGE,
    NEARER,
    PRIOR_LIMIT,
    REACH,
    depth_in_wrong,
)
from vostrack.interactive.cues import FrameMaps, embedding_similarity, straight_distance
from vostrack.interactive.prompts import Click

__all__ = ["ALLOWED", "local_change", "mask_logits", "separate_piece", "with_change"]

ALLOWED = 1.0
"""Where the change is less, in logits, the mask stays as it was."""

# A click reaches at least as far as a later click does, further where it lies deep in what it calls
# wrong, but at most this share of the frame's shorter side.
_BEYOND, _MOST = 1.5, 0.25
# The change ends at this many times its reach; the mask beyond counts as right.
_END = 1.5


def mask_logits(mask: BoolArray, size: tuple[int, int]) -> FloatArray:
    """Return a mask (H, W) as logits on the grid of the cues, ``size`` = h and w."""
    signed = np.where(mask, np.float32(PRIOR_LIMIT), np.float32(-PRIOR_LIMIT))
    small = cv2.resize(signed, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def local_change(maps: FrameMaps, clicks: Sequence[Click], before: FloatArray) -> FloatArray:
    """Return how much a click changes the logits of the mask (h, w), at least 0.

    What is near the click, looks like it, and is nearer to it along the image than to the rest of
    what is right, changes.

    Args:
        maps: of the frame.
        clicks: with positions on the grid; the last one is new.
        before: (h, w) logits of the mask without it.
    """
    last = clicks[-1]
    here = [(last.x, last.y)]
    reach = np.clip(_BEYOND * depth_in_wrong(last, before), REACH, _MOST)
    away = straight_distance(here, maps)
    right = (away > _END * reach) & ((before <= 0) if last.inside else (before > 0))
    for click in clicks:
        if click.inside != last.inside:
            right[click.y, click.x] = True
    path = maps.graph.from_points(here)
    rest = maps.graph.from_places(right) if right.any() else np.full_like(path, path.max())
    own_side = np.clip(1 - NEARER * path / (path + rest + 1e-6), 0, 1)
    alike = np.clip((embedding_similarity(maps, here) - ALIKE) / (1 - ALIKE), 0, 1)
    change = LARGEST_CHANGE * np.exp(-away / reach) * own_side * alike
    return np.where(away <= _END * reach, change, 0).astype(np.float32)


def separate_piece(mask: BoolArray, clicks: Sequence[Click]) -> BoolArray | None:
    """Return the piece (H, W) that the last click takes away as a whole.

    None if it is the largest, or somebody clicked on it as part of the object.
    """
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    last = clicks[-1]
    piece = int(pieces[last.y, last.x])
    kept = {1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())}
    kept |= {int(pieces[click.y, click.x]) for click in clicks if click.inside}
    return None if piece in kept else np.asarray(pieces == piece)


def with_change(mask: BoolArray, found: BoolArray, allowed: BoolArray, click: Click) -> BoolArray:
    """Return the mask with the connected part at the click changed to what was found.

    Args:
        mask: (H, W) before the click.
        found: (H, W) what the networks say after it.
        allowed: (H, W) where it may change.
        click: in pixels of the frame.
    """
    changed = ((found != mask) & (mask != click.inside) & allowed).astype(np.uint8)
    changed[click.y, click.x] = 1
    _, pieces = cv2.connectedComponents(changed)
    return np.asarray(mask ^ (pieces == pieces[click.y, click.x]))
