"""The checks every first mask passes, whatever form it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.masks.stack import stack_masks
from vostrack.masks.values import ParsedMask, interpret_values

__all__ = ["MAX_OBJECTS", "MIN_PIXELS", "FirstMask", "check_first_mask", "check_limits", "finish"]

MAX_OBJECTS = 32
"""Above every DAVIS (10) and YouTube-VOS (6) sequence, below what a smoothed edge looks like."""

MIN_PIXELS = 64
"""One cell of a stride-8 feature map: an object below it may leave no trace there."""


@dataclass(frozen=True)
class FirstMask:
    """The objects to track, as the user marked them.

    Attributes:
        labels: (H, W) uint8; 0 background, the ids, 255 void.
        ids: the objects' ids in 1..254, ascending.
        names: what the source calls each of ``ids``: a file's name, a track, a colour.
        warnings: what the user should know, one sentence each.
    """

    labels: UInt8Array
    ids: tuple[int, ...]
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def check_first_mask(
    labels: Any,
    *,
    size: tuple[int, int] | None = None,
    max_objects: int = MAX_OBJECTS,
    min_pixels: int = MIN_PIXELS,
) -> FirstMask:
    """Check a first mask that is already in memory.

    Args:
        labels: (H, W) bool; or (H, W) integers, read as a gray PNG's values would be; or
            (N, H, W) bool, one mask an object, which become ids 1..N.
        size: H and W of the video, when known.
        max_objects: the most objects to accept, 1..254.
        min_pixels: warn of an object with fewer pixels.

    Raises:
        InputError: it cannot be used; the message says why, and what to do.
    """
    check_limits(max_objects, min_pixels)
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise InputError(
            f"first mask: expected an array (H, W), got rows of unequal length ({error}); "
            "make them equal"
        ) from error
    if array.dtype == np.bool_ and array.ndim == 3:
        ids = range(1, len(array) + 1)
        parsed = stack_masks(array, ids, [str(n) for n in ids], "first mask", max_objects)
    elif array.ndim == 2 and array.dtype.kind in "biu":
        parsed = interpret_values(array.astype(np.int64), "first mask", max_objects)
    else:
        raise InputError(
            "first mask: expected (H, W) bool or integers, or (N, H, W) bool, "
            f"got {array.dtype} of shape {array.shape}; convert it with .astype(numpy.uint8), or "
            "compare probabilities with a threshold"
        )
    return finish(parsed, "first mask", size, min_pixels)


def check_limits(max_objects: int, min_pixels: int) -> None:
    """Refuse limits that no mask could meet.

    Raises:
        InputError: ``max_objects`` is outside 1..254 or ``min_pixels`` is negative.
    """
    if not 1 <= max_objects < VOID:
        raise InputError(
            f"--max-objects: expected 1..254 (a label map has 8 bits), got {max_objects}; "
            "track more objects in several runs"
        )
    if min_pixels < 0:
        raise InputError(f"min_pixels: expected 0 or more, got {min_pixels}; give 0 for no warning")


def finish(
    parsed: ParsedMask, origin: str, size: tuple[int, int] | None, min_pixels: int
) -> FirstMask:
    """Check what any form was read as against the video, and name its objects.

    Raises:
        InputError: wrong size.
    """
    labels = parsed.labels
    if size is not None:
        _check_size(labels.shape, size, origin)
    areas = np.bincount(labels.ravel(), minlength=256)
    ids = [n for n in range(1, VOID) if areas[n]]
    warnings = list(parsed.warnings)
    for n in ids:
        if areas[n] < min_pixels:
            warnings.append(
                f"{origin}: object {_called(n, parsed.names)} covers {areas[n]} pixels, fewer than "
                f"{min_pixels}, and may be lost at once; check for stray pixels, or mark it in a "
                "frame where it is larger"
            )
    if not areas[0]:
        warnings.append(
            f"{origin}: no pixel is background, so the mask covers the whole frame; "
            "check that it is not inverted"
        )
    names = tuple(parsed.names.get(n, str(n)) for n in ids)
    return FirstMask(labels, tuple(ids), names, tuple(warnings))


def _called(number: int, names: Mapping[int, str]) -> str:
    name = names.get(number, str(number))
    return str(number) if name == str(number) else f"{number} ({name})"


def _check_size(actual: tuple[int, ...], expected: tuple[int, int], origin: str) -> None:
    if actual == expected:
        return
    height, width = actual
    if actual == expected[::-1]:
        remedy = "width and height are exchanged, so rotate or transpose the mask"
    elif height * expected[1] == width * expected[0]:
        remedy = "resize the mask with nearest neighbour"
    else:
        remedy = "make the mask on a frame of this very video, at its full size"
    raise InputError(
        f"{origin}: the mask is {width}x{height} pixels (width x height), expected the video's "
        f"{expected[1]}x{expected[0]}; {remedy}"
    )
