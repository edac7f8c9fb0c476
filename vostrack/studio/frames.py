"""The frames of the video: whole for the tracker, small JPEG pictures for the page."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.files import real_path
from vostrack.runs.content import sample_digest
from vostrack.studio.journal import VideoFacts
from vostrack.video import Frame, open_source
from vostrack.video.frames import NOMINAL_RATE, SeekableSource

__all__ = ["VideoFrames", "video_facts"]

DISPLAY_SIDE = 1280
"""Longest side of the pictures that the page shows, pixels."""

_QUALITY = 85
_CACHE_BYTES = 96 * 1024 * 1024
# So many damaged places are named.
_MOST_TIMES = 5
# Going backwards, this many bytes of frames are read forwards and turned round.
_RUN_BYTES = 128 * 1024 * 1024


def video_facts(path: str) -> VideoFacts:
    """Return what a project remembers of a video.

    Raises:
        InputError: the video cannot be read, or its number of frames is unknown.
    """
    source = _opened(path)
    with source:
        height, width = source.size
        rate = source.frame_rate or NOMINAL_RATE
        return VideoFacts(
            str(real_path(Path(path))),
            width,
            height,
            len(source.indices),
            rate,
            sample_digest(path),
        )


def _opened(path: str) -> SeekableSource:
    source = open_source(path)
    if isinstance(source, SeekableSource):
        return source
    source.close()
    raise InputError(
        f"video: {path} is a camera or stream, whose frames cannot be visited again; record it to "
        "a file first"
    )


class VideoFrames:
    """Frames by number. Its methods may be called from any thread.

    Args:
        video: the video.
        tell: is told of damage that is found while frames are read: all of ``trouble``.

    Attributes:
        source: what the frames are called, their times, and the shape of their pixels.
        trouble: in words, what is missing or wrong in the video as far as it was read.
    """

    def __init__(
        self, video: VideoFacts, tell: Callable[[tuple[str, ...]], None] | None = None
    ) -> None:
        """Open the video.

        Raises:
            InputError: it cannot be read any more.
        """
        self._video = video
        self._lock = threading.Lock()
        self.source = _opened(video.path)
        self._noting = threading.Lock()
        self._damage: set[float] = set()
        self._readable: int | None = None
        self.trouble: tuple[str, ...] = ()
        self._tell: Callable[[tuple[str, ...]], None] | None = None
        self._note(self.source)
        self._tell = tell
        self._coming: Iterator[Frame] = iter(())
        self._next = -1
        self._handed: deque[tuple[int, UInt8Array]] = deque(maxlen=2)
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0

    def image(self, frame: int) -> UInt8Array:
        """Return a frame (H, W, 3) uint8 RGB."""
        with self._lock:
            return self._read(frame)

    def picture(self, frame: int) -> bytes:
        """Return a frame as JPEG, at most ``DISPLAY_SIDE`` pixels wide and high."""
        with self._lock:
            if frame in self._pictures:
                self._pictures.move_to_end(frame)
                return self._pictures[frame]
            handed = dict(tuple(self._handed))
            made = _jpeg(handed[frame] if frame in handed else self._read(frame))
            self._pictures[frame] = made
            self._bytes += len(made)
            while self._bytes > _CACHE_BYTES and len(self._pictures) > 1:
                self._bytes -= len(self._pictures.popitem(last=False)[1])
            return made

    def between(self, first: int, last: int) -> Iterator[tuple[int, UInt8Array]]:
        """Iterate over the frames from ``first`` to ``last``, downwards if ``last`` is less.

        The frames come from a reader of their own, so that others can look meanwhile. Who looks at
        the last two does not read them again.
        """
        for number, image in self._between(first, last):
            self._handed.append((number, image))
            yield number, image

    def _between(self, first: int, last: int) -> Iterator[tuple[int, UInt8Array]]:
        source = _opened(self._video.path)
        with source:
            if first <= last:
                for frame in source.read(first, last):
                    self._note(source)
                    yield frame.index, frame.image
                self._note(source)
                return
            run = max(1, _RUN_BYTES // (self._video.width * self._video.height * 3))
            for top in range(first, last - 1, -run):
                part = list(source.read(max(last, top - run + 1), top))
                self._note(source)
                for frame in reversed(part):
                    yield frame.index, frame.image

    def _read(self, frame: int) -> UInt8Array:
        if frame != self._next:
            self._coming = iter(self.source.read(frame, self._video.count - 1))
        found = next(self._coming, None)
        self._note(self.source)
        if found is None or found.index != frame:  # what cannot be decoded is left out
            self._next = -1
            raise InputError(
                f"frame: {frame} of {self._video.path} is damaged and cannot be read; go to another"
            )
        self._next = frame + 1
        return found.image

    def _note(self, source: SeekableSource) -> None:
        """Take up what a source knows of damage by now, and tell of what is new."""
        with self._noting:
            self._damage.update(source.damage)
            if source.truncated:
                readable = len(source.indices)
                self._readable = min(readable, self._readable or readable)
            trouble = _trouble(self._readable, sorted(self._damage))
            new, self.trouble = trouble != self.trouble, trouble
        if new and self._tell is not None:
            self._tell(trouble)


def _trouble(readable: int | None, damage: list[float]) -> tuple[str, ...]:
    words = []
    if readable is not None:
        words.append(f"it is cut or damaged: only its first {readable} frames can be read")
    if damage:
        more = len(damage) - _MOST_TIMES
        places = ", ".join(f"{time:.2f} s" for time in damage[:_MOST_TIMES])
        places += f" and in {more} more places" if more > 0 else ""
        words.append(f"pictures are missing or wrong at {places}")
    return tuple(words)


def _jpeg(image: UInt8Array) -> bytes:
    scale = DISPLAY_SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )
    made, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert made
    return data.tobytes()
