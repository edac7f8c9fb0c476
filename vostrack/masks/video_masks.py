"""The masks of a whole video, whatever format they come from or go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.masks.palette import VOID

__all__ = ["MaskFrame", "MaskObject", "VideoMasks", "class_of", "file_name", "file_stem", "present"]

_NO_CLASS = "object"


@dataclass(frozen=True)
class MaskFrame:
    """The identity of a frame.

    Attributes:
        number: its number, as ``first_mask_frame`` takes it.
        name: its name, which files carry, such as ``00005``.
        time: its time in seconds; None if unknown.
        named: whether the name is the frame's own. Otherwise it is the number.
        file: the name of its image file, such as ``plate.1005.jpg``; None if unknown.
        position: where it is in the whole video, from 0, if it has a name of its own; None if
            unknown. Frames without one have this as their number.
    """

    number: int
    name: str
    time: float | None = None
    named: bool = False
    file: str | None = None
    position: int | None = None


@dataclass(frozen=True)
class MaskObject:
    """An object of the video.

    Attributes:
        id: its value in label maps, 1..254.
        name: its name.
        category: the name of its class. Objects without a name of their own are an ``object``.
    """

    id: int
    name: str
    category: str


@dataclass(frozen=True)
class VideoMasks:
    """The masks of a whole video. Label maps are read one at a time, on demand.

    Attributes:
        size: H and W in pixels.
        frames: the T frames, in the order of the video.
        objects: the objects, by ascending id.
        read: gives the label map of the frame at a position, (H, W) uint8.
        video: name of the video; empty if unknown.
        frame_rate: frames per second; None if unknown.
        folder: the results folder that the masks come from; None for files of other tools.
        notes: what the user should know about how the masks were read.
        lost: says what was lost in the label maps that were read so far.
        path: where the frames of the video can be read again if no folder says it; their names
            are then those that the video gives them.
    """

    size: tuple[int, int]
    frames: tuple[MaskFrame, ...]
    objects: tuple[MaskObject, ...]
    read: Callable[[int], UInt8Array]
    video: str = ""
    frame_rate: float | None = None
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    lost: Callable[[], tuple[str, ...]] = tuple
    path: str | None = None

    def labels(self, position: int) -> UInt8Array:
        """Return the label map of one frame.

        Args:
            position: index into ``frames``, from 0.

        Returns:
            (H, W) uint8; 0 background, 1..254 object ids, 255 void.
        """
        return self.read(position)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the objects."""
        return tuple(dict.fromkeys(entry.category for entry in self.objects))


def class_of(name: str, number: int) -> str:
    """Return the class of an object that has a name only: a number is no class."""
    return _NO_CLASS if name == str(number) or not name else name


def file_name(frame: MaskFrame) -> str:
    """Return the name of the frame's image file, as far as it is known."""
    return frame.file or f"{frame.name}.png"


def file_stem(frame: MaskFrame) -> str:
    """Return what a file that belongs to the frame's image file is called, without suffix."""
    return Path(frame.file).stem if frame.file else frame.name


def present(
    masks: VideoMasks, labels: UInt8Array, *, void: bool = False
) -> Iterator[tuple[MaskObject, BoolArray]]:
    """Iterate over the objects of a frame with their masks.

    Args:
        masks: the masks of the video.
        labels: (H, W) uint8, the label map of the frame.
        void: yield void too, last, as an object of id 255.
    """
    areas = np.bincount(labels.ravel(), minlength=256)
    for entry in masks.objects:
        if areas[entry.id]:
            yield entry, labels == entry.id
    if void and areas[VOID]:
        yield MaskObject(VOID, "void", "void"), labels == VOID
