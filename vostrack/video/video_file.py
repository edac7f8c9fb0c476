"""Reading video files with PyAV."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.frames import (
    Frame,
    SeekableSource,
    Selection,
    logger,
)
from vostrack.video.orientation import Orientation
from vostrack.video.video_index import VideoIndex, open_video, scan_video

__all__ = ["VideoFileSource", "displayed", "orientation_of"]


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return the orientation from the display matrix of a decoded frame."""
    try:
        # PyAV declares a dict, but the object is a mapping that iterates over its values.
        for data in cast(Iterable[SideData], frame.side_data):
            if data.type.name == "DISPLAYMATRIX":
                return Orientation.from_matrix(bytes(data))
    except ValueError:
        # This PyAV does not know some kind of side data. The angle is still available.
        return Orientation.from_angle(frame.rotation)
    return Orientation()


def displayed(frame: VideoFrame, orientation: Orientation) -> UInt8Array:
    """Return a decoded frame as RGB image (H, W, 3) uint8, rotated for display."""
    return orientation.apply(cast(UInt8Array, frame.to_ndarray(format="rgb24")))


class VideoFileSource(SeekableSource):
    """Frames of a video file, in presentation order, with their own times.

    The display matrix and edit lists are applied, and times of a variable frame rate are kept. A
    truncated file yields its intact frames, then a warning, and `truncated` becomes True.

    Attributes:
        origin: time of the first presented frame on the file's own clock, in seconds.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        """Read the file's packets and decode its first frame.

        Raises:
            InputError: the file cannot be opened, has no video, or has no decodable frame.
        """
        self._path = path
        self._index = scan_video(path)
        first = self._first_frame()
        self._orientation = orientation_of(first)
        self._coded = (first.height, first.width)
        self.size = self._orientation.shape(first.height, first.width)
        self._index = _drop_before(self._index, first)
        self._times = self._timetable()
        super().__init__(str(path), len(self._times), selection)
        self.frame_rate = self._mean_rate()
        if self._index.truncated:
            self._end_at(len(self._times))

    def _first_frame(self) -> VideoFrame:
        with open_video(self._path) as (container, stream):
            frame = next(self._decoded(container, stream), None)
        if frame is None:
            raise InputError(
                f"{self._path} has no decodable frame; expected a video with at least one; check "
                "that it plays, or convert it to H.264"
            )
        return frame

    def _timetable(self) -> list[Fraction]:
        """Return the time of every frame in seconds since the first; set ``origin``."""
        index = self._index
        stamps: list[int | None]
        if index.stamps is not None:
            stamps = list(index.stamps)
        else:
            with open_video(self._path) as (container, stream):
                stamps = [frame.pts for frame in self._decoded(container, stream)]
        known = [stamp for stamp in stamps if stamp is not None]
        self.origin = float(known[0] * index.time_base) if known else 0.0
        if len(known) == len(stamps) and all(a < b for a, b in pairwise(known)):
            return [(stamp - known[0]) * index.time_base for stamp in known]
        return [number / index.rate for number in range(len(stamps))]

    def _mean_rate(self) -> float:
        count = len(self._times)
        return float((count - 1) / self._times[-1] if count > 1 else self._index.rate)

    def _frames(self, numbers: range) -> Iterator[Frame]:
        if not numbers:
            return
        expected = numbers.start
        for number, frame in self._numbered(numbers.start):
            if number > expected:
                logger.warning(
                    "%s: frames %d to %d cannot be decoded and are skipped",
                    self.name,
                    expected,
                    number - 1,
                )
            expected = number + 1
            if number in numbers:
                yield Frame(number, float(self._times[number]), self._image(number, frame))
            if number >= numbers[-1]:
                return
        self._end_at(expected)

    def _image(self, number: int, frame: VideoFrame) -> UInt8Array:
        if (frame.height, frame.width) != self._coded:
            self._check_size(*self._orientation.shape(frame.height, frame.width), number)
        return displayed(frame, self._orientation)

    def _numbered(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from frame ``start`` on and yield numbered frames."""
        if self._index.stamps is None:
            with open_video(self._path) as (container, stream):
                for number, frame in enumerate(self._decoded(container, stream)):
                    if number >= start:
                        yield number, frame
            return
        for number, frame in self._from_stamp(self._index.stamps[start]):
            if number >= start:
                yield number, frame

    def _from_stamp(self, stamp: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from a key frame at or before ``stamp``."""
        second = round(1 / self._index.time_base)
        # Containers without a key frame table (MPEG-TS) may seek too far. Try earlier positions,
        # then the beginning of the file.
        for target in (stamp, stamp - second, None):
            with open_video(self._path) as (container, stream):
                if target is not None and not _seek(container, stream, target):
                    continue
                frames = self._indexed(container, stream)
                head = next(frames, None)
                if head is None or (target is not None and head[0] > self._number(stamp)):
                    continue
                yield head
                yield from frames
                return

    def _number(self, stamp: int) -> int:
        number = self._index.find(stamp)
        assert number is not None
        return number

    def _indexed(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[int, VideoFrame]]:
        for frame in self._decoded(container, stream):
            number = None if frame.pts is None else self._index.find(frame.pts)
            if number is not None:
                yield number, frame

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Decode up to the end or the first corrupt packet."""
        frame: VideoFrame | None = None
        try:
            for packet in container.demux(stream):
                if self._index.cut is not None and packet.dts == self._index.cut:
                    yield from stream.decode(None)
                    return
                for frame in packet.decode():
                    yield frame
        except av.FFmpegError as error:
            logger.debug("%s: %s", self._path, error)
            yield from self._before_damage(stream, frame)

    def _before_damage(self, stream: VideoStream, last: VideoFrame | None) -> Iterator[VideoFrame]:
        """Yield the frames still in the reorder buffer, up to the missing one."""
        try:
            for frame in stream.decode(None):
                # Other decoder threads may already hold frames from after the corrupt packet.
                if last is None or not self._follows(frame, last):
                    return
                yield frame
                last = frame
        except av.FFmpegError as error:
            logger.debug("%s: %s", self._path, error)

    def _follows(self, frame: VideoFrame, last: VideoFrame) -> bool:
        if frame.pts is None or last.pts is None:
            return False
        number, before = self._index.find(frame.pts), self._index.find(last.pts)
        return number is not None and before is not None and number == before + 1


def _seek(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    try:
        container.seek(stamp, stream=stream, backward=True)
    except av.FFmpegError:
        return False
    return True


def _drop_before(index: VideoIndex, first: VideoFrame) -> VideoIndex:
    """Drop frames before the first decodable one, such as an incomplete group of pictures."""
    if index.stamps is None:
        return index
    number = None if first.pts is None else index.find(first.pts)
    if number is None:
        return dataclasses.replace(index, stamps=None)
    return dataclasses.replace(index, stamps=index.stamps[number:])
