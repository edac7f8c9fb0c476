"""Reading the first mask, in any of the supported formats."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.files import natural_order
from vostrack.masks.coco_json import read_coco_json
from vostrack.masks.image_forms import (
    open_image,
    read_color,
    read_gray,
    read_lossy,
    read_palette,
)
from vostrack.masks.palette import VOID
from vostrack.masks.stack import stack_masks
from vostrack.masks.validation import (
    MAX_OBJECTS,
    MIN_PIXELS,
    FirstMask,
    check_limits,
    finish,
)
from vostrack.masks.values import ParsedMask

__all__ = ["read_first_mask"]

ImageForm = Literal["palette", "gray", "color", "lossy"]
Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000"})
_GRAY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
_IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga"}
    | {".tif", ".tiff", ".webp"}
)
_IMAGE_READERS: dict[ImageForm, Callable[[Image.Image, str, int], ParsedMask]] = {
    "palette": read_palette,
    "gray": read_gray,
    "color": read_color,
    "lossy": read_lossy,
}


def read_first_mask(
    source: Source,
    *,
    size: tuple[int, int] | None = None,
    max_objects: int = MAX_OBJECTS,
    min_pixels: int = MIN_PIXELS,
) -> FirstMask:
    """Read the first mask from a file, a folder or several files.

    ========================================  =====================================================
    source                                    objects
    ========================================  =====================================================
    indexed (palette) PNG                     the indices; 255 is void
    gray PNG, 8 or 16 bits                    the values; 255 (65535) is void; 0/1 and 0/255 (65535)
                                              mean one object
    RGB or RGBA                               one per colour, on black or transparent
    JPEG                                      one, if clearly black and white
    ``.json``                                 ``masks.json`` (its first frame), COCO annotations, or
                                              a list of COCO RLE; polygons too
    folder, or several files                  one per file, in natural order of the names (a list
                                              keeps its order); where masks overlap, the later wins
    ========================================  =====================================================

    Args:
        source: the path or paths.
        size: H and W of the video in pixels, if known.
        max_objects: maximum number of objects, 1..254.
        min_pixels: a warning is issued for objects with fewer pixels; at least 0.

    Returns:
        The mask, with the objects' ids and names and with warnings.

    Raises:
        InputError: the mask cannot be used. The message names the problem and the remedy.
    """
    check_limits(max_objects, min_pixels)
    origin, parsed = _read(source, size, max_objects)
    return finish(parsed, origin, size, min_pixels)


def detect_form(image: Image.Image, origin: str) -> ImageForm:
    """Detect the kind of mask from an image's file format and pixel mode.

    Raises:
        InputError: the pixel mode cannot be a mask, such as CMYK.
    """
    if image.format in _LOSSY:
        return "lossy"
    if image.mode == "P":
        return "palette"
    if image.mode in _GRAY:
        return "gray"
    if image.mode in ("RGB", "RGBA", "RGBa", "RGBX", "PA"):
        return "color"
    raise InputError(
        f"{origin}: an image of mode {image.mode}, expected palette, gray, RGB or RGBA; "
        "save the mask as PNG"
    )


def _read(source: Source, size: tuple[int, int] | None, limit: int) -> tuple[str, ParsedMask]:
    if not isinstance(source, (str, os.PathLike)):
        paths = [Path(path) for path in source]
        if len(paths) == 1:
            return _read(paths[0], size, limit)
        if not paths:
            raise InputError("first mask: got no file, expected at least one; give a PNG")
        return "first mask", _read_files(paths, "first mask", limit)
    path = Path(source)
    if path.is_dir():
        paths = _images_in(path)
        if len(paths) == 1:
            return _read(paths[0], size, limit)
        return str(path), _read_files(paths, str(path), limit)
    if path.suffix.lower() == ".json":
        return str(path), read_coco_json(path, size, limit)
    return str(path), _read_image(path, limit)


def _read_image(path: Path, max_objects: int) -> ParsedMask:
    image = open_image(path)
    return _IMAGE_READERS[detect_form(image, str(path))](image, str(path), max_objects)


def _read_files(paths: Sequence[Path], origin: str, max_objects: int) -> ParsedMask:
    """Read one binary mask per file."""
    if len(paths) > max_objects:
        raise InputError(
            f"{origin}: got {len(paths)} mask files with one object each, expected at most "
            f"{max_objects}; give fewer, increase `max_objects` (at most 254), or, if they are the "
            f"masks of successive frames, give only the first one: {paths[0]}"
        )
    masks: list[BoolArray] = []
    warnings: list[str] = []
    for path in paths:
        parsed = _read_image(path, 254)
        ids = np.setdiff1d(parsed.labels, (0, VOID))
        if len(ids) > 1:
            raise InputError(
                f"{path}: contains {len(ids)} objects ({', '.join(map(str, ids[:8]))}), expected "
                "one in each of several files; give only this file, or one binary mask per object"
            )
        if masks and parsed.labels.shape != masks[0].shape:
            (h0, w0), (h, w) = masks[0].shape, parsed.labels.shape
            raise InputError(
                f"{path}: the mask is {w}x{h} pixels (width x height), expected {w0}x{h0} like "
                f"{paths[0]}; create all masks on the same frame"
            )
        masks.append(parsed.labels == ids[0])
        warnings += parsed.warnings
    stacked = stack_masks(
        masks, range(1, len(paths) + 1), [path.stem for path in paths], origin, max_objects
    )
    return ParsedMask(stacked.labels, stacked.names, (*warnings, *stacked.warnings))


def _images_in(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise InputError(
            f"{folder}: the folder contains no image, expected one binary mask (PNG) per object; "
            "check the path"
        )
    return sorted(found, key=lambda path: natural_order(path.name))
