"""Alpha mattes in image files: where the alpha is, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from vostrack.errors import InputError
from vostrack.video.image_file import open_image
from vostrack.video.images import read_image

__all__ = ["read_matte"]

UInt8Array = NDArray[np.uint8]

# Gray that was saved with colour may be off by so much between its channels.
_GRAY = 16
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def read_matte(path: Path) -> UInt8Array:
    """Read an alpha matte: a gray image, or the alpha channel of one that is not opaque.

    Returns:
        (H, W) uint8, 255 where the object is opaque; 16 bits are scaled to 8.

    Raises:
        InputError: it is no image, or has colours.
    """
    matte = _alpha_channel(path)
    if matte is None:
        colours = read_image(path)
        if int(np.ptp(colours, axis=2).max(initial=0)) > _GRAY:
            raise InputError(
                f"{path} has colours; expected a matte as a gray image or in its alpha channel, "
                "255 where the object is opaque"
            )
        matte = np.ascontiguousarray(colours[..., 0])
    return matte


def _alpha_channel(path: Path) -> UInt8Array | None:
    """Return the alpha channel; None where there is none, or where it says nothing."""
    with open_image(path) as opened:
        if opened.mode not in _WITH_ALPHA and "transparency" not in opened.info:
            return None
        image = ImageOps.exif_transpose(opened).convert("RGBA")
        alpha = np.asarray(image.getchannel("A"), dtype=np.uint8)
    return None if (alpha == 255).all() else alpha
