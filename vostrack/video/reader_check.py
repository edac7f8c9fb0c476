"""Refusing videos that another reader would get wrong without an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import logger
from vostrack.video.video_file import VideoFileSource

__all__ = ["check_pictures", "check_size", "check_stream"]

# So many pictures, evenly spaced, are compared.
_SAMPLES = 6
# Largest mean difference of two small versions of one picture. Readers place chroma differently.
_DIFFERENCE = 20.0


def check_stream(reference: VideoFileSource, reader: str) -> None:
    """Refuse what a reader would get wrong without an error. The whole file is decoded.

    Args:
        reference: the video as PyAV reads it.
        reader: name of the library in messages.

    Raises:
        InputError: a picture differs in size from the first, or pictures are mirrored or
            interlaced.
    """
    if reference.orientation.mirrored:
        raise InputError(
            f"{reference.name} is shown mirrored, which {reader} ignores; use `reader='pyav'`"
        )
    if reference.has_palette and reader == "decord":
        raise InputError(f"{reference.name} has a palette, which decord loses; use `reader='pyav'`")
    for frame in reference.decoded():
        if frame.interlaced_frame and reader == "OpenCV":
            # OpenCV 5 then reports pictures as read and writes none.
            raise InputError(
                f"{reference.name} is interlaced, which OpenCV cannot convert; use `reader='pyav'`"
            )
    if reference.deinterlaced:
        logger.warning("%s: %s does not deinterlace; use `reader='pyav'`", reference.name, reader)
    if reference.tone_map is not None:
        logger.warning("%s: %s does not convert HDR; use `reader='pyav'`", reference.name, reader)


def check_size(reference: VideoFileSource, reader: str, size: tuple[int, int]) -> None:
    """Refuse a reader that chose another stream.

    Raises:
        InputError: its pictures have another size.
    """
    if size != reference.size:
        raise InputError(
            f"{reader} reads pictures of {size[1]} x {size[0]} pixels from {reference.name}, "
            f"expected {reference.size[1]} x {reference.size[0]}: it takes another stream; use "
            "`reader='pyav'`"
        )


def check_pictures(
    reference: VideoFileSource,
    reader: str,
    images: Callable[[list[int]], Iterator[UInt8Array]],
) -> None:
    """Refuse a reader that shows other pictures. Some frames are compared.

    Args:
        reference: the video as PyAV reads it.
        reader: name of the library in messages.
        images: gives the reader's pictures of ascending frame numbers.

    Raises:
        InputError: a picture differs clearly.
    """
    if reference.tone_map is not None or reference.value_range is not None:
        return
    last = reference.indices[-1]
    numbers = sorted({round(last * k / (_SAMPLES - 1)) for k in range(_SAMPLES)})
    for number, image in zip(numbers, images(numbers), strict=True):
        expected = next(reference.read(number, number)).image
        if np.abs(_small(image) - _small(expected)).mean() > _DIFFERENCE:
            raise InputError(
                f"{reader} shows another picture as frame {number} of {reference.name} than PyAV; "
                "use `reader='pyav'`"
            )


def _small(image: UInt8Array) -> FloatArray:
    return cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
