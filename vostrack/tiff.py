"""What Pillow leaves to its callers in TIFF files: previews, turned pages, and samples of 16 bits.

Pillow reads the first page, even if that is a small preview of the next one. It takes separate
planes of 16 bits for planes of 8, and does not invert gray of 16 bits in which 0 is white. OpenCV
does not read such planes either (``findings/tiff_planes_of_16_bits.sh``). A page that lies on its
side is cut into rows of the wrong length where the file is mapped into memory
(``findings/tiff_turned_and_mapped.sh``).
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from vostrack.arrays import AnyArray
from vostrack.errors import InputError

__all__ = [
    "full_pages",
    "has_deep_colours",
    "has_deep_planes",
    "noted_orientation",
    "open_full_page",
    "read_page",
    "read_planes",
    "stored_size",
    "turned_upright",
    "white_is_zero",
]

_SUBFILE, _OLD_SUBFILE = 254, 255
_WIDTH, _LENGTH = 256, 257
_ORIENTATION = 274
_REDUCED_OR_MASK = 1 | 4
_OLD_REDUCED = 2
_BITS, _PHOTOMETRIC, _SAMPLES, _ARRANGEMENT, _FORMAT = 258, 262, 277, 284, 339
_SEPARATE = 2
# Where the data of strips and of tiles begin, and their lengths.
_DATA = ((273, 279), (324, 325))
# Size, bits, compression, photometry, fill order, orientation, samples, rows of a strip,
# arrangement, predictor, size of a tile, further samples, format of a sample.
_KEPT = (256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 317, 322, 323, 338, 339)


def full_pages(image: Image.Image) -> Iterator[int]:
    """Go through the pages of an open TIFF that are neither previews nor transparency masks.

    A page that Pillow cannot read is not left out: it is for who reads it to complain.
    """
    for page in range(getattr(image, "n_frames", 1)):
        with contextlib.suppress(SyntaxError):
            image.seek(page)
        if not _is_preview(image):
            yield page


@contextmanager
def open_full_page(path: str | os.PathLike[str] | BytesIO) -> Iterator[Image.Image]:
    """Open an image file of any format; a TIFF at its first page that is no preview.

    Raises:
        Exception: what Pillow raises.
    """
    with Image.open(path) as image:
        if image.format == "TIFF":
            if isinstance(image, ImageFile.ImageFile):
                image.filename = ""  # Pillow maps files with a name only
            if _is_preview(image):
                page = next(full_pages(image), 0)
                image.seek(0)
                image.seek(page)
        yield image


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Return W and H of the current page as the file stores it, before it is turned for display.

    Recent versions of Pillow state the size of a TIFF as it is displayed.
    """
    tags = _tags(image)
    return tags.get(_WIDTH, image.width), tags.get(_LENGTH, image.height)


