"""Reading frames from arrays and generators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import (
    NOMINAL_RATE,
    Frame,
    SeekableSource,
    Selection,
    StreamedSource,
)

__all__ = ["IterableSource", "SequenceSource", "as_rgb"]


def as_rgb(item: object, what: str) -> UInt8Array:
    """Convert one frame to RGB, in a new array.

    Gray becomes three equal channels. Alpha is dropped, not blended: the colour of a transparent
    pixel becomes visible.

    Args:
        item: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, uint8; any type that
            numpy can convert.
        what: name of the frame in messages.

    Returns:
        (H, W, 3) uint8, contiguous.

    Raises:
        InputError: the shape or dtype is not supported.
    """
    array: np.ndarray[Any, Any] = np.asarray(item)
    if array.dtype != np.uint8:
        raise InputError(
            f"{what}: expected uint8 values of 0 to 255, got {array.dtype}; convert it first, "
            "for example with (frame * 255).astype(numpy.uint8) if it is in 0 to 1"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            f"{what}: expected shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got "
            f"{array.shape}; move the channels to the last axis"
        )
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.array(array[..., :3], order="C", copy=True)


class SequenceSource(SeekableSource):
    """Frames of a list, or of an array (T, H, W, 3), (T, H, W, 4) or (T, H, W)."""

    def __init__(self, frames: Sequence[object], selection: Selection) -> None:
        """Convert the first frame.

        Raises:
            InputError: there is no frame, a single image was given instead of several, or `as_rgb`
                rejects the first frame.
        """
        if len(frames) == 0:
            raise InputError("frames: expected at least one array, got an empty sequence")
        shape = getattr(frames, "shape", None)
        if shape is not None and len(shape) == 3 and shape[2] in (3, 4):
            raise InputError(
                f"frames: expected an array (T, H, W, 3), got one image of shape {tuple(shape)}; "
                "pass [image] for a single frame"
            )
        super().__init__("the frame sequence", len(frames), selection)
        self._items = frames
        self.size = as_rgb(frames[0], "frame 0").shape[:2]

    def _frames(self, numbers: range) -> Iterator[Frame]:
        for number in numbers:
            image = as_rgb(self._items[number], f"frame {number}")
            self._check_size(image.shape[0], image.shape[1], number)
            yield Frame(number, self.time(number), image)


class IterableSource(StreamedSource):
    """Frames of any iterable. A generator can be read only once."""

    def __init__(self, frames: Iterable[object], selection: Selection) -> None:
        """Take the first frame, for its size.

        Raises:
            InputError: there is no frame, or `as_rgb` rejects the first one.
        """
        super().__init__("the frame iterator", selection)
        iterator = iter(frames)
        try:
            first = next(iterator)
        except StopIteration:
            raise InputError("frames: expected at least one array, got an empty iterable") from None
        self.size = as_rgb(first, "frame 0").shape[:2]
        self._again = None if iterator is frames else frames
        self._waiting: Iterator[object] | None = chain([first], iterator)

    def _arrivals(self) -> Iterator[tuple[float, Callable[[], UInt8Array]]]:
        items = iter(self._again) if self._again is not None else self._waiting
        self._waiting = None
        if items is None:
            raise InputError(
                f"{self.name} was already read and cannot be restarted; pass a list or array of "
                "frames, or create a new iterator"
            )
        for number, item in enumerate(items):
            yield number / NOMINAL_RATE, partial(as_rgb, item, f"frame {number}")
