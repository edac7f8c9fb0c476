"""What a frame is, and what every source of frames offers."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError

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
"""Frames per second that give images and arrays, which have no clock, their times."""

logger = logging.getLogger("vostrack.video")


@dataclass(frozen=True)
class Frame:
    """One frame as it is displayed.

    Attributes:
        index: its number in the source in presentation order, before any start or stride.
        time: seconds since the first presented frame of the source.
        image: (H, W, 3) uint8 RGB, contiguous, in displayed orientation.
    """

    index: int
    time: float
    image: UInt8Array


@dataclass(frozen=True)
class Selection:
    """Which frames of a source are wanted: ``frames[start:end:stride]``.

    Attributes:
        start: number of the first frame, at least 0.
        end: number after the last frame, or None for all there are.
        stride: step between frames, at least 1.
    """

    start: int = 0
    end: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        """Check the numbers against one another.

        Raises:
            InputError: a number is out of its range.
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
                "the end itself is not included"
            )

    def numbers(self, count: int, name: str) -> range:
        """The selected numbers of a source of ``count`` frames.

        Raises:
            InputError: the start lies beyond the last frame.
        """
        if self.start >= count:
            raise self.beyond(count, name)
        return range(self.start, count if self.end is None else min(self.end, count), self.stride)

    def beyond(self, count: int, name: str) -> InputError:
        """The error for a start that the source does not reach."""
        return InputError(
            f"start: frame {self.start} was asked for, but {name} has {count} frames, "
            f"0 to {count - 1}; choose a smaller start"
        )


class FrameSource(ABC):
    """Frames from anywhere, one at a time: memory does not grow with their number.

    Use it as a context manager, or call `close`.

    Attributes:
        name: what the frames come from, for messages.
        size: (H, W) of every frame, in pixels, in displayed orientation.
        frame_rate: mean frames per second, or None where there is no clock.
        live: a camera or stream: it can be gone through once only.
        truncated: the source ended early or broke; True from the moment that is known.
    """

    name: str
    size: tuple[int, int]
    frame_rate: float | None = None
    live: bool = False
    truncated: bool = False

    @property
    @abstractmethod
    def indices(self) -> range | None:
        """Source numbers of the frames that iteration gives; None where they are unknown."""

    @property
    def length(self) -> int | None:
        """How many frames iteration gives; None where that is unknown."""
        return None if self.indices is None else len(self.indices)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Go through the selected frames in order.

        Raises:
            InputError: a frame has another size than the first, or cannot be read; or a source of
                one pass was gone through before.
        """

    @abstractmethod
    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Go through the selected frames whose source number is in [first, last], in order.

        Raises:
            InputError: the source can be gone through once only.
        """

    def close(self) -> None:
        """Let go of files and devices. Frames already given stay valid."""
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
                f"{self.size[1]} x {self.size[0]}; all frames must be of one size, so split the "
                "source where it changes or resize the frames"
            )


class SeekableSource(FrameSource):
    """A source that knows its frames beforehand and can start at any of them."""

    def __init__(self, name: str, count: int, selection: Selection) -> None:
        """Select from ``count`` frames.

        Raises:
            InputError: the selection starts beyond the last frame.
        """
        self.name = name
        self._indices = selection.numbers(count, name)

    @property
    def indices(self) -> range:
        """Source numbers of the frames that iteration gives."""
        return self._indices

    def __iter__(self) -> Iterator[Frame]:
        """Go through the selected frames in order, from the first, as often as wanted."""
        return self._frames(self._indices)

    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Go through the selected frames whose source number is in [first, last], in order."""
        chosen = self._indices
        skipped = max(0, -(-(first - chosen.start) // chosen.step))
        start = chosen.start + skipped * chosen.step
        return self._frames(range(start, min(last + 1, chosen.stop), chosen.step))

    @abstractmethod
    def _frames(self, numbers: range) -> Iterator[Frame]:
        """Give exactly the frames of these numbers, in ascending order."""

    def _end_at(self, count: int) -> None:
        """Note that only the first ``count`` frames can be read, and say so."""
        logger.warning(
            "%s is damaged or ends early: only its first %d frames can be read", self.name, count
        )
        chosen = self._indices
        self.truncated = True
        self._indices = range(chosen.start, max(chosen.start, min(chosen.stop, count)), chosen.step)


class StreamedSource(FrameSource):
    """A source that is met frame by frame, its end unknown until it comes."""

    def __init__(self, name: str, selection: Selection) -> None:
        """Keep the selection, to be made while the frames pass."""
        self.name = name
        self._selection = selection

    @property
    def indices(self) -> None:
        """Unknown: None."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        """Go through the selected frames in order."""
        chosen, number = self._selection, -1
        for number, (time, fetch) in enumerate(self._arrivals()):
            if number >= chosen.start and (number - chosen.start) % chosen.stride == 0:
                image = fetch()
                self._check_size(image.shape[0], image.shape[1], number)
                yield Frame(number, time, image)
            # Stop before the next frame is waited for.
            if chosen.end is not None and number + 1 >= chosen.end:
                return
        if number < chosen.start:
            raise chosen.beyond(number + 1, self.name)

    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Refuse: there is no way back.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.name} can be gone through once only, so its frames {first} to {last} cannot "
            "be read again; record it to a video file, or pass a list or array of frames"
        )

    @abstractmethod
    def _arrivals(self) -> Iterator[tuple[float, Callable[[], UInt8Array]]]:
        """Give of every frame its time and a function that makes its RGB image."""
