"""The annotations of a file, whatever its format: frames, and the objects in each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks.frame_names import frame_number

__all__ = [
    "MOST_PIXELS",
    "AnnotatedFrame",
    "Annotations",
    "Entry",
    "Fill",
    "Size",
    "check_size",
    "number_in",
    "shortened",
    "whole_number",
]

Size = tuple[int, int]
Fill = Callable[[Size | None], BoolArray]
MOST_PIXELS = 1 << 28


@dataclass(frozen=True)
class Entry:
    """One object in one frame.

    Attributes:
        segmentation: its mask: COCO RLE, a list of COCO polygons, or a function that draws the mask
            for an image size (H, W). None if the file has a box or points only.
        number: its number in the file; None if it has none.
        name: its name; None if it has none.
        void: whether it marks a region to ignore.
        track: what identifies it in other frames; None if nothing does.
        category: its class; None if the file states none.
    """

    segmentation: Any
    number: int | None = None
    name: str | None = None
    void: bool = False
    track: str | None = None
    category: str | None = None

    @property
    def has_mask(self) -> bool:
        """Whether there is more than a box."""
        if isinstance(self.segmentation, list):
            return any(part != [] for part in self.segmentation)
        return self.segmentation is not None

    def called(self, position: int) -> str:
        """Return how messages call it.

        Args:
            position: of the entry in its frame, from 0.
        """
        number = position + 1 if self.number is None else self.number
        return f"{shortened(number, 20)}{f' ({self.name})' if self.name else ''}"


@dataclass(frozen=True)
class AnnotatedFrame:
    """A frame of the file.

    Attributes:
        name: how the file calls it.
        number: its number; None if the file states none.
        entries: the objects.
        size: H and W in pixels, if the file states them.
        time: its time in seconds, if the file states it.
        file: the name of its image file, where ``name`` is the own name of the frame for certain.
        position: where it is in the video, from 0, if the file states that beside the number.
    """

    name: str
    number: int | None
    entries: tuple[Entry, ...] = ()
    size: Size | None = None
    time: float | None = None
    file: str | None = None
    position: int | None = None

    @property
    def has_mask(self) -> bool:
        """Whether an object has a mask here."""
        return any(entry.has_mask for entry in self.entries)


@dataclass(frozen=True)
class Annotations:
    """What a file contains.

    Attributes:
        frames: the frames, in the order of the file, also those without objects.
        counted: whether the numbers are those of the video for certain.
        positions: whether the numbers count the frames, whatever names these have.
        video: whether this is a video and not a set of images.
        notes: what the user should know.
        source: name of the video; empty if unknown.
        frame_rate: frames per second; None if unknown.
        objects: the objects by their track, without a mask, if the file lists them; also those
            that no frame shows.
    """

    frames: tuple[AnnotatedFrame, ...]
    counted: bool = False
    positions: bool = False
    video: bool = False
    notes: tuple[str, ...] = ()
    source: str = ""
    frame_rate: float | None = None
    objects: Mapping[str, Entry] | None = None

    def noted(self, *notes: str) -> Annotations:
        """Return the annotations with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def shortened(value: Any, most: int = 80) -> str:
    """Return a text of the file that can be printed and written."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= most else f"{text[:most]}..."


def whole_number(value: Any) -> int | None:
    """Return a number that a file states as an integer, a text or a float without a fraction."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value) if abs(value) < 1 << 31 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 31 else None
    return None


def check_size(height: Any, width: Any, origin: str) -> Size | None:
    """Return H and W as a file states them; None if it states none.

    Raises:
        InputError: the size is impossible.
    """
    h, w = whole_number(height), whole_number(width)
    if height is None or width is None or (h is None and w is None):
        return None
    if h is None or w is None or h < 1 or w < 1 or h * w > MOST_PIXELS:
        raise InputError(
            f"{origin}: expected an image size of 1 pixel or more, got height "
            f"{shortened(height, 20)} and width {shortened(width, 20)}; export the masks again"
        )
    return h, w


def number_in(name: str) -> int | None:
    """Return the number of the frame that the name of an image, with folders, states."""
    return frame_number(name.replace("\\", "/").rsplit("/", maxsplit=1)[-1])
