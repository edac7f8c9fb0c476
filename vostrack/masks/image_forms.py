"""Reading a first mask from one image file, with one function per kind of image.

``vostrack.masks.first_mask`` decides of which kind a file is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.background import borders_touched, find_background
from vostrack.masks.colour_labels import find_colour_labels, is_background
from vostrack.masks.colours import interpret_colours
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import ParsedMask, turned
from vostrack.masks.stored_samples import stored_maximum, stored_samples
from vostrack.masks.transparency import (
    OPAQUE,
    alpha_is_the_mask,
    is_cut_out,
    mask_of_alpha,
    transparency_notes,
)
from vostrack.masks.values import interpret_smoothed, interpret_values

__all__ = ["read_color", "read_gray", "read_lossy", "read_palette"]

# The largest values that mattes in floats have.
_WHITES = (1, 255, 65535)
_ROUNDING = 1e-4


def read_gray(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read a gray image with 1, 2, 4, 8 or 16 bits: one binary object, or ids.

    With alpha, transparent pixels are background.

    Raises:
        InputError: ``interpret_values`` rejects the values, or they are not integers.
    """
    if image.mode in ("LA", "La"):
        gray, alpha = (np.asarray(band).astype(np.int64) for band in image.split())
        return _with_alpha(gray, alpha, origin, max_objects)
    values = np.asarray(image)
    # This also rejects infinity and NaN.
    if values.dtype.kind == "f" and not _whole(values):
        return _read_fractions(values, origin, max_objects)
    maximum = stored_maximum(Path(origin), image)
    values = values.astype(np.int64)
    if maximum is not None:
        values = stored_samples(values, maximum)
    drawn = image.mode != "1"
    parsed = interpret_values(values, origin, max_objects, drawn=drawn, white=maximum)
    return parsed if drawn else turned(parsed, origin)


def _read_fractions(values: NDArray[np.floating], origin: str, max_objects: int) -> ParsedMask:
    """Read a matte of one object, with values from 0 to 1, 255 or 65535."""
    low, high = float(values.min()), float(values.max())
    # Filters leave rounding errors at both ends. A matte reaches half at least.
    white = next((w for w in _WHITES if 0.5 * w <= high <= w * (1 + _ROUNDING)), None)
    if white is None or abs(low) > white * _ROUNDING or not np.isfinite(values).all():
        raise InputError(
            f"{origin}: contains fractions ({low:.3g}..{high:.3g}), expected integer ids, or a "
            "matte from 0 to 1, 255 or 65535; threshold the matte at half and save it as PNG"
        )
    share = np.clip(values / white, 0, 1).astype(np.float32)
    gray = np.rint(share * VOID).astype(np.int64)
    scale = f", from 0 to {white}" if white > 1 else ""
    note = f"{origin}: the fractions are read as the matte of one object{scale}, cut at half"
    labels = (gray >= OPAQUE).astype(np.uint8)
    return turned(ParsedMask(labels, {}, (note,), {1: share}), origin)


