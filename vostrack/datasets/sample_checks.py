"""Checks of images and their masks before a training starts, so that none fails in its midst."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vostrack.arrays import AnyArray
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.video.image_file import open_image, page_size

__all__ = ["check_classes", "check_each", "check_same_size", "whole_size"]

_T = TypeVar("_T")
# Unpacking an image and waiting for a disk both leave the interpreter to other threads.
_THREADS = 8
# How the files of these formats end.
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


def check_each(check: Callable[[_T], object], samples: Iterable[_T]) -> None:
    """Call a check for every sample, several at a time.

    Args:
        check: raises an error if the sample cannot be used.
        samples: such as the files of an image and of its masks.

    Raises:
        Exception: that of the first sample, in their order, for which ``check`` raises one.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(check, samples):
            pass


def whole_size(path: Path, *, mask: bool = False) -> tuple[int, int] | None:
    """Return H and W, as reading gives them, from the header of an image whose end is there too.

    It takes a fraction of reading the image. None says nothing but that only reading can tell: the
    file is cut off, is no image, has no end of a known form, or is to be a mask and has colours.

    Args:
        path: the file.
        mask: whether it is read as a label map, which is taken as it is stored; else as an image,
            which is turned as its orientation says.
    """
    try:
        with open_image(path) as image:
            end = _ENDS.get(image.format or "", b"")
            if mask and len(image.getbands()) > 1:
                return None
            size = (image.height, image.width) if mask else page_size(image, path)
        with path.open("rb") as file:
            file.seek(-len(end), os.SEEK_END)
            return size if end and file.read() == end else None
    except (OSError, InputError):
        return None


def check_same_size(
    mask: str | os.PathLike[str],
    got: tuple[int, ...],
    image: str | os.PathLike[str],
    size: tuple[int, ...],
) -> None:
    """Check that a mask fits its image.

    Args:
        mask: the file of the mask, for the message.
        got: its H and W.
        image: the file of the image, for the message.
        size: H and W of the image.

    Raises:
        InputError: they differ.
    """
    if got != size:
        raise InputError(
            f"{mask}: expected a mask of {size[0]} x {size[1]} pixels (rows x columns) as its "
            f"image {image}, got {got[0]} x {got[1]}"
        )


def check_classes(classes: AnyArray, count: int, mask: str | os.PathLike[str]) -> None:
    """Check that a mask holds classes of its data set.

    Args:
        classes: (H, W) unsigned integers.
        count: number L of classes, with the background.
        mask: the file, for the message.

    Raises:
        InputError: a value is neither in 0..L-1 nor 255, which is void.
    """
    wrong = classes[(classes >= count) & (classes != VOID)]
    if wrong.size:
        raise InputError(
            f"{mask}: expected classes 0..{count - 1} or {VOID} for void, got {wrong.min()}; "
            "renumber the classes, or choose the layout whose classes these are"
        )
