"""One image of a results folder, as the numbers that it stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from vostrack.arrays import DoubleArray, IntArray
from vostrack.errors import InputError
from vostrack.files import check_link
from vostrack.masks.palette import davis_palette
from vostrack.masks.stored_samples import stored_maximum, stored_samples
from vostrack.masks.transparency import alpha_is_the_mask, is_cut_out
from vostrack.tiff import open_full_page

__all__ = ["ResultImage", "nearest_ids", "read_result_image"]

_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP")


@dataclass(frozen=True)
class ResultImage:
    """The values of one image.

    Attributes:
        kind: "ids" (palette indices), "gray" or "colour".
        values: (H, W) integers; (H, W, 3) in 0..255 for colours.
        white: the largest value that the file can store.
        lossy: whether its compression changes values.
        levels: the values that occur, if they are known without a look at the pixels.
    """

    kind: Literal["ids", "gray", "colour"]
    values: IntArray
    white: int = 255
    lossy: bool = False
    levels: frozenset[int] | None = None


def read_result_image(path: Path) -> ResultImage:
    """Read an image without interpreting its values.

    Raises:
        InputError: the file is corrupt or is no image, or it is a link to nothing.
    """
    check_link(path)
    try:
        with open_full_page(path) as image:
            image.load()
            return _values(path, image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error


def _values(path: Path, image: Image.Image) -> ResultImage:
    lossy = image.format in _LOSSY
    if image.mode == "P":
        return _indexed(image)
    if image.mode == "1":
        return ResultImage("ids", np.asarray(image).astype(np.int64), 1)
    if image.mode == "F":
        return _fractions(path, np.asarray(image).astype(np.float64))
    if image.mode in ("L", "I") or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        maximum = stored_maximum(path, image)
        if maximum is not None:
            return ResultImage("gray", stored_samples(values, maximum), maximum, lossy)
        if image.mode == "L":
            return ResultImage("gray", values, 255, lossy, _levels(image))
        return ResultImage("gray", values, 65535, lossy)
    return _coloured(image, lossy=lossy)


def _indexed(image: Image.Image) -> ResultImage:
    """Read indices, or the colours if the palette shows that indices mean nothing."""
    indices = np.asarray(image).astype(np.int64)
    palette = np.array(image.getpalette("RGB") or [], dtype=np.int64).reshape(-1, 3)
    levels = _levels(image)
    used = np.array(sorted(levels))
    if used[-1] >= len(palette):
        return ResultImage("ids", indices, levels=levels)
    colours = palette[used]
    gray = bool((colours == colours[:, :1]).all())
    if gray and used.size > 2 and (colours[:, 0] == used).all():
        return ResultImage("gray", indices, levels=levels)
    black = used[(colours == 0).all(axis=1)]
    if black.size and black[0] != 0 and palette[0].any():
        return _coloured(image, lossy=False)
    return ResultImage("ids", indices, levels=levels)


def _levels(image: Image.Image) -> frozenset[int]:
    """Return the values that occur in an image of 8 bits and one channel."""
    return frozenset(value for value, count in enumerate(image.histogram()) if count)


def _fractions(path: Path, values: DoubleArray) -> ResultImage:
    if not np.isfinite(values).all() or values.min() < 0:
        raise InputError(f"{path}: holds negative or infinite numbers; expected ids, or 0 to 1")
    if float(values.max()) <= 1 and not np.isin(values, (0, 1)).all():
        return ResultImage("gray", np.rint(values * 255).astype(np.int64))
    return ResultImage("gray", np.rint(np.minimum(values, 65535)).astype(np.int64), 65535)


def _coloured(image: Image.Image, *, lossy: bool) -> ResultImage:
    """Read colours; equal channels are gray, and alpha is the mask where only it has a shape."""
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    rgb, alpha = rgba[..., :3], rgba[..., 3]
    packed = (rgb << np.array((16, 8, 0))).sum(axis=-1)
    if alpha_is_the_mask(alpha, packed) or is_cut_out(alpha, packed):
        return ResultImage("gray", alpha)
    rgb = np.where(alpha[..., None] < 128, 0, rgb)
    spread = rgb.max(axis=-1) - rgb.min(axis=-1)
    if not spread.any() or (lossy and int(spread.max()) <= 12):
        return ResultImage("gray", rgb[..., 1], 255, lossy)
    return ResultImage("colour", rgb, 255, lossy)


def nearest_ids(rgb: IntArray, ids: tuple[int, ...]) -> tuple[IntArray, float]:
    """Return the id whose colour in the DAVIS palette is nearest, for each pixel.

    Args:
        rgb: (H, W, 3) in 0..255.
        ids: the ids to choose from, besides background.

    Returns:
        (H, W) ids, and the share of pixels that are within 48 of their colour in every channel.
    """
    known = np.array((0, *ids))
    colours = davis_palette()[known].astype(np.int64)
    best = np.full(rgb.shape[:2], 1 << 20, dtype=np.int64)
    labels = np.zeros(rgb.shape[:2], dtype=np.int64)
    for number, colour in zip(known.tolist(), colours, strict=True):
        distance = np.abs(rgb - colour).max(axis=-1)
        nearer = distance < best
        best[nearer], labels[nearer] = distance[nearer], number
    return labels, float((best <= 48).mean())
