"""Interpreting the colours of a mask: one object for each colour."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

import numpy as np

from vostrack.arrays import BoolArray, IntArray
from vostrack.errors import InputError
from vostrack.masks.background import borders_touched, find_background
from vostrack.masks.colour_labels import Colour, find_colour_labels, is_background
from vostrack.masks.object_count import check_count
from vostrack.masks.palette import VOID, davis_palette
from vostrack.masks.parsed_mask import ParsedMask
from vostrack.masks.smoothing import find_cores, resolve_edges
from vostrack.masks.values import smoothed_note

__all__ = ["interpret_colours"]

_VOID_LABELS = ("void", "ignore")
_MOST_COLOURS = 4096
_WHITE = 0xFFFFFF
# The colours of a level in which edges do not count as smoothed.
_FEW = 3
# More colours than smoothed edges make; it saves the time to look for edges in a photograph.
_MOST_BLENDS = 1 << 15


def interpret_colours(
    rgb: IntArray, origin: str, max_objects: int, *, transparent: BoolArray | None = None
) -> ParsedMask:
    """Interpret an RGB image: every colour but the background's is an object.

    The background is the colour that a label file beside the mask names, or black. If black does
    not occur, or lies inside white, it is the colour of the largest region that touches at least
    three borders. If all colours are in the DAVIS palette, the ids are their indices there.
    Otherwise the ids follow the order of the colour values. The colour of 255 in the DAVIS palette
    is void, unless a label file names an object of this colour. Pixels of smoothed edges become the
    nearest object.

    Args:
        rgb: (H, W, 3) integers in 0..255.
        origin: name of the mask in messages; its path, if it is a file.
        max_objects: maximum number of objects.
        transparent: (H, W), the pixels that are background because they are transparent; they are
            black in ``rgb``.

    Raises:
        InputError: there is no object, or there are more than ``max_objects``.
    """
    packed = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    colours, areas = np.unique(packed, return_counts=True)
    labels, notes = _labels(colours, origin)
    background, named = _background(packed, colours, labels, origin)
    if transparent is not None and transparent.any():
        background, named = 0, ()
    notes += named
    void = _void(labels)
    alpha = None
    many = _FEW < colours.size <= _MOST_BLENDS
    cores = _cores(packed, rgb, background, max_objects) if many else None
    if cores is not None:
        edges = resolve_edges(packed, rgb.astype(np.float32), cores, background)
        colours, places = cores, edges.places.astype(np.int64)
        alpha = edges.alpha
        notes += (smoothed_note(origin, edges.blends),)
    else:
        _check_colours(colours, areas, background, void, origin, max_objects)
        kept = colours[colours != background]
        places = np.where(packed == background, 0, np.searchsorted(kept, packed) + 1)
        colours = kept
    ids, by_palette = _ids(colours, void)
    labelled = np.array([0, *ids], dtype=np.uint8)[places]
    if VOID in ids and not by_palette:
        notes += (
            f"{origin}: {np.count_nonzero(labelled == VOID)} pixels are void, because their colour "
            f"#{void:06x} is that of void in the DAVIS palette; if they are an object, give it "
            "another colour",
        )
    names = [labels.get(_channels(c), f"#{c:06x}") for c in colours.tolist()]
    soft = None if alpha is None else dict(zip(ids, alpha, strict=True))
    return ParsedMask(
        labelled,
        dict(zip(ids, names, strict=True)),
        notes,
        soft,
        known_by="ids" if by_palette else "names",
    )


def _labels(colours: IntArray, origin: str) -> tuple[Mapping[Colour, str], tuple[str, ...]]:
    """Return the labels of the colours, where a label file beside the mask fits."""
    found = find_colour_labels(Path(origin))
    if found is None:
        return {}, ()
    path, labels = found
    known = [c for c in colours.tolist() if _channels(c) in labels]
    ground = {colour for colour, label in labels.items() if is_background(label)}
    if not known or not (len(known) == colours.size or ground & {_channels(c) for c in known}):
        return {}, ()
    return labels, (f"{origin}: labels and background are those of {path.name}",)


def _background(
    packed: IntArray, colours: IntArray, labels: Mapping[Colour, str], origin: str
) -> tuple[int, tuple[str, ...]]:
    """Return the colour of the background, with a note if it is guessed."""
    for colour in colours.tolist() if labels else ():
        if is_background(labels.get(_channels(colour), "")):
            return int(colour), ()
    black = packed == 0
    if not black.any():
        found = None if colours.size < 2 else find_background(packed)
        if found is None:
            return 0, ()
    elif _WHITE in colours and borders_touched(black) <= 1:
        found = find_background(packed)
        if found != _WHITE or borders_touched(packed == _WHITE) < 4:
            return 0, ()
    else:
        return 0, ()
    return found, (
        f"{origin}: colour #{found:06x} is read as background, because its region is the largest "
        "that touches three borders; save the mask on black if that is wrong",
    )


def _cores(packed: IntArray, rgb: IntArray, background: int, most: int) -> IntArray | None:
    return find_cores(packed, rgb.astype(np.float32), background, most, ordered=False)


def _check_colours(
    colours: IntArray,
    areas: IntArray,
    background: int,
    void: int | None,
    origin: str,
    max_objects: int,
) -> None:
    """Check the number of colours.

    Raises:
        InputError: there is no object, or there are too many.
    """
    if colours.size > _MOST_COLOURS:
        raise InputError(
            f"{origin}: contains {colours.size} colours, expected one exact colour per object on "
            "black; it looks like a photograph; give the mask instead of the frame, saved as PNG "
            "without anti-aliasing"
        )
    objects = (colours != background) & (colours != void)
    names = [f"#{c:06x}" for c in colours[objects].tolist()]
    # A blend of two colours makes few pixels; an object makes many.
    thin = bool(np.median(areas) < 9)
    check_count(colours[objects], areas[objects], names, origin, max_objects, thin=thin)


def _ids(colours: IntArray, void: int | None) -> tuple[list[int], bool]:
    """Return the ids of colours, and whether they are those of the DAVIS palette."""
    known = {
        (int(r) << 16) | (int(g) << 8) | int(b): k
        for k, (r, g, b) in enumerate(davis_palette().tolist())
        if k != VOID or void is not None
    }
    if all(known.get(int(colour), 0) for colour in colours):
        return [known[int(colour)] for colour in colours], True
    numbers = count(1)
    return [VOID if int(colour) == void else next(numbers) for colour in colours], False


def _void(labels: Mapping[Colour, str]) -> int | None:
    """Return the colour of void; None if a label file names an object of this colour."""
    red, green, blue = davis_palette()[VOID].tolist()
    label = labels.get((red, green, blue), _VOID_LABELS[0])
    return red << 16 | green << 8 | blue if label.strip().lower() in _VOID_LABELS else None


def _channels(colour: int) -> Colour:
    return colour >> 16 & 255, colour >> 8 & 255, colour & 255
