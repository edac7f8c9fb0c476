"""Reading a first mask from one image file, with one function per kind of image.

``vostrack.masks.first_mask`` decides of which kind a file is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vostrack.arrays import IntArray
from vostrack.errors import InputError
from vostrack.masks.palette import VOID, davis_palette
from vostrack.masks.values import ParsedMask, interpret_indices, interpret_values

__all__ = ["open_image", "read_color", "read_gray", "read_lossy", "read_palette"]


_MOST_COLOURS = 4096
_OPAQUE = 128


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file.

    Raises:
        InputError: the file is missing or corrupt, or is not an image.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a first mask; check the path")
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy() if getattr(image, "n_frames", 1) > 1 else image
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: not a readable image, expected a mask as PNG (or COCO RLE in a .json file), "
            f"got {_kind(path)}; export the mask as PNG"
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: the image cannot be read ({error}), expected a complete PNG; "
            "check the file, or export the mask again"
        ) from error


def read_gray(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read a gray image with 1, 8 or 16 bits: one binary object, or ids.

    Raises:
        InputError: ``interpret_values`` rejects the values, or they are not integers.
    """
    if image.mode in ("LA", "La"):
        gray, alpha = (np.asarray(band) for band in image.split())
        return interpret_values(np.where(alpha < _OPAQUE, 0, gray), origin, max_objects)
    values = np.asarray(image)
    # This also rejects infinity and NaN.
    if values.dtype.kind == "f" and not _whole(values):
        raise InputError(
            f"{origin}: contains fractions ({values.min():.3g}..{values.max():.3g}), expected "
            "integer ids; threshold the matte at 0.5 and save it as PNG"
        )
    return interpret_values(values.astype(np.int64), origin, max_objects)


def read_palette(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read the indices of an indexed image as ids, whatever their colours.

    If index 0 is used but another used index is black, the indices are meaningless (some editors
    sort the palette), and the colours are read instead.

    Raises:
        InputError: ``interpret_values`` rejects the values.
    """
    indices = np.asarray(image)
    colours = np.asarray(image.convert("RGB"))
    black = np.unique(indices[(colours == 0).all(axis=-1)])
    if (indices == 0).any() and black.size and black[0] != 0:
        parsed = read_color(image.convert("RGB"), origin, max_objects)
        note = (
            f"{origin}: index 0 of the palette is not black; colours were read instead of indices"
        )
        return ParsedMask(parsed.labels, parsed.names, (note, *parsed.warnings))
    return interpret_values(indices.astype(np.int64), origin, max_objects)


def read_color(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read an RGB or RGBA image: every exact colour except black is an object.

    If all colours are in the DAVIS palette, the ids are their indices there. Otherwise the ids
    follow the order of the colour values. Transparent pixels are background. If red, green and blue
    are equal everywhere, the image is read as gray.

    Raises:
        InputError: there is no object, there are more than ``max_objects``, or the edges are
            anti-aliased.
    """
    warnings: list[str] = []
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    alpha = rgba[..., 3]
    rgb = np.where((alpha < _OPAQUE)[..., None], 0, rgba[..., :3])
    partial = int(np.count_nonzero((alpha > 0) & (alpha < VOID)))
    if partial:
        warnings.append(
            f"{origin}: {partial} pixels are partly transparent; those below half opacity were "
            "left out"
        )
    if (rgb == rgb[..., :1]).all():
        parsed = interpret_values(rgb[..., 0], origin, max_objects)
    else:
        parsed = _interpret_colours(rgb, origin, max_objects)
    return ParsedMask(parsed.labels, parsed.names, (*warnings, *parsed.warnings))


def read_lossy(image: Image.Image, origin: str, max_objects: int) -> ParsedMask:
    """Read a JPEG, which is accepted only as a clearly two-level mask of one object.

    Raises:
        InputError: the image is not clearly black and white, or it is empty.
    """
    rgb = np.asarray(image.convert("RGB")).astype(np.int64)
    low, high = rgb.min(axis=-1), rgb.max(axis=-1)
    dark, bright = high < 64, low > 191
    if float((dark | bright).mean()) < 0.97 or not dark.any() or not bright.any():
        raise InputError(
            f"{origin}: {image.format} compression changes ids and colours; expected a clearly "
            "black and white mask, got other values; save the mask as PNG"
        )
    parsed = interpret_values((low + high >= 256).astype(np.int64), origin, max_objects)
    note = (
        f"{origin}: {image.format} compression blurs the edges; the mask was thresholded at half "
        "brightness into one object; a PNG would be exact"
    )
    return ParsedMask(parsed.labels, parsed.names, (note, *parsed.warnings))


def _interpret_colours(rgb: IntArray, origin: str, max_objects: int) -> ParsedMask:
    packed = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    colours, places = np.unique(packed, return_inverse=True)
    places = places.reshape(packed.shape).astype(np.int64)
    if colours[0] == 0:
        colours = colours[1:]
    else:
        places += 1
    if colours.size > _MOST_COLOURS:
        raise InputError(
            f"{origin}: contains {colours.size} colours, expected one exact colour per object on "
            "black; it looks like a photograph; give the mask instead of the frame, saved as PNG "
            "without anti-aliasing"
        )
    known = {
        (int(r) << 16) | (int(g) << 8) | int(b): k
        for k, (r, g, b) in enumerate(davis_palette().tolist())
    }
    names = [f"#{colour:06x}" for colour in colours]
    if all(int(colour) in known for colour in colours):
        ids = [known[int(colour)] for colour in colours]
    else:
        # 255 is reserved for void.
        ids = [k if k < VOID else k + 1 for k in range(1, len(colours) + 1)]
    return interpret_indices(places, ids, names, origin, max_objects)


def _whole(values: NDArray[np.floating]) -> bool:
    return bool((np.abs(values) < 1 << 31).all()) and bool((values == np.floor(values)).all())


def _kind(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    return f"a file named *{path.suffix}" if path.suffix else "a file without a suffix"
