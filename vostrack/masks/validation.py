"""Checks of every first mask, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.object_count import check_count
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import KnownBy, ParsedMask
from vostrack.masks.stack import stack_masks
from vostrack.masks.values import interpret_values
from vostrack.wording import counted

__all__ = [
    "MAX_OBJECTS",
    "MIN_PIXELS",
    "FirstMask",
    "MaskSizeError",
    "check_first_mask",
    "check_limits",
    "finish",
]

MAX_OBJECTS = 32
"""More than any DAVIS (10) or YouTube-VOS (6) sequence has, fewer than a smoothed edge yields."""

MIN_PIXELS = 64
"""The area of one cell of a stride-8 feature map. A smaller object may leave no trace there."""


class MaskSizeError(InputError):
    """A mask has another size than its video."""

    problem: str = ""
    """The message without the remedy."""


@dataclass(frozen=True)
class FirstMask:
    """The objects to track, as the user marked them.

    Attributes:
        labels: (H, W) uint8; 0 background, 1..254 object ids, 255 void.
        ids: the object ids, ascending.
        names: the name of each object in the source: a file name, a track or a colour.
        warnings: one sentence for each thing that the user should know.
        alpha: (N, H, W) float32 in [0, 1], the soft mask of each object in the order of ``ids``, if
            the source has soft edges.
        frame: number of the frame that the source states, as ``first_mask_frame`` takes it; None if
            it states none, or the first one.
        known_by: what tells an object in the masks of other frames: its id; its name, where ids
            were only counted (colours, labels, values above 254); or, where there is one file for
            each object, the file's name if that occurs again, else the order.
        identities: names of all objects to tell them by before ``names``, the surest first.
    """

    labels: UInt8Array
    ids: tuple[int, ...]
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    alpha: FloatArray | None = None
    frame: int | None = None
    known_by: KnownBy = "ids"
    identities: tuple[tuple[str, ...], ...] = ()


def check_first_mask(
    labels: Any,
    *,
    size: tuple[int, int] | None = None,
    max_objects: int = MAX_OBJECTS,
    min_pixels: int = MIN_PIXELS,
) -> FirstMask:
    """Check a first mask that is already in memory.

    Args:
        labels: (H, W) bool; (H, W) integers, interpreted like the values of a gray PNG; or
            (N, H, W) bool, one mask per object, with ids 1..N.
        size: H and W of the video in pixels, if known.
        max_objects: maximum number of objects, 1..254.
        min_pixels: a warning is issued for objects with fewer pixels; at least 0.

    Returns:
        The mask, with the objects' ids and names and with warnings.

    Raises:
        InputError: the mask cannot be used. The message names the problem and the remedy.
    """
    check_limits(max_objects, min_pixels)
    if isinstance(labels, FirstMask):
        labels = labels.labels
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise InputError(
            f"first mask: expected an array (H, W), got rows of unequal length ({error}); "
            "make all rows equally long"
        ) from error
    if array.dtype == np.bool_ and array.ndim == 3:
        ids = range(1, len(array) + 1)
        parsed = stack_masks(array, ids, [str(n) for n in ids], "first mask", max_objects)
    elif array.ndim == 2 and array.dtype.kind in "biu":
        values = array.astype(np.int64)
        drawn = array.dtype != np.bool_
        parsed = interpret_values(values, "first mask", max_objects, drawn=drawn)
    else:
        raise InputError(
            "first mask: expected (H, W) bool or integers, or (N, H, W) bool, "
            f"got {array.dtype} of shape {array.shape}; convert it with .astype(numpy.uint8), or "
            "compare probabilities with a threshold"
        )
    return finish(parsed, "first mask", size, min_pixels)


def check_limits(max_objects: int, min_pixels: int) -> None:
    """Check the limits.

    Raises:
        InputError: ``max_objects`` is outside 1..254 or ``min_pixels`` is negative.
    """
    if not 1 <= max_objects < VOID:
        raise InputError(
            f"max_objects: expected 1..254 (a label map has 8 bits), got {max_objects}; "
            "track more objects in several runs"
        )
    if min_pixels < 0:
        raise InputError(f"min_pixels: expected 0 or more, got {min_pixels}; use 0 for no warning")


def finish(
    parsed: ParsedMask, origin: str, size: tuple[int, int] | None, min_pixels: int
) -> FirstMask:
    """Check a parsed mask against the video and collect its ids, names and warnings.

    Args:
        parsed: the mask.
        origin: name of the mask in messages.
        size: H and W of the video in pixels, if known.
        min_pixels: a warning is issued for objects with fewer pixels.

    Raises:
        MaskSizeError: the mask does not have the size of the video.
        InputError: it marks no object.
    """
    labels = parsed.labels
    if size is not None:
        _check_size(labels.shape, size, origin)
    areas = np.bincount(labels.ravel(), minlength=256)
    ids = [n for n in range(1, VOID) if areas[n]]
    if not ids:
        check_count(np.zeros(0, np.int64), np.zeros(0, np.int64), (), origin, MAX_OBJECTS)
    warnings = list(parsed.warnings)
    for n in ids:
        if areas[n] < min_pixels:
            seen = counted(int(areas[n]), "pixel")
            warnings.append(
                f"{origin}: object {_called(n, parsed.names)} has {seen}, fewer than "
                f"{min_pixels}, and may be lost immediately; check for stray pixels, or mark it in "
                "a frame where it is larger"
            )
    if not areas[0]:
        warnings.append(
            f"{origin}: no pixel is background, so the mask covers the whole frame; "
            "check that it is not inverted"
        )
    names = tuple(parsed.names.get(n, str(n)) for n in ids)
    alpha = None
    if parsed.alpha is not None:
        soft = parsed.alpha
        planes = [soft[n] if n in soft else (labels == n).astype(np.float32) for n in ids]
        alpha = np.stack(planes)
    identities = tuple(
        tuple(known.get(n, name) for n, name in zip(ids, names, strict=True))
        for known in parsed.identities
    )
    return FirstMask(
        labels,
        tuple(ids),
        names,
        tuple(warnings),
        alpha,
        parsed.frame,
        parsed.known_by,
        identities,
    )


def _called(number: int, names: Mapping[int, str]) -> str:
    name = names.get(number, str(number))
    return str(number) if name == str(number) else f"{number} ({name})"


def _check_size(actual: tuple[int, ...], expected: tuple[int, int], origin: str) -> None:
    if actual == expected:
        return
    height, width = actual
    if actual == expected[::-1]:
        remedy = "width and height are swapped; rotate or transpose the mask"
    elif height * expected[1] == width * expected[0]:
        remedy = "resize the mask with nearest neighbour"
    else:
        remedy = "create the mask on a frame of this video, at full size"
    problem = (
        f"{origin}: the mask is {width}x{height} pixels (width x height), expected the video's "
        f"{expected[1]}x{expected[0]}"
    )
    error = MaskSizeError(f"{problem}; {remedy}")
    error.problem = problem
    raise error
