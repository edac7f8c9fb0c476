"""Reading frames from image files: a folder, a pattern, or a list of paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import natural_order
from vostrack.video.arrays import as_rgb
from vostrack.video.frames import (
    NOMINAL_RATE,
    Frame,
    SeekableSource,
    Selection,
)
from vostrack.video.names import IMAGE_SUFFIXES

__all__ = ["ImageSource", "images_in_folder", "images_matching", "read_image"]


def _is_image(path: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _sorted_images(paths: Iterator[Path]) -> list[Path]:
    return sorted(filter(_is_image, paths), key=lambda path: natural_order(str(path)))


def images_in_folder(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order, without hidden files.

    Raises:
        InputError: the folder contains no image.
    """
    images = _sorted_images(folder.iterdir())
    if not images:
        raise InputError(
            f"{folder} contains no image; expected files such as 00000.jpg ({_suffixes()}) "
            "directly in the folder; check the path"
        )
    return images


def images_matching(pattern: str) -> list[Path]:
    """Return the images that match a glob pattern, in natural order; ``**`` spans folders.

    Raises:
        InputError: no image matches.
    """
    path = Path(pattern).expanduser()
    # Path.glob does not accept absolute patterns.
    base = Path(path.anchor)
    try:
        images = _sorted_images(base.glob(str(path.relative_to(base))))
    except ValueError as error:
        raise InputError(
            f"{pattern!r} is not a valid file pattern ({error}); use one such as 'frames/*.png'"
        ) from None
    if not images:
        raise InputError(
            f"no image matches {pattern!r}; expected files such as frames/*.png ({_suffixes()}), "
            "check the folder and keep the pattern in quotes"
        )
    return images


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))


def read_image(path: Path) -> UInt8Array:
    """Read an image file as it is displayed.

    EXIF orientation and palettes are applied, 16 bits are scaled to 8, gray becomes RGB, and alpha
    is dropped (see `vostrack.video.arrays.as_rgb`).

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing or corrupt, is not an image, or contains float values.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            return as_rgb(_eight_bit(image, path), str(path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name of the image") from None
    except InputError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); replace it or remove it from the frames"
        ) from error


def _eight_bit(image: Image.Image, path: Path) -> UInt8Array:
    if image.mode.startswith("I"):
        # 16-bit gray. Older versions of Pillow read a 16-bit PNG in mode "I".
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"{path} has values outside 0..65535; save it with 8 or 16 bits")
        return ((values * 255 + 32767) // 65535).astype(np.uint8)
    if image.mode == "F":
        raise InputError(f"{path} has float values; save it as an image with 8 or 16 bits")
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


class ImageSource(SeekableSource):
    """Frames of a list of image files, in that order, at `NOMINAL_RATE`."""

    def __init__(self, paths: Sequence[Path], name: str, selection: Selection) -> None:
        """Read the first image for its size.

        Args:
            paths: the image files.
            name: name of the source in messages.
            selection: the selected frames.

        Raises:
            InputError: ``paths`` is empty, or the first image cannot be read.
        """
        if not paths:
            raise InputError("images: expected at least one path, got an empty list")
        super().__init__(name, len(paths), selection)
        self._paths = list(paths)
        self.size = read_image(self._paths[0]).shape[:2]

    def _frames(self, numbers: range) -> Iterator[Frame]:
        for number in numbers:
            path = self._paths[number]
            image = read_image(path)
            if image.shape[:2] != self.size:
                # The file name is more helpful than the frame number alone.
                raise InputError(
                    f"{path} (frame {number}) is {image.shape[1]} x {image.shape[0]} pixels, the "
                    f"first image is {self.size[1]} x {self.size[0]}; all frames must have the "
                    "same size; resize it or remove it"
                )
            yield Frame(number, number / NOMINAL_RATE, image)
