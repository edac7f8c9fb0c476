"""Cues of every pixel from clicks, and their weighted sum: a rough mask of the object.

The weights are a logistic regression on 15 first frames of DAVIS training sequences and 20
photographs of single objects, over five simulated clicks each; a click lay at the inner point of
the largest error so far. ``scripts/fit_click_cues.py`` fits such weights. It was run again later:
its weights differ from these, which an earlier choice of images gave, and on seven training frames
its masks are as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vostrack.arrays import FloatArray
from vostrack.interactive.distances import ImageGraph
from vostrack.interactive.prompts import Click

__all__ = [
    "CUES",
    "FIRST_WEIGHTS",
    "LATER_WEIGHTS",
    "FrameMaps",
    "cue_maps",
    "embedding_similarity",
    "rough_logits",
    "straight_distance",
]

# Logits of the mask before are kept within this, as in the fit.
_LIMIT = 5.0

_WEIGHTS: dict[str, tuple[float, float]] = {
    "constant": (-1.29, 1.232),
    "foreground": (0.667, 0.407),
    "foreground where clicked": (0.181, 0.088),
    "trust in the foreground": (-0.72, -0.748),
    "key inside": (0.843, 2.28),
    "embedding inside": (3.027, 0.663),
    "distance inside": (-2.589, -0.906),
    "log distance inside": (-0.794, -0.111),
    "path inside": (-0.341, -0.871),
    "path border": (0.914, 0.553),
    "colour inside": (-0.306, -2.304),
    "any outside": (0.0, -1.044),
    "path outside": (0.0, 0.403),
    "log distance outside": (0.0, -0.29),
    "key outside": (0.0, -0.852),
    "embedding outside": (0.0, -0.981),
    "colour outside": (0.0, 1.023),
    "before": (0.0, 0.626),
    "before, near inside": (0.0, 0.162),
    "before, near outside": (0.0, -0.308),
    "several": (0.0, -0.306),
    "near inside": (0.349, -0.963),
    "near outside": (0.0, -1.927),
}
"""Of each cue: the weight for the first click, and the weight for those after it."""

CUES = tuple(_WEIGHTS)
FIRST_WEIGHTS: FloatArray = np.array([pair[0] for pair in _WEIGHTS.values()], np.float32)
LATER_WEIGHTS: FloatArray = np.array([pair[1] for pair in _WEIGHTS.values()], np.float32)


@dataclass(frozen=True)
class FrameMaps:
    """What is known of a frame before any click, on a grid of h x w pixels.

    Attributes:
        foreground: (h, w) logit of the foreground network.
        colour: (3, h, w) Lab in [0, 1].
        keys: (K, h, w) unit vectors in which the target network compares places.
        embedding: (E, h, w) unit vectors that its classifier sees.
        graph: distances along the image.
    """

    foreground: FloatArray
    colour: FloatArray
    keys: FloatArray
    embedding: FloatArray
    graph: ImageGraph

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.graph.size


def rough_logits(maps: FrameMaps, clicks: Sequence[Click], before: FloatArray | None) -> FloatArray:
    """Return the logit (h, w) of the object's mask.

    Args:
        maps: of the frame.
        clicks: with positions on the grid; at least one inside.
        before: (h, w) the logits without the last click; None for the first.
    """
    weights = FIRST_WEIGHTS if before is None else LATER_WEIGHTS
    logits: FloatArray = np.tensordot(weights, cue_maps(maps, clicks, before), 1)
    return logits


def cue_maps(maps: FrameMaps, clicks: Sequence[Click], before: FloatArray | None) -> FloatArray:
    """Return the cues (C, h, w), in the order of ``CUES``; see ``rough_logits``."""
    inside = [(click.x, click.y) for click in clicks if click.inside]
    outside = [(click.x, click.y) for click in clicks if not click.inside]
    ones = np.ones_like(maps.foreground)
    zeros = np.zeros_like(ones)
    trust = np.mean([np.tanh(maps.foreground[y, x] / 2) for x, y in inside])
    reach = straight_distance(inside, maps)
    cues = {
        "constant": ones,
        "foreground": maps.foreground,
        "foreground where clicked": maps.foreground * trust,
        "trust in the foreground": ones * trust,
        "key inside": _similarity(maps.keys, inside),
        "embedding inside": embedding_similarity(maps, inside),
        "distance inside": reach,
        "log distance inside": np.log(reach + 0.03),
        "path inside": np.log(maps.graph.from_points(inside) + 0.05),
        "path border": np.log(maps.graph.from_border() + 0.05),
        "colour inside": _colour_distance(maps.colour, inside),
        **dict.fromkeys(_OUTSIDE_CUES, zeros),
        "before": zeros,
        "before, near inside": zeros,
        "before, near outside": zeros,
        "several": ones * (len(inside) > 1),
        "near inside": np.exp(-reach / 0.05),
        "near outside": zeros,
    }
    known = zeros if before is None else np.clip(before, -_LIMIT, _LIMIT)
    cues |= {"before": known, "before, near inside": known * np.exp(-reach / 0.1)}
    if outside:
        cues |= _outside_cues(maps, outside, known)
    return np.stack([cues[name] for name in CUES]).astype(np.float32)


_OUTSIDE_CUES = (
    "any outside",
    "path outside",
    "log distance outside",
    "key outside",
    "embedding outside",
    "colour outside",
)


def _outside_cues(
    maps: FrameMaps, points: Sequence[tuple[int, int]], known: FloatArray
) -> dict[str, FloatArray]:
    reach = straight_distance(points, maps)
    return {
        "any outside": np.ones_like(reach),
        "path outside": np.log(maps.graph.from_points(points) + 0.05),
        "log distance outside": np.log(reach + 0.03),
        "key outside": _similarity(maps.keys, points),
        "embedding outside": embedding_similarity(maps, points),
        "colour outside": _colour_distance(maps.colour, points),
        "before, near outside": known * np.exp(-reach / 0.1),
        "near outside": np.exp(-reach / 0.05),
    }


def straight_distance(points: Sequence[tuple[int, int]], maps: FrameMaps) -> FloatArray:
    """Return the distance to the nearest point, as a share of the frame's shorter side."""
    height, width = maps.foreground.shape
    rows, columns = np.mgrid[:height, :width]
    away = np.min([np.hypot(columns - x, rows - y) for x, y in points], axis=0)
    share: FloatArray = (away / min(height, width)).astype(np.float32)
    return share


def embedding_similarity(maps: FrameMaps, points: Sequence[tuple[int, int]]) -> FloatArray:
    """Return how much each place (h, w) looks like the most alike of some points, at most 1."""
    return _similarity(maps.embedding, points)


def _similarity(vectors: FloatArray, points: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the largest cosine with the vectors at some points."""
    columns, rows = np.array(points).T
    found: FloatArray = np.tensordot(vectors[:, rows, columns].T, vectors, 1).max(0)
    return found


def _colour_distance(colour: FloatArray, points: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the smallest sum of absolute differences from the colours at some points."""
    found: FloatArray = np.min(
        [np.abs(colour - colour[:, y, x, None, None]).sum(0) for x, y in points], axis=0
    )
    return found
