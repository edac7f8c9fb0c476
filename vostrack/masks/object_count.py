"""Checking how many objects a first mask contains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vostrack.arrays import IntArray
from vostrack.errors import InputError

__all__ = ["check_count", "largest"]

_TOO_MANY = "or increase `max_objects` (at most 254)"


def largest(areas: IntArray, names: Sequence[str], most: int = 4) -> str:
    """List the largest of several regions, for a message.

    Args:
        areas: (K,) areas in pixels.
        names: K names.
        most: maximum number of regions to list.
    """
    order = np.argsort(-areas, kind="stable")[:most]
    return ", ".join(f"{names[k]} ({int(areas[k])} px)" for k in order)


def check_count(
    ids: IntArray,
    areas: IntArray,
    names: Sequence[str],
    origin: str,
    max_objects: int,
    *,
    thin: bool = False,
) -> None:
    """Check the number of objects.

    Args:
        ids: K ids.
        areas: (K,) areas in pixels.
        names: K names.
        origin: name of the mask in messages.
        max_objects: maximum number of objects.
        thin: whether most values form no solid regions, as in a blurred mask or a photograph.

    Raises:
        InputError: there is no object, or there are more than ``max_objects``.
    """
    if ids.size == 0:
        raise InputError(
            f"{origin}: the mask is empty, every pixel is background or void; expected at least "
            "one object; paint it with an id in 1..254 (or white in a binary mask)"
        )
    if ids.size > max_objects:
        remedy = (
            "These values are those of a blurred mask or a photograph; give the mask, saved as PNG "
            "without anti-aliasing (resize with nearest neighbour)"
            if thin
            else f"Merge objects, {_TOO_MANY}"
        )
        raise InputError(
            f"{origin}: contains {ids.size} objects, expected at most {max_objects}; the largest "
            f"are {largest(areas, names)}. {remedy}"
        )
