"""Masks whose object is in the alpha channel."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray, FloatArray, IntArray
from vostrack.masks.palette import VOID
from vostrack.masks.parsed_mask import ParsedMask

__all__ = ["OPAQUE", "alpha_is_the_mask", "is_cut_out", "mask_of_alpha", "transparency_notes"]

OPAQUE = 128
"""Pixels with less alpha are background."""

_PARTLY = 0.02
# A mask of more colours than this is a picture.
_MOST_FLAT_COLOURS = 64


def alpha_is_the_mask(alpha: IntArray, colours: IntArray) -> bool:
    """Tell whether alpha is the only thing in an image that marks an object.

    That is so if the image is opaque in one part and transparent in another, and the opaque part
    is black throughout.

    Args:
        alpha: (H, W) in 0..255.
        colours: (H, W) or (H, W, C) in 0..255.
    """
    opaque = alpha >= OPAQUE
    return _has_shape(opaque) and not colours[opaque].any()


def is_cut_out(alpha: IntArray, colours: IntArray) -> bool:
    """Tell whether an image is a picture of an object with transparent surroundings.

    Args:
        alpha: (H, W) in 0..255.
        colours: (H, W), a number for each colour.
    """
    opaque = alpha >= OPAQUE
    return _has_shape(opaque) and np.unique(colours[opaque]).size > _MOST_FLAT_COLOURS


def _has_shape(opaque: BoolArray) -> bool:
    """Tell whether an image is opaque in one part and transparent in another."""
    share = float(opaque.mean())
    return 0 < share <= 1 - _PARTLY


def mask_of_alpha(alpha: IntArray, origin: str, what: str) -> ParsedMask:
    """Read the alpha channel as the mask of one object.

    Args:
        alpha: (H, W) in 0..255.
        origin: name of the mask in messages.
        what: what the opaque part shows, for the warning.
    """
    labels = (alpha >= OPAQUE).astype(np.uint8)
    note = f"{origin}: {what}; the opaque part is read as one object"
    soft: FloatArray = (alpha / VOID).astype(np.float32)
    partly = transparency_notes(alpha, origin)
    return ParsedMask(labels, {}, (note, *partly), {1: soft} if partly else None)


def transparency_notes(alpha: IntArray, origin: str) -> tuple[str, ...]:
    """Return the warning about partly transparent pixels."""
    partial = int(np.count_nonzero((alpha > 0) & (alpha < VOID)))
    if not partial:
        return ()
    return (
        f"{origin}: {partial} pixels are partly transparent; those below half opacity were left "
        "out",
    )
