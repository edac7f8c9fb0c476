"""Opening an image file that contains a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vostrack.errors import InputError
from vostrack.files import check_regular
from vostrack.tiff import (
    has_deep_planes,
    noted_orientation,
    open_full_page,
    read_planes,
    white_is_zero,
)

__all__ = ["is_archive", "loses_detail", "needed_orientation", "open_image", "upright"]

_ARCHIVES = (".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".xz", ".bz2")
_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000"})
_ORIENTATION = 0x0112
# How Pillow undoes an orientation, and where it is noted that it was applied.
_BACK = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_APPLIED = "vostrack_orientation"
# The value of black in gray of 16 bits in which 0 is white.
_BLACK = 65535
# A mask without loss has few colours; compression adds many.
_FEW = 16


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file, at the page that is no preview.

    Raises:
        InputError: the file is missing or corrupt, or is not an image.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a first mask; check the path")
    check_regular(path, "the mask")
    try:
        with open_full_page(path) as image:
            if image.format == "TIFF":
                return _tiff_page(image, path)
            image.load()
            return image.copy() if getattr(image, "n_frames", 1) > 1 else image
    except UnidentifiedImageError as error:
        if path.name.lower().endswith((".nii", ".nii.gz")):
            raise InputError(
                f"{path}: a NIfTI volume, expected a mask as PNG; save its slice as PNG or TIFF"
            ) from error
        if is_archive(path):
            raise InputError(
                f"{path}: an archive, expected a mask or a file of annotations; unpack it, and "
                "give the file or the folder with the masks"
            ) from error
        raise InputError(
            f"{path}: not a readable image, expected a mask as PNG (or COCO RLE in a .json file), "
            f"got {_kind(path)}; export the mask as PNG"
        ) from error
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow lets many kinds of damage through
        raise InputError(
            f"{path}: the image cannot be read ({error}), expected a complete PNG; "
            "check the file, or export the mask again"
        ) from error


def _tiff_page(image: Image.Image, path: Path) -> Image.Image:
    """Decode the current page of a TIFF as it is displayed."""
    noted = noted_orientation(image)
    shown = _decoded_page(image, path)
    # Recent versions of Pillow have turned the image by now.
    if shown.getexif().get(_ORIENTATION, 1) == 1:
        shown.info[_APPLIED] = noted
    return shown


def _decoded_page(image: Image.Image, path: Path) -> Image.Image:
    """Decode the current page of a TIFF, with planes and white for 0 as others have them."""
    if has_deep_planes(image):
        planes = read_planes(image, path)
        high = [(np.asarray(plane) >> 8).astype(np.uint8) for plane in planes]
        image = planes[0]
        if len(planes) == 1:
            return image
        shown = Image.fromarray(np.dstack(high))
    else:
        image.load()
        image.getexif()  # while the file is open
        # Ids have no colour: black must occur in a picture in which 0 is white.
        if not white_is_zero(image) or np.asarray(image).max() < _BLACK:
            return image
        shown = Image.fromarray(_BLACK - np.asarray(image))
    shown.format = image.format
    shown.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    return shown


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive by its name."""
    return path.suffix.lower() in _ARCHIVES


def needed_orientation(
    orientation: int, stored: tuple[int, int], size: tuple[int, int] | None
) -> int:
    """Return the orientation to apply to a mask: the one that its file notes, or 1.

    Editors turn the pixels, and some keep the note. A mask that has the size of the video as it is
    stored, and would lose it, was turned before.

    Args:
        orientation: what the file notes.
        stored: H and W of the mask as the file stores it.
        size: H and W of the video in pixels, if known.
    """
    loses = orientation in range(5, 9) and stored[0] != stored[1]
    return 1 if loses and stored == size else orientation


def upright(image: Image.Image, size: tuple[int, int] | None = None) -> tuple[Image.Image, bool]:
    """Apply the orientation that cameras note in a file, as readers of pictures do.

    Args:
        image: from ``open_image``.
        size: H and W of the video in pixels, if known; see ``needed_orientation``.

    Returns:
        The image, and whether it is turned against the file.
    """
    noted, applied = image.getexif().get(_ORIENTATION, 1), image.info.get(_APPLIED, 1)
    shape = (image.height, image.width)
    if noted in range(2, 9):
        if needed_orientation(noted, shape, size) == 1:
            return image, False
        found, turned = ImageOps.exif_transpose(image), True
    elif applied in range(2, 9):
        stored = shape[::-1] if applied in _BACK else shape
        if needed_orientation(applied, stored, size) != 1:
            return image, True
        found, turned = image.transpose(_BACK[applied]), False
    else:
        return image, False
    found.format = image.format
    return found, turned


def loses_detail(image: Image.Image, path: Path) -> bool:
    """Tell whether a file was compressed with loss, so that its values are not exact."""
    if image.format == "WEBP":
        return b"VP8 " in path.read_bytes()[:512] or b"ALPH" in path.read_bytes()[:64]
    if image.format == "AVIF":
        return image.getcolors(_FEW) is None
    return image.format in _LOSSY


def _kind(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    return f"a file named *{path.suffix}" if path.suffix else "a file without a suffix"
