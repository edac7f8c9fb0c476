"""What the images of intermediate results share: colours, panels, and writing them as PNG."""

from __future__ import annotations

import os
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.files import atomic_path
from vostrack.masks.palette import davis_palette

__all__ = ["enlarge", "instance_colour", "tile_panels", "write_png"]


def instance_colour(number: int) -> tuple[int, int, int]:
    """Return the palette's colour (red, green, blue) of instance ``number``, from 0."""
    red, green, blue = davis_palette()[1 + number % 254]
    return int(red), int(green), int(blue)


def enlarge(panel: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """Scale a panel (h, w, ...) to ``size``, H and W, so that each cell becomes a rectangle."""
    height, width = size
    scaled = cv2.resize(panel, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(scaled, dtype=np.uint8)


def tile_panels(panels: Sequence[UInt8Array], columns: int) -> UInt8Array:
    """Put panels (H, W, 3) side by side, row after row.

    Args:
        panels: R * ``columns`` panels of one size.
        columns: panels in a row.

    Returns:
        (R H, columns W, 3) uint8 RGB.
    """
    rows = [
        np.concatenate(panels[start : start + columns], axis=1)
        for start in range(0, len(panels), columns)
    ]
    return np.concatenate(rows, axis=0).astype(np.uint8)


def write_png(path: str | os.PathLike[str], image: UInt8Array) -> None:
    """Write an image (H, W, 3) uint8 RGB as PNG, atomically; missing folders are created."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")
