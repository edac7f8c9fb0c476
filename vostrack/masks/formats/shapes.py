"""Drawing the shapes of annotation tools as masks."""

from __future__ import annotations

import base64
import binascii
import io
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks.annotations import MOST_PIXELS, Fill, Size, shortened

__all__ = ["crop", "cropped", "ellipse", "outline", "picture", "png_text", "points_of"]

_FAR = 1 << 16
Points = Sequence[tuple[float, float]]


def points_of(value: Any) -> list[tuple[float, float]]:
    """Return the points of a polygon as a file states them.

    Raises:
        InputError: it is no list of at least three points with finite coordinates.
    """
    found = []
    for point in value if isinstance(value, list) else ():
        if isinstance(point, dict):
            point = [point.get("x"), point.get("y")]
        pair = list(point) if isinstance(point, (list, tuple)) else []
        if len(pair) < 2 or not all(_is_near(v) for v in pair[:2]):
            raise InputError(
                f"polygon: expected points [x, y], got {shortened(point, 40)}; export it again"
            )
        found.append((float(pair[0]), float(pair[1])))
    if len(found) < 3:
        raise InputError(
            f"polygon: expected a list of at least three points [x, y], got {shortened(value, 40)};"
            " export it again"
        )
    return found


def _is_near(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and -_FAR < value < _FAR


def outline(outside: Sequence[Points], inside: Sequence[Points] = ()) -> Fill:
    """Return what fills polygons together with the pixels on their outline, except holes.

    Args:
        outside: the polygons, in pixels; (0, 0) is the centre of the first pixel.
        inside: their holes; the outline of a hole belongs to the object.
    """

    def fill(size: Size | None) -> BoolArray:
        import cv2

        plane = np.zeros(_known(size), np.uint8)
        for points in outside:
            cv2.fillPoly(plane, [np.rint(np.array(points)).astype(np.int32)], 1)
        for points in inside:
            hole = np.zeros_like(plane)
            corners = np.rint(np.array(points)).astype(np.int32)
            cv2.fillPoly(hole, [corners], 1)
            cv2.polylines(hole, [corners], isClosed=True, color=0)
            plane[hole > 0] = 0
        return plane > 0

    return fill


def ellipse(centre: Points, radii: tuple[float, float], degrees: float = 0.0) -> Fill:
    """Return what fills an ellipse.

    Args:
        centre: one point x, y in pixels, the centre of the first pixel being (0.5, 0.5).
        radii: along x and y before the rotation, in pixels.
        degrees: clockwise rotation.

    Raises:
        InputError: a number is not finite or a radius is not above 0.
    """
    (x, y), turn = centre[0], math.radians(degrees % 360) if math.isfinite(degrees) else math.nan
    if not (all(map(_is_near, (x, y, *radii))) and min(radii) > 0 and math.isfinite(turn)):
        raise InputError(
            f"ellipse: expected a centre and radii above 0, got {shortened((x, y, *radii), 60)}; "
            "export it again"
        )

    def fill(size: Size | None) -> BoolArray:
        rows, columns = np.mgrid[: _known(size)[0], : _known(size)[1]] + 0.5
        right, down = columns - x, rows - y
        along = (right * math.cos(turn) + down * math.sin(turn)) / radii[0]
        across = (down * math.cos(turn) - right * math.sin(turn)) / radii[1]
        return np.asarray(along**2 + across**2 <= 1)

    return fill


def crop(mask: BoolArray, left: int, top: int) -> Fill:
    """Return what puts a mask at a place of the image. What lies outside the image is cut off.

    Args:
        mask: (h, w) bool.
        left: column of its first pixel.
        top: row of its first pixel.
    """

    def fill(size: Size | None) -> BoolArray:
        plane = np.zeros(_known(size), np.bool_)
        rows, columns = plane.shape
        up, aside = max(-top, 0), max(-left, 0)
        part = mask[up : max(rows - top, 0), aside : max(columns - left, 0)]
        y, x = max(top, 0), max(left, 0)
        plane[y : y + part.shape[0], x : x + part.shape[1]] = part
        return plane

    return fill


def cropped(mask: BoolArray) -> tuple[BoolArray, int, int]:
    """Return the smallest box of a mask that is not empty, and its first column and row."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1], left, top


def picture(text: Any, *, packed: bool = False) -> BoolArray:
    """Decode a mask that a file contains as an image in base64.

    The mask is where the image is opaque, if it has alpha, and else where it is not 0.

    Args:
        text: the image in base64, or a ``data:`` address.
        packed: whether the image may be compressed with zlib once more.

    Raises:
        InputError: it is not an image.
    """
    try:
        data = base64.b64decode(str(text).rsplit(",", 1)[-1], validate=False)
        if packed and not data.startswith(b"\x89PNG"):
            data = zlib.decompressobj().decompress(data, 1 << 26)
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("the image is too large")
            if image.mode == "P" and "transparency" not in image.info:
                return np.asarray(image) > 0
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                return np.asarray(image.convert("RGBA"))[..., 3] > 0
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError, binascii.Error, zlib.error, EOFError,
            Image.DecompressionBombError) as error:  # fmt: skip
        raise InputError(
            f"mask: expected an image in base64, got {shortened(text, 20)!r} "
            f"({shortened(error, 60)}); export it again"
        ) from error
    return np.asarray(values.any(axis=-1) if values.ndim == 3 else values > 0)


def png_text(values: UInt8Array, *, transparency: bool = False) -> bytes:
    """Encode a mask as PNG.

    Args:
        values: (h, w) uint8, 0 or 1.
        transparency: write an indexed image whose index 0 is transparent; else black and white.
    """
    buffer = io.BytesIO()
    if transparency:
        image = Image.fromarray(values)
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(buffer, format="PNG", transparency=0)
    else:
        Image.fromarray(values > 0).save(buffer, format="PNG")
    return buffer.getvalue()


def _known(size: Size | None) -> Size:
    if size is None:
        raise InputError(
            "the size of the image is needed to draw a shape, but the file states none; give "
            "that of the video as `size`"
        )
    return size
