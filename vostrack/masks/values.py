"""Interpreting the integers of a mask: which values are objects, background and void."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray, IntArray
from vostrack.errors import InputError
from vostrack.masks.background import find_background
from vostrack.masks.object_count import check_count
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import KnownBy, ParsedMask, renumbered, turned
from vostrack.masks.smoothing import Edges, find_cores, resolve_edges
from vostrack.masks.thin_levels import thin_levels

__all__ = ["interpret_smoothed", "interpret_values", "smoothed_note"]

_VOID_16_BIT = 65535
_MOTS_VOID = 10000
_THIN = 3


def interpret_values(
    values: IntArray,
    origin: str,
    max_objects: int,
    *,
    drawn: bool = True,
    white: int | None = None,
) -> ParsedMask:
    """Interpret gray values, palette indices or an array of ids.

    A two-level mask (0/255, 0/1, 0/65535) contains one object, with id 1. Otherwise the values are
    ids, and the maximum value 255 (65535 if any value exceeds 255) is void, unless the values are
    spread evenly over the whole range (85, 170, 255; 21845, 43690, 65535): these are objects. If 0
    does not occur, the value of the largest region that touches at least three borders is
    background. If an id is above 254, all ids are renumbered in ascending order, with a warning;
    their names keep the original value. The pixels of smoothed edges become the nearest object.

    Args:
        values: (H, W) integers.
        origin: name of the mask in messages.
        max_objects: maximum number of objects.
        drawn: whether the values are brightnesses that a user painted. They may be inverted.
        white: the largest value that the file can contain; by default 255 or 65535.

    Raises:
        InputError: there is no object, there are more than ``max_objects``, or an id is negative.
    """
    levels, _ = _levels(values, None)
    if levels.size and int(levels[0]) < 0:
        raise InputError(
            f"{origin}: ids must be 1..254 (0 background, 255 void), got {int(levels[0])}; "
            "set pixels to ignore to 255"
        )
    full = VOID if not levels.size or int(levels[-1]) <= VOID else _VOID_16_BIT
    white = full if white is None else white
    values, notes = _full_range(values, origin)
    background, named = _background(values, levels, origin) if not notes else (0, ())
    notes += named
    levels, areas = _levels(values, background)
    if levels.size == 1 and int(levels[0]) in (1, white):
        # Where several values are spread over the range, this is one of them.
        value = {1: str(levels[0])}
        labels = (values != background).astype(np.uint8)
        parsed = ParsedMask(labels, {}, notes, identities=(value,))
        return turned(parsed, origin) if drawn and int(levels[0]) == white else parsed
    soft = _interpret_smoothed(values, levels, background, max_objects, drawn=drawn, white=white)
    if soft is not None:
        parsed, blends = soft
        parsed = parsed.noted(*notes, smoothed_note(origin, blends))
        return turned(parsed, origin) if white in levels and drawn else parsed
    values = np.where(values == background, 0, values)
    return _interpret_ids(values, levels, areas, full if white > 15 else None, origin, max_objects,
                          drawn=drawn).noted(*notes)  # fmt: skip


def _interpret_ids(
    values: IntArray, levels: IntArray, areas: IntArray, void: int | None, origin: str, limit: int,
    *, drawn: bool,
) -> ParsedMask:  # fmt: skip
    """Interpret ids, 0 being background."""
    if _spread(levels):
        check_count(levels, areas, [str(n) for n in levels], origin, limit)
        note = (
            f"{origin}: the values {', '.join(map(str, levels))} are spread over the gray range "
            f"and are read as objects 1..{levels.size}; {levels[-1]} is not void here"
        )
        return renumbered(values, levels).noted(note)
    mots = void == _VOID_16_BIT and ((levels >= 1000) & (levels <= _MOTS_VOID)).all()
    if mots and _MOTS_VOID in levels:
        void = _MOTS_VOID
        if levels.size == 1:
            raise InputError(
                f"{origin}: contains only the value {_MOTS_VOID}, which is the region to ignore of "
                "MOTS, expected at least one object; if it is an object, give it an id in 1..254"
            )
    is_id = levels != void
    ids, areas = levels[is_id], areas[is_id]
    thin = _is_thin(values)
    check_count(ids, areas, [str(n) for n in ids], origin, limit, thin=thin)
    warnings = () if void is None else _void_warnings(values, void, int(areas.sum()), origin, drawn)
    if int(ids[-1]) < VOID:
        return ParsedMask(values.astype(np.uint8), {}, warnings)
    parsed = renumbered(values, ids)
    parsed.labels[values == void] = VOID
    return parsed.noted(
        *warnings,
        f"{origin}: ids above 254 do not fit an 8-bit label map; "
        f"{', '.join(str(n) for n in ids[:8])}{', ...' if len(ids) > 8 else ''} "
        f"became 1..{len(ids)}",
    )


def _interpret_smoothed(
    values: IntArray, levels: IntArray, background: int, limit: int, *, drawn: bool, white: int
) -> tuple[ParsedMask, int] | None:
    """Assign the pixels of smoothed edges; None if there are none."""
    if levels.size < 2:
        return None
    pixels = values[..., None].astype(np.float32)
    shown = np.where(values == background, 0, values)
    cores = thin_levels(shown, levels, VOID if white > 15 else None)
    if cores is None and drawn and levels.size > 3:
        cores = find_cores(values, pixels, background, limit, ordered=True)
    if cores is None or cores.size > limit:
        return None
    if background == 0 and _has_no_flat_part(values, cores):
        share = (values / white).astype(np.float32)
        labels = (share >= 0.5).astype(np.uint8)
        return ParsedMask(labels, {}, (), {1: share}), int(np.count_nonzero(values))
    edges = resolve_edges(values, pixels, cores, background)
    return _from_edges(edges, cores, white), edges.blends


def interpret_smoothed(
    values: IntArray, origin: str, max_objects: int, *, peak: int = 0
) -> ParsedMask | None:
    """Interpret a gray image with smoothed edges; None if it is not one.

    Args:
        values: (H, W) integers in 0..255, 0 for background.
        origin: name of the mask in messages.
        max_objects: maximum number of objects.
        peak: brightness that the brightest object must have.
    """
    levels, _ = _levels(values, 0)
    if not levels.size or int(levels[-1]) < peak:
        return None
    soft = _interpret_smoothed(values, levels, 0, max_objects, drawn=True, white=VOID)
    return None if soft is None else turned(soft[0].noted(smoothed_note(origin, soft[1])), origin)


def _has_no_flat_part(values: IntArray, cores: IntArray) -> bool:
    """Tell whether the only object is a brush stroke whose brightest pixels are few."""
    marked = int(np.count_nonzero(values))
    return cores.size == 1 and 50 * int(np.count_nonzero(values >= cores[0])) < marked


def _from_edges(edges: Edges, cores: IntArray, white: int) -> ParsedMask:
    single = cores.size == 1 and int(cores[0]) in (1, white)
    keep = not single and int(cores[-1]) < VOID
    ids = [int(n) for n in cores] if keep else list(range(1, cores.size + 1))
    table = np.array([0, *ids], dtype=np.uint8)
    names = {} if keep or single else dict(zip(ids, map(str, cores.tolist()), strict=True))
    alpha = dict(zip(ids, edges.alpha, strict=True))
    known_by: KnownBy = "names" if names else "ids"
    return ParsedMask(table[edges.places], names, (), alpha, known_by=known_by)


def _background(values: IntArray, levels: IntArray, origin: str) -> tuple[int, tuple[str, ...]]:
    """Return the value of the background, with a note if it is not 0."""
    if (values == 0).any() or not levels.size:
        return 0, ()
    found = find_background(values)
    if found is None or levels.size < 2:
        return 0, ()
    return found, (
        f"{origin}: no pixel is 0; value {found} is read as background, because its region is the "
        "largest that touches three borders; save the mask with background 0 if that is wrong",
    )


def _full_range(values: IntArray, origin: str) -> tuple[IntArray, tuple[str, ...]]:
    """Stretch a mask in video range, 16..235, to 0..255.

    Where values that are spread over the full range were only cut at 16 and 235, as 128 stays 128
    between them, the cut is undone instead.
    """
    ends = (values == 16) | (values == 235)
    if (
        int(values.min()) != 16
        or int(values.max()) != 235
        or 2 * np.count_nonzero(ends) < ends.size
    ):
        return values, ()
    note = f"{origin}: 16 and 235 are read as black and white of the video range"
    cut = np.where(values == 16, 0, np.where(values == 235, VOID, values))
    if _spread(_levels(cut, 0)[0]):
        return cut, (note,)
    return np.rint((values - 16) * (VOID / 219)).astype(np.int64), (note,)


def smoothed_note(origin: str, blends: int) -> str:
    """Return the warning about smoothed edges."""
    return (
        f"{origin}: the edges are smoothed; {blends} pixels with values in between became part of "
        "the nearest object or of the background, cut at half; the soft edge is kept for mattes"
    )


def _levels(values: IntArray, background: int | None) -> tuple[IntArray, IntArray]:
    """Return the values except the background, ascending, and their areas in pixels."""
    levels, areas = np.unique(values, return_counts=True)
    kept = levels != (0 if background is None else background)
    return levels[kept].astype(np.int64), areas[kept].astype(np.int64)


def _spread(levels: IntArray) -> bool:
    """Tell whether at least two values divide 0..255 or 0..65535 evenly, as 85, 170, 255 do.

    With 16 bits they may be those of 8 bits times 257, so they are as far from exact as these.
    """
    count = levels.size
    if not 2 <= count <= 51 or int(levels[-1]) not in (VOID, _VOID_16_BIT):
        return False
    shares = levels / int(levels[-1])
    exact = np.arange(1, count + 1) / count
    return bool((np.abs(shares - exact) * VOID < 1).all())


def _is_thin(values: IntArray) -> bool:
    """Tell whether at least a tenth of the values have no pixel with equal neighbours all round."""
    same = np.ones((values.shape[0], values.shape[1]), dtype=bool)
    for axis in (0, 1):
        for shift in (-1, 1):
            same &= np.roll(values, shift, axis) == values
    solid = np.unique(values[same]).size
    return 10 * (np.unique(values).size - solid) >= np.unique(values).size


def _void_warnings(
    values: IntArray, void: int, marked: int, origin: str, drawn: bool
) -> tuple[str, ...]:
    mask: BoolArray = values == void
    area = int(np.count_nonzero(mask))
    if area and void == _MOTS_VOID:
        return (f"{origin}: {area} pixels of {void}, the ignore region of MOTS, are void",)
    if area > marked:
        return (
            f"{origin}: {area} pixels are void (the maximum value, which belongs to no object), "
            f"more than the {marked} pixels of all objects; if they are an object, give it an id "
            "in 1..254",
        )
    inner = mask.copy()
    for axis in (0, 1):
        for shift in range(-_THIN, _THIN + 1):
            inner &= np.roll(mask, shift, axis)
    if not drawn or not inner.any():
        return ()
    return (
        f"{origin}: {area} pixels have the value {void}, which is void and belongs to no object; "
        "if they are an object, give it an id in 1..254",
    )
