"""Reading image files as they are displayed."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import check_regular
from vostrack.tiff import (
    has_deep_colours,
    has_deep_planes,
    open_full_page,
    read_page,
    read_planes,
    stored_size,
    turned_upright,
    white_is_zero,
)
from vostrack.video.arrays import as_rgb
from vostrack.video.value_range import ValueRange

__all__ = [
    "displayed_size",
    "image_errors",
    "open_image",
    "page_image",
    "page_size",
    "read_image",
    "sixteen_bit",
]

_ORIENTATION = 0x0112
# What may state an orientation in a PNG.
_PNG_NOTES = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")

# What Pillow raises for damaged files, among them TIFF pages without a size or with unknown codes.
_DAMAGE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    struct.error,
)


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Turn the errors of Pillow into an `InputError` of one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name of the image") from None
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        reason = str(error).partition(",")[0]
        raise InputError(
            f"{path} states a size that is too large for a frame ({reason}); replace it or remove "
            "it from the frames"
        ) from None
    except _DAMAGE as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); replace it or remove it from the frames"
        ) from error


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file, at the page that is no preview; errors are those of `image_errors`."""
    check_regular(path, "the image")
    with image_errors(path), open_full_page(path) as opened:
        yield opened


def read_image(path: Path, values: ValueRange | None = None) -> UInt8Array:
    """Read an image file as it is displayed.

    EXIF orientation and palettes are applied, 16 bits are scaled to 8, gray becomes RGB, and alpha
    is dropped (see `vostrack.video.arrays.as_rgb`).

    Args:
        path: the file.
        values: the range of 16-bit values; 0 to 65535 by default.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing or corrupt, is not an image, or contains float values.
    """
    with open_image(path) as opened:
        return page_image(opened, path, values)


def displayed_size(path: Path) -> tuple[int, int]:
    """Return H and W of an image as `read_image` returns it, from its header.

    Raises:
        InputError: the file is missing or corrupt, or is not an image.
    """
    with open_image(path) as opened:
        return page_size(opened, path)


def page_size(opened: Image.Image, path: Path) -> tuple[int, int]:
    """Return H and W of the current page of an open image as it is displayed."""
    width, height = stored_size(opened)
    # Pillow decodes a PNG to look for an orientation behind the pixels.
    plain = opened.format == "PNG" and not _has_notes(path)
    turned = not plain and opened.getexif().get(_ORIENTATION, 1) in range(5, 9)
    return (width, height) if turned else (height, width)


def _has_notes(path: Path) -> bool:
    """Tell from the names of its chunks whether a PNG holds EXIF or text."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">L4s", head)
            if name in _PNG_NOTES:
                return True
            file.seek(length + 4, os.SEEK_CUR)
    return False


def page_image(opened: Image.Image, path: Path, values: ValueRange | None) -> UInt8Array:
    """Return the current page of an open image; see `read_image`."""
    narrow = values is not None and not values.full
    if narrow or has_deep_planes(opened):
        raw = sixteen_bit(opened, path)
        if raw is not None:
            return as_rgb((values or ValueRange(0, 65535)).apply(raw), str(path))
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        # 16-bit gray. Older versions of Pillow read a 16-bit PNG in mode "I".
        gray = np.asarray(image).astype(np.int64)
        if white_is_zero(opened):
            gray = 65535 - gray
        if gray.min() < 0 or gray.max() > 65535:
            raise InputError(
                f"{path} has values outside 0..65535; save it with 8 or 16 bits, or give the "
                "range as min,max"
            )
        return as_rgb(ValueRange(0, 65535).apply(gray), str(path))
    if image.mode == "F":
        raise InputError(f"{path} has float values; save it as an image with 8 or 16 bits")
    return as_rgb(np.asarray(image.convert("RGB"), dtype=np.uint8), str(path))


def sixteen_bit(opened: Image.Image, path: Path) -> np.ndarray[Any, Any] | None:
    """Return the integers (H, W) or (H, W, 1 or 3) of an image of more than 8 bits, or None."""
    if has_deep_planes(opened):
        planes = [ImageOps.exif_transpose(plane) for plane in read_planes(opened, path)]
        return np.dstack([np.asarray(plane) for plane in planes[:3]])
    if opened.mode.startswith("I"):
        gray = np.asarray(ImageOps.exif_transpose(opened))
        return 65535 - gray if white_is_zero(opened) else gray
    # Pillow drops the lower byte of 16-bit colour; the raw mode tells, until the data are read.
    deep = has_deep_colours(opened) or ";16" in str(getattr(opened, "tile", ""))
    if "RGB" not in opened.mode or not deep:
        return None
    import cv2

    content = read_page(opened, path) if has_deep_colours(opened) else path.read_bytes()
    orientation = opened.getexif().get(_ORIENTATION, 1)
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    return np.ascontiguousarray(turned_upright(stored[..., 2::-1], orientation))
