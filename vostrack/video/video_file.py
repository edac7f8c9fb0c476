"""Reading video files with PyAV."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.arrays import as_rgb
from vostrack.video.decoded_frame import displayed, orientation_of, tone_map_of
from vostrack.video.deinterlacing import deinterlaced
from vostrack.video.frames import Frame, SeekableSource, Selection, logger
from vostrack.video.gaps import missing_pictures
from vostrack.video.timetable import is_continuous, timetable
from vostrack.video.value_range import ValueRange
from vostrack.video.video_index import scan_video
from vostrack.video.video_stream import open_video

__all__ = ["VideoFileSource"]

# So many pictures are decoded to check that each packet is one picture.
_CHECKED = 24


class VideoFileSource(SeekableSource):
    """Frames of a video file, in presentation order, with their own times.

    The display matrix and edit lists are applied, and times of a variable frame rate are kept. A
    truncated file yields its intact frames, then a warning, and `truncated` becomes True. Pictures
    that are missing or wrong within the file are reported in `damage`, with a warning.

    Attributes:
        origin: time of the first presented frame on the file's own clock, in seconds.
        orientation: how pictures are turned for display.
        has_palette: whether pictures are indices into a palette.
        tone_map: the conversion to BT.709; None if none is needed.
    """

    def __init__(
        self,
        path: Path,
        selection: Selection,
        value_range: str = "auto",
        deinterlace: str = "auto",
    ) -> None:
        """Read the file's packets and decode its first frames, or all if packets are no pictures.

        Raises:
            InputError: the file cannot be opened, has no video, or has no decodable frame.
        """
        self.name = str(path)
        self._path = path
        self._index = scan_video(path)
        self._times: list[Fraction] = []
        self._start = self._shown = 0
        head = self._check_head()
        first = head[0]
        self.deinterlaced = (
            deinterlace == "auto" and _by_fields(head) and first.format.name.startswith("yuv")
        )
        self.orientation = orientation_of(first)
        self._coded = (first.height, first.width)
        self.has_palette = first.format.name == "pal8"
        self.size = self.orientation.shape(first.height, first.width)
        self.tone_map = tone_map_of(first)
        if self.tone_map is not None:
            logger.warning(
                "%s is %s; the tracker and the overlay see it converted to BT.709",
                path,
                self.tone_map.description,
            )
        self._values: ValueRange | None = None
        if first.format.name.startswith("gray16"):
            self._values = ValueRange.choose(value_range, _gray(first), self.name)
            self.value_range = self._values.low, self._values.high
        aspect = self._aspect()
        self.pixel_aspect = 1 / aspect if self.orientation.transpose else aspect
        stamps = self._stamps()
        known = [stamp for stamp in stamps if stamp is not None]
        index = self._index
        self.origin = float(known[0] * index.time_base) if known else 0.0
        self._times = timetable(
            stamps, index.time_base, index.rate, restarts=index.restarts, guessed=index.guessed
        )
        super().__init__(str(path), len(self._times), selection)
        self.frame_rate = self._mean_rate()
        if self._index.truncated:
            self._end_at(len(self._times))
        if self._index.restarts:
            self.damage = missing_pictures(path, self._times, self.indices)

    def _check_head(self) -> list[VideoFrame]:
        """Return the first pictures; drop the packets' times if the first pictures differ."""
        with open_video(self._path) as (container, stream):
            head = list(islice(self._decoded(container, stream), _CHECKED))
        if not head:
            raise InputError(
                f"{self._path} has no decodable frame; expected a video with at least one; check "
                "that it plays, or convert it to H.264"
            )
        if self._index.stamps is not None:
            shown = self._index.shown_by(head) if not _by_fields(head) else None
            self._index = dataclasses.replace(self._index, stamps=shown)
        return head

    def _aspect(self) -> Fraction:
        with open_video(self._path) as (_, stream):
            return stream.sample_aspect_ratio or Fraction(1)

    def _stamps(self) -> list[int | None]:
        """Return the time of each picture in ticks, in display order."""
        if self._index.stamps is not None:
            return list(self._index.stamps)
        with open_video(self._path) as (container, stream):
            stamps = [frame.pts for frame in self._decoded(container, stream)]
        known = tuple(stamp for stamp in stamps if stamp is not None)
        index = self._index
        if (
            len(known) == len(stamps)
            and index.seekable
            and is_continuous(known, index.time_base, restarts=index.restarts)
        ):
            self._index = dataclasses.replace(index, stamps=known)
        return stamps

    def _mean_rate(self) -> float:
        count = len(self._times)
        return float((count - 1) / self._times[-1] if count > 1 else self._index.rate)

    @property
    def times(self) -> list[float]:
        """The time of every picture of the file, in seconds since the first."""
        return [float(time) for time in self._times]

    def time(self, number: int) -> float:
        """Return the time of a frame; see ``SeekableSource.time``."""
        return float(self._times[number])

    def decoded(self) -> Iterator[VideoFrame]:
        """Decode the whole file.

        Raises:
            InputError: a picture differs in size from the first.
        """
        for number, frame in self._numbered(0):
            self._check_coded(number, frame)
            yield frame

    def _frames(self, numbers: range) -> Iterator[Frame]:
        if not numbers:
            return
        expected = numbers.start
        for number, frame in self._whole(numbers.start):
            if number < expected:
                self._damaged(float(self._times[number]), "a picture comes too late or twice")
                continue
            if number > expected:
                self._damaged(
                    float(self._times[expected]),
                    f"frames {expected} to {number - 1} cannot be decoded and are skipped",
                )
            expected = number + 1
            if number in numbers:
                yield Frame(number, self.time(number), self._image(number, frame))
            if number >= numbers[-1]:
                return
        self._end_at(expected)

    def _image(self, number: int, frame: VideoFrame) -> UInt8Array:
        self._check_coded(number, frame)
        if self._values is not None and not self._values.full:
            return self.orientation.apply(as_rgb(self._values.apply(_gray(frame)), self.name))
        return displayed(frame, self.orientation, self.tone_map)

    def _check_coded(self, number: int, frame: VideoFrame) -> None:
        if (frame.height, frame.width) != self._coded:
            self._check_size(*self.orientation.shape(frame.height, frame.width), number)

    def _whole(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Yield numbered frames from ``start`` on, deinterlaced where that is wanted."""
        if not self.deinterlaced:
            yield from self._numbered(start)
            return
        # The frame before helps, so that a frame is the same wherever reading begins.
        for number, frame in deinterlaced(self._numbered(max(0, start - 1))):
            if number >= start:
                yield number, frame

    def _numbered(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from frame ``start`` on and yield numbered frames."""
        self._start = start
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
        # The palette comes with the first packet only.
        targets = (None,) if self.has_palette else (stamp, stamp - second, None)
        for target in targets:
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
        """Decode up to the end; go on after packets that cannot be decoded."""
        packets = container.demux(stream)
        self._shown = 0
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                # The file ends within a packet; `VideoIndex.truncated` says so.
                packet = None
            if packet is None or (self._index.cut is not None and packet.dts == self._index.cut):
                break
            if packet.size == 0 and packet.dts is not None:
                # Theora repeats the last picture so. To a decoder it would mean the end.
                continue
            yield from self._pictures(packet.decode)
            if packet.dts is None and packet.size == 0:
                return
        yield from self._pictures(lambda: stream.decode(None))

    def _pictures(self, decode: Callable[[], list[VideoFrame]]) -> Iterator[VideoFrame]:
        try:
            frames = decode()
        except av.FFmpegError as error:
            logger.debug("%s: %s", self._path, error)
            self._suspect("pictures are missing or wrong up to the next key frame")
            return
        for frame in frames:
            if frame.is_corrupt:
                self._suspect("the picture is wrong")
            yield frame
            number = None if frame.pts is None else self._index.find(frame.pts)
            self._shown = self._shown + 1 if number is None else number + 1

    def _suspect(self, what: str) -> None:
        """Report damage behind the last picture, unless it precedes what is read."""
        if 0 < self._shown < len(self._times) and self._shown >= self._start:
            self._damaged(float(self._times[self._shown]), what)


def _gray(frame: VideoFrame) -> np.ndarray[Any, Any]:
    return frame.to_ndarray(format="gray16le")


def _by_fields(frames: list[VideoFrame]) -> bool:
    """Tell whether pictures may be coded as single fields, two packets to a picture."""
    return any(frame.interlaced_frame for frame in frames)


def _seek(container: InputContainer, stream: VideoStream, stamp: int) -> bool:
    try:
        container.seek(stamp, stream=stream, backward=True)
    except av.FFmpegError:
        return False
    return True
