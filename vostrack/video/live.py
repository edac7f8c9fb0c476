"""Reading network streams with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.video.decoded_frame import displayed, orientation_of, tone_map_of
from vostrack.video.frames import (
    NOMINAL_RATE,
    Selection,
    StreamedSource,
    logger,
)
from vostrack.video.video_stream import main_stream

__all__ = ["OPEN_TIMEOUT", "StreamSource"]

OPEN_TIMEOUT = 10.0
"""Seconds to wait for a stream to open, and for each packet."""

# With a short probe the first frame arrives after 0.03 s instead of 0.2 s. "nobuffer" is not
# set, because it makes a stream wait for its next key frame.
_QUICK = {"probesize": "200000", "analyzeduration": "500000"}


class StreamSource(StreamedSource):
    """Frames of a stream such as ``rtsp://``, ``http://`` or ``udp://``. RTSP uses TCP."""

    live = True

    def __init__(self, address: str, selection: Selection, timeout: float = OPEN_TIMEOUT) -> None:
        """Connect and wait for the first frame.

        Args:
            address: the stream's URL.
            selection: the selected frames, counted from the first one received.
            timeout: seconds to wait for the connection, and for each packet.

        Raises:
            InputError: the connection times out or fails, or the stream contains no video.
        """
        super().__init__(address, selection)
        self._container: InputContainer | None = self._connect(_QUICK, timeout)
        if not any(stream.width for stream in self._container.streams.video):
            # The short probe did not reach the video of a stream with many substreams.
            self.close()
            self._container = self._connect({}, timeout)
        if not self._container.streams.video:
            self.close()
            raise InputError(
                f"{address} contains no video; expected a stream with video; check the address"
            )
        stream = main_stream(self._container) or self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self._decoded = self._container.decode(stream)
        first = self._next()
        if first is None:
            self.close()
            raise InputError(
                f"{address}: got no decodable frame within {timeout:g} s; check that the stream is "
                "running"
            )
        self._first: VideoFrame | None = first
        self._orientation = orientation_of(first)
        self._tone_map = tone_map_of(first)
        self.size = self._orientation.shape(first.height, first.width)
        rate = stream.guessed_rate or stream.average_rate
        self.frame_rate = float(rate) if rate else None

    def _connect(self, options: dict[str, str], timeout: float) -> InputContainer:
        options = dict(options)
        if self.name.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        try:
            return av.open(self.name, options=options, timeout=(timeout, timeout))
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{self.name} cannot be opened within {timeout:g} s ({reason}); check the "
                "address, the user and password in it, and that the stream is running"
            ) from error

    def _next(self) -> VideoFrame | None:
        try:
            return next(self._decoded, None)
        except (av.FFmpegError, OSError) as error:
            self.truncated = True
            logger.warning("%s was interrupted: %s", self.name, error)
            return None

    def _arrivals(self) -> Iterator[tuple[float, Callable[[], UInt8Array]]]:
        frame, self._first = self._first, None
        if frame is None or self._container is None:
            raise InputError(
                f"{self.name} is closed or was already read; open it again for new frames"
            )
        number, origin = 0, frame.time
        while frame is not None:
            timed = frame.pts is not None and origin is not None
            time = frame.time - origin if timed else number / (self.frame_rate or NOMINAL_RATE)
            yield time, partial(displayed, frame, self._orientation, self._tone_map)
            if self._container is None:
                return
            frame = self._next()
            number += 1

    def close(self) -> None:
        """Close the connection."""
        if self._container is not None:
            self._container.close()
        self._container = None
