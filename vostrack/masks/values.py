"""Interpreting the integers of a mask: which values are objects, background and void."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = ["ParsedMask", "interpret_indices", "interpret_values", "largest"]


_VOID_16_BIT = 65535
_TOO_MANY = "or increase `max_objects` (at most 254)"


@dataclass(frozen=True)
class ParsedMask:
    """A first mask that has been read but not yet checked against the video.

    Attributes:
        labels: (H, W) uint8; 0 background, 1..254 ids, 255 void.
        names: names of the ids in the source, if they differ from the numbers.
        warnings: what the user should know about how the source was read.
    """

    labels: UInt8Array
    names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def interpret_values(values: IntArray, origin: str, max_objects: int) -> ParsedMask:
    """Interpret gray values, palette indices or an array of ids.

    A two-level mask (0/255, 0/1, 0/65535) contains one object, with id 1. Otherwise the values are
    ids, and the maximum value 255 (65535 if any value exceeds 255) is void. If an id is above 254,
    all ids are renumbered in ascending order, with a warning; their names keep the original value.

    Args:
        values: (H, W) integers.
        origin: name of the mask in messages.
        max_objects: maximum number of objects.

    Raises:
        InputError: there is no object, there are more than ``max_objects``, an id is negative, or
            the edges are anti-aliased.
    """
    levels, areas = _levels(values)
    if levels.size and int(levels[0]) < 0:
        raise InputError(
            f"{origin}: ids must be 1..254 (0 background, 255 void), got {int(levels[0])}; "
            "set pixels to ignore to 255"
        )
    void = VOID if not levels.size or int(levels[-1]) <= VOID else _VOID_16_BIT
    if levels.size == 1 and int(levels[0]) in (1, VOID, _VOID_16_BIT):
        return ParsedMask((values != 0).astype(np.uint8))
    _refuse_smoothed(values, levels, areas, [str(n) for n in levels], origin)
    is_id = levels != void
    ids, areas = levels[is_id], areas[is_id]
    _refuse_count(ids, areas, [str(n) for n in ids], origin, max_objects)
    warnings = _void_warnings(values == void, int(areas.sum()), origin)
    if int(ids[-1]) < VOID:
        return ParsedMask(values.astype(np.uint8), {}, warnings)
    labels = np.zeros(values.shape, dtype=np.uint8)
    for new, old in enumerate(ids, start=1):
        labels[values == old] = new
    labels[values == void] = VOID
    return ParsedMask(
        labels,
        {new: str(old) for new, old in enumerate(ids, start=1)},
        (
            *warnings,
            f"{origin}: ids above 254 do not fit an 8-bit label map; "
            f"{', '.join(str(n) for n in ids[:8])}{', ...' if len(ids) > 8 else ''} "
            f"became 1..{len(ids)}",
        ),
    )


def interpret_indices(
    indices: IntArray, ids: Sequence[int], names: Sequence[str], origin: str, max_objects: int
) -> ParsedMask:
    """Interpret a map of indices into a list of colours.

    Args:
        indices: (H, W); 0 background, k + 1 for the colour at position k of ``ids`` and ``names``.
        ids: the distinct id of each colour, from 1; 255 is void.
        names: name of each colour.
        origin: name of the mask in messages.
        max_objects: maximum number of objects.

    Raises:
        InputError: there is no object, there are more than ``max_objects``, or the edges are
            anti-aliased.
    """
    levels, areas = _levels(indices)
    called = [names[k - 1] for k in levels]
    _refuse_smoothed(indices, levels, areas, called, origin)
    objects = np.array([ids[k - 1] != VOID for k in levels], dtype=bool)
    called = [name for name, kept in zip(called, objects, strict=True) if kept]
    _refuse_count(levels[objects], areas[objects], called, origin, max_objects)
    table = np.array([0, *ids], dtype=np.uint8)
    return ParsedMask(table[indices], dict(zip(ids, names, strict=True)))


def largest(areas: IntArray, names: Sequence[str], most: int = 4) -> str:
    """List the largest of several regions, for a message.

    Args:
        areas: (K,) areas in pixels.
        names: K names.
        most: maximum number of regions to list.
    """
    order = np.argsort(-areas, kind="stable")[:most]
    return ", ".join(f"{names[k]} ({int(areas[k])} px)" for k in order)


def _levels(values: IntArray) -> tuple[IntArray, IntArray]:
    """Return the non-zero values, ascending, and their areas in pixels."""
    levels, areas = np.unique(values, return_counts=True)
    kept = levels != 0
    return levels[kept].astype(np.int64), areas[kept].astype(np.int64)


def _void_warnings(void: BoolArray, marked: int, origin: str) -> tuple[str, ...]:
    area = int(np.count_nonzero(void))
    if area <= marked:
        return ()
    return (
        f"{origin}: {area} pixels are void (the maximum value, which belongs to no object), more "
        f"than the {marked} pixels of all objects; if they are an object, give it an id in 1..254",
    )


def _refuse_count(
    ids: IntArray, areas: IntArray, names: Sequence[str], origin: str, max_objects: int
) -> None:
    if ids.size == 0:
        raise InputError(
            f"{origin}: the mask is empty, every pixel is background or void; expected at least "
            "one object; paint it with an id in 1..254 (or white in a binary mask)"
        )
    if ids.size > max_objects:
        raise InputError(
            f"{origin}: contains {ids.size} objects, expected at most {max_objects}; the largest "
            f"are {largest(areas, names)}. If the edges are smoothed or the mask was once a JPEG, "
            "save it as PNG without anti-aliasing (resize with nearest neighbour); "
            f"otherwise merge objects, {_TOO_MANY}"
        )


def _refuse_smoothed(
    values: IntArray, levels: IntArray, areas: IntArray, names: Sequence[str], origin: str
) -> None:
    """Reject a mask with anti-aliased edges."""
    thin = _smoothed_levels(values, levels)
    if thin:
        raise InputError(
            f"{origin}: the edges are smoothed: {thin} of the {levels.size} values occur only as "
            "thin seams between others; expected one exact value per object; the largest regions "
            f"are {largest(areas, names)}. Save the mask as PNG without anti-aliasing, and resize "
            "it with nearest neighbour only"
        )


def _smoothed_levels(values: IntArray, levels: IntArray) -> int:
    """Count the levels that exist only because edges were smoothed.

    A level is thin if none of its pixels has all eight neighbours on the same level. In a smoothed
    mask, thin levels lie between two solid levels, in space and in value, almost everywhere that
    solid levels would touch. A mask with one tiny object has far more direct contacts than thin
    pixels. A seam of void does not have a value between those of its neighbours.
    """
    height, width = values.shape
    padded = np.pad(values, 1, mode="edge")
    same = np.ones(values.shape, dtype=bool)
    for row in range(3):
        for column in range(3):
            same &= padded[row : row + height, column : column + width] == values
    solid_levels = np.unique(values[same])
    solid_levels = solid_levels[solid_levels > 0]
    solid = np.isin(values, (0, *solid_levels))
    if solid.all() or not solid_levels.size:
        return 0
    high = _window(np.where(solid, values, -1), largest_of=True)
    low = _window(np.where(solid, values, np.iinfo(np.int64).max), largest_of=False)
    seams = high[~solid & (low < values) & (values < high)]
    touching = np.concatenate([_contacts(values, solid), _contacts(values.T, solid.T)])
    between = seams.size >= 0.8 * np.count_nonzero(~solid)
    # White is also judged separately: it would be taken for void, whatever else is in the mask.
    white = np.count_nonzero(seams == VOID)
    if (between and seams.size >= touching.size) or (
        white and white >= np.count_nonzero(touching == VOID)
    ):
        return int(levels.size - solid_levels.size)
    return 0


def _contacts(values: IntArray, solid: BoolArray) -> IntArray:
    """Return the larger value of every two vertical neighbours that are solid and differ."""
    above, below = values[:-1], values[1:]
    touch = (above != below) & solid[:-1] & solid[1:]
    return np.asarray(np.maximum(above[touch], below[touch]))


def _window(values: IntArray, *, largest_of: bool) -> IntArray:
    """Return the largest or smallest value in the 5 x 5 window around each pixel."""
    combine = np.maximum if largest_of else np.minimum
    for axis in (0, 1):
        width = [(2, 2) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(values, width, mode="edge")
        size = values.shape[axis]
        values = padded.take(range(size), axis=axis)
        for shift in range(1, 5):
            values = combine(values, padded.take(range(shift, shift + size), axis=axis))
    return values
