"""A later click changes the mask near itself and leaves the rest as it was."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vostrack.arrays import FloatArray
from vostrack.interactive.cues import FrameMaps, embedding_similarity, straight_distance
from vostrack.interactive.prompts import Click

__all__ = [
    "ALIKE",
    "LARGEST_CHANGE",
    "NEARER",
    "PRIOR_LIMIT",
    "REACH",
    "changed_near",
    "depth_in_wrong",
]

PRIOR_LIMIT = 2.5
"""Logits of the mask before are kept within this: a later click can outweigh any of them."""

# The largest change, in logits, and how far it reaches at least, as a share of the frame's shorter
# side. A person clicks in the middle of what is wrong: the change reaches beyond the edge of that.
LARGEST_CHANGE, REACH, _BEYOND = 8.0, 0.15, 2.0
# A place on the way to a click of the other kind is changed as long as the clicked place is nearer
# by this factor; places that look less alike than this stay.
NEARER, ALIKE = 1.6, 0.2


def changed_near(maps: FrameMaps, clicks: Sequence[Click], before: FloatArray) -> FloatArray:
    """Return the logits (h, w) of a mask after one more click.

    What is near the last click, looks like it, and lies on its side of the edges changes towards
    it. Nearness along the image is that of ``ImageGraph``, compared with the clicks of the other
    kind.

    Args:
        maps: of the frame.
        clicks: with positions on the grid; the last one is new.
        before: (h, w) logits of the mask without it.
    """
    last = clicks[-1]
    here = [(last.x, last.y)]
    others = [(c.x, c.y) for c in clicks if c.inside != last.inside]
    reach = min(max(REACH, _BEYOND * depth_in_wrong(last, before)), 1.0)
    near = np.exp(-straight_distance(here, maps) / reach)
    path = maps.graph.from_points(here)
    if others:
        share = path / (path + maps.graph.from_points(others) + 1e-6)
    else:
        share = path / (path + path.max() + 1e-6)
    own_side = np.clip(1 - NEARER * share, 0, 1)
    alike = np.clip((embedding_similarity(maps, here) - ALIKE) / (1 - ALIKE), 0, 1)
    change = LARGEST_CHANGE * near * own_side * alike
    kept = np.clip(before, -PRIOR_LIMIT, PRIOR_LIMIT)
    return np.asarray(kept + change if last.inside else kept - change, np.float32)


def depth_in_wrong(click: Click, before: FloatArray) -> float:
    """Return how far a click lies in what it calls wrong, as a share of the shorter side."""
    wrong = (before <= 0) if click.inside else (before > 0)
    depth = cv2.distanceTransform(wrong.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return float(depth[click.y, click.x] / min(before.shape))
