"""The samples of a gray image as its file stores them.

Pillow stretches the values of images with 2 or 4 bits, and of PGM files whose maximum is not 255,
to the full range. In a mask the stored values are the ids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.arrays import IntArray
from vostrack.tiff import open_full_page

__all__ = ["stored_maximum", "stored_samples"]

_BITS_PER_SAMPLE = 258


def stored_maximum(path: Path, image: Image.Image) -> int | None:
    """Return the largest value that a gray file can store, where Pillow stretches its values.

    Args:
        path: the file.
        image: the same file as Pillow read it.

    Returns:
        3 or 15 for 2 or 4 bits, or the maximum of a PGM file; None if values are not stretched.
    """
    if image.mode not in ("L", "I", "I;16"):
        return None
    with path.open("rb") as file:
        head = file.read(200)
    if image.format == "PNG" and len(head) > 25 and head[12:16] == b"IHDR":
        bits, colour = head[24], head[25]
        return (1 << bits) - 1 if bits in (2, 4) and colour == 0 else None
    if image.format == "TIFF":
        return _tiff_maximum(path)
    if image.format == "PPM" and head[:2] in (b"P2", b"P5"):
        return _pgm_maximum(head)
    return None


def stored_samples(values: IntArray, maximum: int) -> IntArray:
    """Undo the stretching of values to 0..255 or 0..65535.

    Args:
        values: (H, W), as Pillow returns them.
        maximum: from ``stored_maximum``.
    """
    full = 255 if maximum <= 255 else 65535
    return np.asarray(np.rint(values * (maximum / full)), dtype=np.int64)


def _tiff_maximum(path: Path) -> int | None:
    # An image that was turned has lost its tags.
    with open_full_page(path) as image:
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))[0]
    return (1 << bits) - 1 if bits in (2, 4) else None


def _pgm_maximum(head: bytes) -> int | None:
    text = b"\n".join(line.split(b"#")[0] for line in head.split(b"\n"))
    fields = text.split(maxsplit=4)
    if len(fields) < 4 or not fields[3].isdigit():
        return None
    maximum = int(fields[3])
    return maximum if 0 < maximum < 65535 and maximum != 255 else None
