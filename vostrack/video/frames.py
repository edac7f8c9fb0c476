"""Frames, and the interface of every source of frames."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frame_names import FrameNames
from vostrack.wording import counted

__all__ = [
    "NOMINAL_RATE",
    "Frame",
    "FrameSource",
    "SeekableSource",
    "Selection",
    "StreamedSource",
    "UInt8Array",
]


NOMINAL_RATE = 25.0
"""Assumed frames per second of images and arrays, which have no clock."""

logger = logging.getLogger("vostrack.video")


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as it is displayed.

    Attributes:
        index: position in the source in presentation order, from 0, regardless of start and
            stride. `FrameSource.names` has the frame's own name and number.
        time: seconds since the first presented frame of the source.
        image: (H, W, 3) uint8 RGB, contiguous, in displayed orientation.
    """

    index: int
    time: float
    image: UInt8Array


@dataclass(frozen=True)
class Selection:
    """The selected frames of a source: ``frames[start:end:stride]``.

    Attributes:
        start: number of the first frame, at least 0.
        end: number after the last frame; None for no limit.
        stride: step between frames, at least 1.
    """

    start: int = 0
    end: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of range.
        """
        if self.start < 0:
            raise InputError(f"start: expected a frame number of 0 or more, got {self.start}")
        if self.stride < 1:
            raise InputError(
                f"stride: expected 1 (every frame) or more, got {self.stride}; use 2 for every "
                "second frame"
            )
        if self.end is not None and self.end <= self.start:
            raise InputError(
                f"end: expected a frame number above the start {self.start}, got {self.end}; "
                "increase it, because frame `end` itself is not included"
            )

    def numbers(self, count: int, name: str) -> range:
        """Return the selected frame numbers of a source.

        Args:
            count: number of frames in the source.
            name: name of the source in messages.

        Raises:
            InputError: the start is beyond the last frame.
        """
        if self.start >= count:
            raise self.beyond(count, name)
        return range(self.start, count if self.end is None else min(self.end, count), self.stride)

    def beyond(self, count: int, name: str) -> InputError:
        """Return the error for a start beyond the last frame."""
        return InputError(
            f"start: expected a frame of {name}, which has {counted(count, 'frame')}, 0 to "
            f"{count - 1}, got {self.start}; choose a smaller start"
        )


class FrameSource(ABC):
    """A source of frames, which are read one at a time.

    Memory does not grow with the number of frames. Use it as a context manager, or call `close`.

    Attributes:
        name: name of the source in messages.
        size: (H, W) of every frame, in pixels, in displayed orientation.
        frame_rate: mean frames per second; None if there is no clock.
        live: whether this is a camera or stream, which can be read only once.
        truncated: whether the source ended early. It becomes True when that is detected.
        damage: times in seconds at which pictures are missing or wrong. It grows while the frames
            are read.
        names: the names and numbers of the frames. Those of images are the files' own.
        pixel_aspect: width of a stored pixel divided by its height.
        deinterlaced: whether interlaced pictures are deinterlaced.
        value_range: the 16-bit values that become 0 and 255; None for frames of 8 bits.
    """

    name: str
    size: tuple[int, int]
    frame_rate: float | None = None
    live: bool = False
    truncated: bool = False
    damage: tuple[float, ...] = ()
    names: FrameNames = FrameNames()
    pixel_aspect: Fraction = Fraction(1)
    deinterlaced: bool = False
    value_range: tuple[int, int] | None = None

    @property
    @abstractmethod
    def indices(self) -> range | None:
        """The numbers of the selected frames in the source; None if unknown."""

    @property
    def length(self) -> int | None:
        """The number of selected frames; None if unknown."""
        return None if self.indices is None else len(self.indices)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the selected frames in order.

        Raises:
            InputError: a frame cannot be read or differs in size from the first, or a source that
                can be read only once was already read.
        """

    @abstractmethod
    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Iterate over the selected frames with source numbers in [first, last], in order.

        Raises:
            InputError: the source can be read only once.
        """

    def close(self) -> None:
        """Close files and devices. Frames that were already returned stay valid."""
        return

    def __enter__(self) -> FrameSource:
        """Return the source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the source."""
        self.close()

    def _check_size(self, height: int, width: int, index: int) -> None:
        if (height, width) != self.size:
            raise InputError(
                f"{self.name}: frame {index} is {width} x {height} pixels, the first frame is "
                f"{self.size[1]} x {self.size[0]}; all frames must have the same size; split the "
                "source where it changes, or resize the frames"
            )


class SeekableSource(FrameSource):
    """A source with a known number of frames, which can be read from any frame on."""

    def __init__(self, name: str, count: int, selection: Selection) -> None:
        """Select frames.

        Args:
            name: name of the source in messages.
            count: number of frames in the source.
            selection: the selected frames.

        Raises:
            InputError: the selection starts beyond the last frame.
        """
        self.name = name
        self._indices = selection.numbers(count, name)

    @property
    def indices(self) -> range:
        """The numbers of the selected frames in the source."""
        return self._indices

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the selected frames in order, any number of times."""
        return self._frames(self._indices)

    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Iterate over the selected frames with source numbers in [first, last], in order."""
        chosen = self._indices
        skipped = max(0, -(-(first - chosen.start) // chosen.step))
        start = chosen.start + skipped * chosen.step
        return self._frames(range(start, min(last + 1, chosen.stop), chosen.step))

    def time(self, number: int) -> float:
        """Return the time of a frame in seconds since the first frame of the source."""
        return number / NOMINAL_RATE

    @abstractmethod
    def _frames(self, numbers: range) -> Iterator[Frame]:
        """Yield exactly the frames with these numbers, in ascending order."""

    def _damaged(self, time: float, what: str) -> None:
        """Record a gap, and log it the first time.

        Args:
            time: where it is, in seconds after the first frame.
            what: what is missing or wrong there.
        """
        time = round(time, 3)
        if time not in self.damage:
            self.damage = tuple(sorted((*self.damage, time)))
            logger.warning("%s is damaged at %.2f s: %s", self.name, time, what)

    def _end_at(self, count: int) -> None:
        """Record and log that only the first ``count`` frames can be read."""
        logger.warning(
            "%s is damaged or ends early: only its first %d frames can be read", self.name, count
        )
        chosen = self._indices
        self.truncated = True
        self._indices = range(chosen.start, max(chosen.start, min(chosen.stop, count)), chosen.step)


class StreamedSource(FrameSource):
    """A source that delivers frame by frame and whose length is unknown."""

    def __init__(self, name: str, selection: Selection) -> None:
        """Create the source.

        Args:
            name: name of the source in messages.
            selection: the selected frames.
        """
        self.name = name
        self._selection = selection

    @property
    def indices(self) -> None:
        """None, because the number of frames is unknown."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the selected frames in order."""
        chosen, number = self._selection, -1
        for number, (time, fetch) in enumerate(self._arrivals()):
            if number >= chosen.start and (number - chosen.start) % chosen.stride == 0:
                image = fetch()
                self._check_size(image.shape[0], image.shape[1], number)
                yield Frame(number, time, image)
            # Stop without waiting for the next frame.
            if chosen.end is not None and number + 1 >= chosen.end:
                return
        if number < chosen.start:
            raise chosen.beyond(number + 1, self.name)

    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Raise an error, because the source can be read only once.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.name} can be read only once, so frames {first} to {last} cannot be read "
            "again; record it to a video file, or pass a list or array of frames"
        )

    @abstractmethod
    def _arrivals(self) -> Iterator[tuple[float, Callable[[], UInt8Array]]]:
        """Yield the time of every frame and a function that returns its RGB image."""
