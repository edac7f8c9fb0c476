"""Where an object can be in a map of stride 4, and what the logits there depend on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["Place", "possible_places", "seen_around", "span_of", "without_margin"]

# An object can be where its logit at stride 4 is above this: a score of 0.047.
_HARDLY = -3.0
# Cells of stride 4 that a logit at stride 2 depends on, on each side: one of them by bilinear
# scaling, and one by two convolutions.
_SEEN = 2

# Rows and columns at stride 4, from and to.
Place = tuple[tuple[int, int], tuple[int, int]]


def seen_around(place: Place) -> tuple[slice, slice]:
    """Return the rows and columns that the logits of a place depend on; see ``_SEEN``."""
    (top, bottom), (left, right) = place
    return slice(max(0, top - _SEEN), bottom + _SEEN), slice(max(0, left - _SEEN), right + _SEEN)


def without_margin(part: Tensor, place: Place, seen: tuple[slice, slice]) -> Tensor:
    """Cut from maps (B, C, 2 h', 2 w') of what is seen around a place those of the place."""
    (y, height), (z, width) = (
        (2 * (start - span.start), 2 * (stop - start))
        for (start, stop), span in zip(place, seen, strict=True)
    )
    return part[..., y : y + height, z : z + width]


def possible_places(coarse: Tensor) -> list[Place | None]:
    """Return the rows and the columns, from and to, in which each object can be.

    Args:
        coarse: (B, 1, h, w) logits.
    """
    inside = (coarse[:, 0] > _HARDLY).view(torch.uint8)
    filled = inside.amax(2).numpy(), inside.amax(1).numpy()
    found: list[Place | None] = []
    for rows, columns in zip(*filled, strict=True):
        if not rows.any():
            found.append(None)
            continue
        found.append((span_of(rows), span_of(columns)))
    return found


def span_of(filled: np.ndarray) -> tuple[int, int]:
    """Return the first cell and the one after the last, with one more on each side.

    Multiples of 8 cells: libraries prepare their kernels for each new shape.
    """
    places = np.flatnonzero(filled)
    first, last = max(0, int(places[0]) - 1), min(len(filled), int(places[-1]) + 2)
    length = min(len(filled), last - first + -(last - first) % 8)
    first = min(first, len(filled) - length)
    return first, first + length