def read_palette(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read the indices of an indexed image as ids, whatever their colours.

    If the palette is in no order of objects, as programs make it for a picture, the colours are
    read instead: see ``_unordered``. They are read too if a label file beside the mask names the
    colour of the background, if another index is transparent, and if the colours are the grays of
    smoothed edges. If index 0 is not used, a black index is background.

    Raises:
        InputError: ``interpret_values`` rejects the values.
    """
    indices, rgba = np.asarray(image), np.asarray(image.convert("RGBA"))
    colours, opaque = rgba[..., :3], rgba[..., 3] >= OPAQUE
    used, transparent = _bytes_in(indices), _bytes_in(indices[~opaque])
    indices = indices.astype(np.int64)
    notes: tuple[str, ...] = ()
    if transparent.size and transparent[0] != 0 and find_background(indices) == 0:
        # Index 0 surrounds the objects. The transparent one lies among them.
        shown = ", ".join(map(str, transparent[transparent != VOID]))
        notes = (f"{origin}: index {shown} is transparent and read as an object",) if shown else ()
        transparent = transparent[:0]
    if transparent.size and (transparent != 0).any() and not (transparent == VOID).all():
        parsed = read_color(image.convert("RGBA"), origin, max_objects)
        return parsed.noted(f"{origin}: a transparent index is background; colours were read")
    if _labelled_background(colours, origin):
        return read_color(image.convert("RGB"), origin, max_objects)
    reason, doubt = _unordered(indices, colours, opaque)
    if reason:
        parsed = read_color(image.convert("RGBA"), origin, max_objects)
        return parsed.noted(
            f"{origin}: index 0 of the palette {reason}; colours were read instead of indices"
        )
    if used.size > 3 and (colours == colours[..., :1]).all():
        soft = interpret_smoothed(colours[..., 0].astype(np.int64), origin, max_objects)
        if soft is not None:
            return soft
    if used[0] != 0:
        indices, named = _black_to_zero(indices, colours, opaque, origin)
        notes = named or notes
    if doubt:
        notes = (f"{origin}: index 0 of the palette is read as background; {doubt}; check it",)
    return interpret_values(indices, origin, max_objects, drawn=False).noted(*notes)


def _unordered(indices: IntArray, colours: UInt8Array, opaque: BoolArray) -> tuple[str, str]:
    """Tell why index 0 is not the background, or why that is in doubt; two empty texts if it is.

    Some editors sort the palette, and programs that reduce a picture to few colours number these by
    frequency or brightness. An index 0 that touches three borders stays background.
    """
    zero = indices == 0
    if not zero.any() or not opaque[zero].all():
        return "", ""
    ground = colours[zero][0]
    if ground.any() and (~colours.any(axis=-1) & opaque).any():
        return "is not black", ""
    found = find_background(indices)
    if found in (0, None):
        return "", ""
    around = indices == found
    colour = colours[around][0]
    if not ground.any():
        # Black is the background of nearly every palette, but not of a drawing on white paper.
        # In a gray palette, white is index 255, which may be void.
        gray = found == VOID and (colours == colours[..., :1]).all()
        drawn = (colour == 255).all() and borders_touched(around) == 4 and not gray
        return ("is black on white", "") if drawn and borders_touched(zero) <= 1 else ("", "")
    if (colour == ground).all():
        return "", ""
    if borders_touched(zero) >= 3:
        return "", f"index {found} may be the background, because it touches three borders too"
    return "does not surround the objects", ""


def _black_to_zero(
    indices: IntArray, colours: UInt8Array, opaque: BoolArray, origin: str
) -> tuple[IntArray, tuple[str, ...]]:
    """Make a black index the background where index 0 is not used."""
    black = _bytes_in(indices[~colours.any(axis=-1) & opaque])
    if not black.size or (indices == indices[0, 0]).all():
        return indices, ()
    return np.where(np.isin(indices, black), 0, indices), (
        f"{origin}: index 0 of the palette is not used; index {black[0]}, which is black, is "
        "background",
    )


def _bytes_in(values: UInt8Array | IntArray) -> IntArray:
    """Return which bytes there are, ascending: ``np.unique`` would sort all of them."""
    found: IntArray = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    return found


def _labelled_background(colours: UInt8Array, origin: str) -> bool:
    """Tell whether a label file beside the mask names a background that is not black."""
    found = find_colour_labels(Path(origin))
    if found is None:
        return False
    grounds = [colour for colour, label in found[1].items() if is_background(label)]
    return any(any(c) and bool((colours == c).all(axis=-1).any()) for c in grounds)


def read_color(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read an RGB or RGBA image: every exact colour except the background is an object.

    See ``interpret_colours``. Transparent pixels are background. If red, green and blue are equal
    everywhere, the image is read as gray. If only alpha marks an object, as in a cut-out photograph
    or a black shape, alpha is the mask.

    Raises:
        InputError: there is no object, or there are more than ``max_objects``.
    """
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    rgb, alpha = rgba[..., :3], rgba[..., 3]
    gray = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 0] == rgb[..., 2])
    if gray.all() or gray[alpha >= OPAQUE].all():
        return _with_alpha(rgb[..., 0], alpha, origin, max_objects)
    if is_cut_out(alpha, (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]):
        return mask_of_alpha(alpha, origin, "a picture with transparent surroundings")
    transparent = alpha < OPAQUE
    rgb = np.where(transparent[..., None], 0, rgb)
    parsed = interpret_colours(rgb, origin, max_objects, transparent=transparent)
    return _softened(parsed, alpha, origin)


def _with_alpha(gray: IntArray, alpha: IntArray, origin: str, max_objects: int) -> ParsedMask:
    """Read gray with alpha."""
    if alpha_is_the_mask(alpha, gray):
        return mask_of_alpha(alpha, origin, "a black shape on transparent ground")
    if is_cut_out(alpha, gray):
        return mask_of_alpha(alpha, origin, "a picture with transparent surroundings")
    opaque = alpha >= OPAQUE
    shown = np.where(opaque, gray, 0)
    parsed = interpret_values(shown, origin, max_objects, drawn=bool(opaque.all()))
    return _softened(parsed, alpha, origin)


def _softened(parsed: ParsedMask, alpha: IntArray, origin: str) -> ParsedMask:
    """Keep the soft alpha of an image with one object."""
    notes = transparency_notes(alpha, origin)
    ids = np.setdiff1d(parsed.labels, (0, VOID))
    if notes and ids.size == 1 and parsed.alpha is None:
        soft = (alpha / VOID * ((alpha < OPAQUE) | (parsed.labels == ids[0]))).astype(np.float32)
        parsed = replace(parsed, alpha={int(ids[0]): soft})
    return parsed.noted(*notes)


def read_lossy(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read a JPEG, which is accepted only as a clearly two-level mask of one object.

    Raises:
        InputError: the image is not clearly black and white, or it is empty.
    """
    rgb = np.asarray(image.convert("RGB")).astype(np.int64)
    low, high = rgb.min(axis=-1), rgb.max(axis=-1)
    dark, bright = high < 64, low > 191
    hard = float((dark | bright).mean()) >= 0.97 and dark.any() and bright.any()
    soft = None
    if not hard and float((high - low > 24).mean()) < 0.01 and dark.any():
        gray = low + high >> 1
        soft = interpret_smoothed(np.where(gray < 16, 0, gray), origin, 1, peak=192)
    if not hard and soft is None:
        raise InputError(
            f"{origin}: {image.format} compression changes ids and colours; expected a clearly "
            "black and white mask, got other values; save the mask as PNG"
        )
    alpha = {1: ((low + high) / (2 * VOID)).astype(np.float32)}
    parsed = ParsedMask((low + high >= 256).astype(np.uint8), {}, (), alpha)
    note = (
        f"{origin}: {image.format} compression blurs the edges; the mask was thresholded at half "
        "brightness into one object; a PNG would be exact"
    )
    return turned(parsed, origin).noted(note)


def _whole(values: NDArray[np.floating]) -> bool:
    return bool((np.abs(values) < 1 << 31).all()) and bool((values == np.floor(values)).all())
