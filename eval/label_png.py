"""Label maps as PNG bytes: inspecting a file, and encoding it as DAVIS requires."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.masks.palette import davis_palette

__all__ = ["LabelPng", "encode_label_png", "inspect_label_png"]


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {0: "gray", 2: "RGB", 3: "indexed", 4: "gray with alpha", 6: "RGB with alpha"}


@dataclass(frozen=True)
class LabelPng:
    """A decoded PNG.

    Attributes:
        form: bit depth and colour type, such as "8-bit indexed".
        size: H and W, in pixels.
        labels: (H, W) uint8 ids; None if the pixel values are colours or have 16 bits.
        davis_colours: whether the palette equals a prefix of the DAVIS palette and covers all ids.
        canonical: whether the file is equivalent to the output of ``encode_label_png``.
    """

    form: str
    size: tuple[int, int]
    labels: UInt8Array | None
    davis_colours: bool
    canonical: bool


def inspect_label_png(data: bytes) -> LabelPng | str:
    """Decode a PNG as a label map.

    Args:
        data: the bytes of the file.

    Returns:
        The decoded file, or a message if it is not a complete PNG.
    """
    if not data.startswith(_SIGNATURE) or len(data) < 26:
        return "expected a PNG file, got other bytes"
    depth, colour = data[24], data[25]
    try:
        # verify() checks the checksums of the chunks, which decoding does not.
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.verify()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            palette = bytes(image.getpalette() or b"")
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        return f"corrupt PNG: {error}"
    except Image.DecompressionBombError as error:
        return f"corrupt PNG: {error}"
    # Pillow scales gray of 2 and 4 bits to 0..255, so these values are not ids.
    holds_ids = colour == 3 or (colour == 0 and depth in (1, 8))
    labels = pixels.astype(np.uint8) if holds_ids else None
    davis = davis_palette().tobytes()
    covered = labels is not None and 3 * (int(labels.max(initial=0)) + 1) <= len(palette)
    davis_colours = colour == 3 and covered and davis.startswith(palette)
    return LabelPng(
        form=f"{depth}-bit {_COLOUR_TYPES.get(colour, 'unknown')}",
        size=(pixels.shape[0], pixels.shape[1]),
        labels=labels,
        davis_colours=davis_colours,
        canonical=davis_colours and depth == 8,
    )


def encode_label_png(labels: UInt8Array) -> bytes:
    """Encode a label map as 8-bit indexed PNG with the DAVIS palette.

    Args:
        labels: (H, W) uint8 ids.
    """
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
