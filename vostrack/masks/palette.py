"""Label maps as PNG files with the DAVIS palette, and single-object mattes as gray PNG files.

They are read and written with Pillow, because OpenCV converts a palette PNG to colours and loses
the ids.
"""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import atomic_path, check_regular
from vostrack.tiff import open_full_page

__all__ = [
    "VOID",
    "davis_palette",
    "parse_label_map",
    "read_label_map",
    "write_label_map",
    "write_matte",
]

VOID = 255
"""The label of pixels to ignore, in training and in evaluation."""


@lru_cache(maxsize=1)
def _palette_bytes() -> bytes:
    return davis_palette().tobytes()


def davis_palette() -> UInt8Array:
    """Compute the colours of the PASCAL VOC palette, which DAVIS uses too.

    The bits of an id are assigned in turn to red, green and blue, starting from their highest bits.

    Returns:
        (256, 3) uint8 RGB; row k is the colour of id k.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = ids >> (3 * level + channel) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return palette


def read_label_map(path: str | os.PathLike[str]) -> UInt8Array:
    """Read a palette or gray PNG whose pixel values are ids.

    The values are not interpreted; use ``vostrack.masks.read_first_mask`` for that.

    Returns:
        (H, W) uint8, the values of the file.

    Raises:
        InputError: the file is missing or corrupt, is not an image, or is a colour image.
    """
    check_regular(path, "the mask")
    return _label_map(
        path, str(Path(path)), "an existing, complete palette or gray PNG; check the path"
    )


def parse_label_map(data: bytes, name: str) -> UInt8Array:
    """Read the bytes of a palette or gray PNG whose pixel values are ids; see ``read_label_map``.

    Args:
        data: all of the file.
        name: where it comes from, for the message.

    Returns:
        (H, W) uint8, the values of the file.

    Raises:
        InputError: it is corrupt, is not an image, or is a colour image.
    """
    return _label_map(io.BytesIO(data), name, "a complete palette or gray PNG")


def _label_map(file: str | os.PathLike[str] | io.BytesIO, name: str, expected: str) -> UInt8Array:
    try:
        with open_full_page(file) as image:
            mode, values = image.mode, np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Of bytes, Pillow would tell where in memory they are.
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(
            f"{name}: cannot be read as a label map ({reason}); expected {expected}"
        ) from error
    if values.ndim != 2 or mode == "F":
        raise InputError(
            f"{name}: expected a palette or gray PNG whose pixel values are ids, "
            f"got an image with mode {mode}; save the label map as an indexed PNG"
        )
    if values.dtype != np.bool_ and int(values.max(initial=0)) > VOID:
        raise InputError(
            f"{name}: expected ids in 0..255, got {int(values.max())}; renumber the objects"
        )
    return values.astype(np.uint8)


def write_label_map(path: str | os.PathLike[str], labels: NDArray[np.integer]) -> None:
    """Write a label map as an indexed PNG with the DAVIS palette, atomically.

    Args:
        path: the file to write; missing parent folders are created.
        labels: (H, W) integers in 0..255.

    Raises:
        InputError: ``labels`` has another shape, dtype or range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(
            f"labels: expected integers of shape (H, W), got {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) > VOID):
        raise InputError(
            f"labels: expected ids in 0..255, got {int(labels.min())}..{int(labels.max())}; "
            "renumber the objects"
        )
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint8))
    image.putpalette(_palette_bytes())
    _save_png(path, image)


def write_matte(path: str | os.PathLike[str], alpha: NDArray[np.floating | np.bool_]) -> None:
    """Write one object's matte as an 8-bit gray PNG, white on black, atomically.

    Args:
        path: the file to write; missing parent folders are created.
        alpha: (H, W) bool, or float in [0, 1].

    Raises:
        InputError: ``alpha`` has another shape, dtype or range.
    """
    alpha = np.asarray(alpha)
    if alpha.ndim != 2 or alpha.dtype.kind not in "bf":
        raise InputError(
            "alpha: expected bool or float in [0, 1] of shape (H, W), "
            f"got {alpha.dtype} of shape {alpha.shape}"
        )
    # The condition is written so that NaN fails too.
    if alpha.size and not (float(alpha.min()) >= 0 and float(alpha.max()) <= 1):
        raise InputError(
            f"alpha: expected values in [0, 1], got {float(alpha.min())}..{float(alpha.max())}; "
            "divide an 8-bit matte by 255"
        )
    gray = np.rint(alpha.astype(np.float32) * 255).astype(np.uint8)
    _save_png(path, Image.fromarray(gray))


def _save_png(path: str | os.PathLike[str], image: Image.Image) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")
