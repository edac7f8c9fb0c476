"""The index of a video file's frames, read from its packets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vostrack.errors import InputError
from vostrack.video.frames import NOMINAL_RATE

__all__ = ["VideoIndex", "open_video", "scan_video"]

# VP8 has packets that are never displayed and are not marked as such.
_UNTRUSTED_CODECS = frozenset({"vp8"})
# Fraction of a Matroska header's duration that may be missing before a file counts as truncated.
_DURATION_SLACK = 0.02


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video file in presentation order.

    Attributes:
        stamps: presentation times in ticks, ascending; None if the packets have no reliable times,
            so that frames must be counted while decoding.
        time_base: duration of a tick, in seconds.
        rate: frames per second according to the header, for frames without times.
        cut: decoding time (dts) of the corrupt packet that ends a truncated file, which must not be
            decoded; None if the file is complete.
        truncated: whether the file ends earlier than its header states.
    """

    stamps: tuple[int, ...] | None
    time_base: Fraction
    rate: Fraction
    cut: int | None = None
    truncated: bool = False

    def find(self, stamp: int) -> int | None:
        """Return the number of the frame with this time in ticks; None if there is none."""
        if self.stamps is None:
            return None
        number = bisect_left(self.stamps, stamp)
        return number if number < len(self.stamps) and self.stamps[number] == stamp else None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and select its first video stream. Cover art is ignored.

    Yields:
        The container and its video stream.

    Raises:
        InputError: the file cannot be opened or contains no video.
    """
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be opened as a video ({reason}); expected a video file such as "
            "mp4, mov, mkv, webm, avi or ts; check that it plays"
        ) from error
    with container:
        # FFmpeg would render a text file as a terminal screen.
        streams = [] if container.format.name == "tty" else _video_streams(container)
        if not streams:
            raise InputError(
                f"{path} contains no video (it was read as {container.format.long_name}); "
                "expected a file with a video stream; check the path"
            )
        stream = streams[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _video_streams(container: InputContainer) -> list[VideoStream]:
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]


def scan_video(path: Path) -> VideoIndex:
    """Index a video file by reading its packets, without decoding them.

    Packets that an edit list discards are skipped, so that frame 0 is the first frame that a player
    shows.

    Raises:
        InputError: the file cannot be opened or contains no video.
    """
    stamps: list[int] = []
    last: tuple[int | None, int | None] = (None, None)
    truncated, last_corrupt, trusted = False, False, True
    end = 0.0
    with open_video(path) as (container, stream):
        trusted = stream.codec_context.name not in _UNTRUSTED_CODECS
        tick = stream.time_base or Fraction(1, av.time_base)
        rate = stream.guessed_rate or stream.average_rate or Fraction(round(NOMINAL_RATE))
        try:
            for packet in container.demux():
                if packet.dts is None and packet.pts is None and packet.size == 0:
                    continue
                end = max(end, _end(packet.pts, packet.duration, packet.time_base))
                if packet.stream.index != stream.index:
                    continue
                last, last_corrupt = (packet.dts, packet.pts), packet.is_corrupt
                if packet.pts is None:
                    trusted = False
                elif not packet.is_discard:
                    stamps.append(packet.pts)
        except av.FFmpegError:
            truncated = True
        truncated |= last_corrupt or _ends_early(container, stream, path, end)
    cut = last[0] if last_corrupt else None
    if last_corrupt and last[1] in stamps:
        stamps.remove(last[1])
    stamps.sort()
    # In AVI files, FFmpeg guesses the times, and with B-frames some of them coincide.
    trusted &= len(set(stamps)) == len(stamps)
    return VideoIndex(tuple(stamps) if trusted else None, tick, rate, cut, truncated)


def _end(pts: int | None, duration: int | None, time_base: Fraction | None) -> float:
    if pts is None or time_base is None:
        return 0.0
    return float((pts + (duration or 0)) * time_base)


def _ends_early(container: InputContainer, stream: VideoStream, path: Path, end: float) -> bool:
    """Tell whether the file ends earlier than its header states."""
    if "matroska" in container.format.name and container.duration:
        announced = container.duration / av.time_base
        return end < announced * (1 - _DURATION_SLACK) - 0.1
    # Older versions of PyAV have no sample table.
    entries = getattr(stream, "index_entries", ())
    if "mp4" in container.format.name and len(entries):
        return bool(max(entry.pos + entry.size for entry in entries) > path.stat().st_size)
    return False