def noted_orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, that the current page notes; ask before it is decoded."""
    return int(np.ravel(_tags(image).get(_ORIENTATION, 1))[0])


def _is_preview(image: Image.Image) -> bool:
    tags = _tags(image)
    return bool(tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK) or tags.get(_OLD_SUBFILE) == _OLD_REDUCED


def white_is_zero(image: Image.Image) -> bool:
    """Tell whether the current page is gray of 16 bits in which 0 is white."""
    tags = _tags(image)
    unsigned = np.ravel(tags.get(_FORMAT, 1))[0] == 1
    return image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0 and bool(unsigned)


def has_deep_planes(image: Image.Image) -> bool:
    """Tell whether the current page has planes of 16 bits, one for each colour."""
    return _bits(image) == 16 and _tags(image).get(_ARRANGEMENT) == _SEPARATE


def has_deep_colours(image: Image.Image) -> bool:
    """Tell whether the current page is a TIFF with colours of 16 bits."""
    return _bits(image) == 16 and image.mode.startswith("RGB")


def read_planes(image: Image.Image, path: Path) -> list[Image.Image]:
    """Read the 16-bit planes of the current page, for which `has_deep_planes` is true.

    Args:
        image: the open file, at the page.
        path: the same file.

    Returns:
        A gray image for each channel of ``image.mode``.

    Raises:
        InputError: the planes are not gray, or red, green and blue.
    """
    channels = len(image.getbands())
    if channels > 1 and not image.mode.startswith("RGB"):
        raise InputError(
            f"{path} has separate planes of 16 bits in {image.mode}, expected red, green and blue; "
            "save it as PNG, or as TIFF with interleaved channels"
        )
    planes: list[Image.Image] = []
    for channel in range(channels):
        plane = Image.open(BytesIO(read_page(image, path, channel)))
        plane.load()
        planes.append(plane)
    return planes


def read_page(image: Image.Image, path: Path, plane: int | None = None) -> bytes:
    """Return the current page of a TIFF, or one plane of it in gray, as a TIFF of its own.

    The data are copied as they are compressed. A plane keeps the orientation; a whole page is left
    as it is stored, since readers differ in which orientations they apply.
    """
    tags = _tags(image)
    entries: dict[int, list[int]] = {
        tag: [int(n) for n in np.ravel(tags[tag])] for tag in _KEPT if tag in tags
    }
    where, length = next((pair for pair in _DATA if pair[0] in tags), _DATA[0])
    size = path.stat().st_size
    starts = [int(n) for n in np.ravel(tags.get(where, 0))]
    lengths = [int(n) for n in np.ravel(tags.get(length, [size] * len(starts)))]
    if plane is not None:
        each = len(starts) // entries[_SAMPLES][0]
        part = slice(plane * each, (plane + 1) * each)
        starts, lengths = starts[part], lengths[part]
        entries |= {_BITS: [16], _PHOTOMETRIC: [1], _SAMPLES: [1], _ARRANGEMENT: [1]}
        entries = {tag: numbers for tag, numbers in entries.items() if tag not in (338, _FORMAT)}
    else:
        entries.pop(_ORIENTATION, None)
    data, offsets = bytearray(), []
    with path.open("rb") as file:
        for start, count in zip(starts, lengths, strict=False):
            file.seek(start)
            offsets.append(8 + len(data))
            data += file.read(min(count, size))
            data += b"\0" * (len(data) % 2)
    entries |= {where: offsets, length: lengths}
    return _tiff(entries, bytes(data), tags.prefix)


def turned_upright(values: AnyArray, orientation: int) -> AnyArray:
    """Return an array (H, W) or (H, W, C) as it is displayed.

    Args:
        values: as the file stores it.
        orientation: the tag of that name; what is not in 2 to 8 changes nothing.
    """
    if orientation in (5, 7):
        values = values.swapaxes(0, 1)
    turns = {3: 2, 6: -1, 7: 2, 8: 1}.get(orientation, 0)
    values = np.rot90(values, turns)
    if orientation in (2, 4):
        values = np.flip(values, axis=1 if orientation == 2 else 0)
    return values


def _tiff(entries: dict[int, list[int]], data: bytes, prefix: bytes) -> bytes:
    """Put data, and the directory that describes them, into one file."""
    order = "<" if prefix == b"II" else ">"
    start = 8 + len(data)
    directory, more = struct.pack(f"{order}H", len(entries)), b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, numbers in sorted(entries.items()):
        value = struct.pack(f"{order}{len(numbers)}L", *numbers)
        if len(numbers) > 1:
            value, more = struct.pack(f"{order}L", behind + len(more)), more + value
        directory += struct.pack(f"{order}HHL", tag, 4, len(numbers)) + value
    head = struct.pack(f"{order}2sHL", prefix, 42, start)
    return head + data + directory + bytes(4) + more


def _bits(image: Image.Image) -> int:
    return int(np.ravel(_tags(image).get(_BITS, 8))[0]) if image.format == "TIFF" else 0


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})
