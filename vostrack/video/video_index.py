"""The index of a video file's frames, read from its packets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vostrack.video.frames import NOMINAL_RATE
from vostrack.video.timetable import is_continuous
from vostrack.video.video_stream import open_video

__all__ = ["VideoIndex", "scan_video"]

# VP8 has packets that are never displayed and are not marked as such.
_UNTRUSTED_CODECS = frozenset({"vp8"})
# AVFMT_TS_DISCONT.
_TS_DISCONT = 0x0200
# Values of AVFieldOrder.
_UNKNOWN, _PROGRESSIVE = 0, 1
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
        restarts: whether the clock of this format may start anew, as in joined MPEG-TS files.
        guessed: whether times of pictures are guessed from the order of packets, as in AVI files.
        seekable: whether the times of decoded pictures stay the same after seeking.
    """

    stamps: tuple[int, ...] | None
    time_base: Fraction
    rate: Fraction
    cut: int | None = None
    truncated: bool = False
    restarts: bool = False
    guessed: bool = False
    seekable: bool = False

    def find(self, stamp: int) -> int | None:
        """Return the number of the frame with this time in ticks; None if there is none."""
        if self.stamps is None:
            return None
        number = bisect_left(self.stamps, stamp)
        return number if number < len(self.stamps) and self.stamps[number] == stamp else None

    def shown_by(self, head: Sequence[VideoFrame]) -> tuple[int, ...] | None:
        """Return the times from the first picture on; None if packets are not pictures.

        Args:
            head: the first decoded pictures. Frames before the first of them, as of an incomplete
                group, are dropped.
        """
        number = None if head[0].pts is None else self.find(head[0].pts)
        if self.stamps is None or number is None:
            return None
        shown = self.stamps[number:]
        decoded = {frame.pts for frame in head}
        # A few pictures may be damaged. Of fields, half have no picture of their own.
        last = max(frame.pts for frame in head if frame.pts is not None)
        expected = [stamp for stamp in shown if stamp <= last]
        missing = sum(stamp not in decoded for stamp in expected)
        return shown if decoded <= set(shown) and missing * 4 <= len(expected) else None


@dataclass
class _Packets:
    """What is collected from the packets of a stream."""

    shown: list[int]
    decoding: list[int]
    complete: bool = True
    key_frames_only: bool = True
    last_pts: int | None = None
    last_dts: int | None = None
    last_corrupt: bool = False
    end: float = 0.0
    broken: bool = False


def scan_video(path: Path) -> VideoIndex:
    """Index a video file by reading its packets, without decoding them.

    Packets that an edit list discards are skipped, so that frame 0 is the first frame that a player
    shows. Packets are not pictures where fields are coded one by one; see `VideoIndex.shown_by`.

    Raises:
        InputError: the file cannot be opened or contains no video.
    """
    with open_video(path) as (container, stream):
        found = _read_packets(container, stream)
        tick = stream.time_base or Fraction(1, av.time_base)
        rate = stream.guessed_rate or stream.average_rate or Fraction(round(NOMINAL_RATE))
        truncated = found.broken or found.last_corrupt
        truncated |= _ends_early(container, stream, path, found.end)
        restarts = bool(container.format.flags & _TS_DISCONT)
        seekable = any(name in container.format.name for name in ("mp4", "matroska"))
        # FFmpeg numbers the pictures of an AVI file in decoding order.
        guessed = container.format.name == "avi" and not found.key_frames_only
        fields = stream.codec_context.field_order not in (_UNKNOWN, _PROGRESSIVE)
        trusted = (
            found.complete and not fields and stream.codec_context.name not in _UNTRUSTED_CODECS
        )
    stamps = found.shown
    if found.last_corrupt and found.last_pts in stamps:
        stamps.remove(found.last_pts)
    stamps.sort()
    trusted &= not guessed and is_continuous(stamps, tick, restarts=restarts)
    # Decoding times that run backwards come from joined files.
    trusted &= all(a <= b for a, b in pairwise(found.decoding))
    cut = found.last_dts if found.last_corrupt else None
    known = tuple(stamps) if trusted else None
    return VideoIndex(known, tick, rate, cut, truncated, restarts, guessed, seekable)


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    found = _Packets([], [])
    try:
        for packet in container.demux():
            if packet.dts is None and packet.pts is None and packet.size == 0:
                continue
            found.end = max(found.end, _end(packet.pts, packet.duration, packet.time_base))
            if packet.stream.index != stream.index or packet.size == 0:
                continue
            found.last_dts, found.last_pts = packet.dts, packet.pts
            found.last_corrupt = packet.is_corrupt
            found.key_frames_only &= packet.is_keyframe
            if packet.dts is not None:
                found.decoding.append(packet.dts)
            if packet.pts is None:
                found.complete = False
            elif not packet.is_discard:
                found.shown.append(packet.pts)
    except av.FFmpegError:
        found.broken = True
    return found


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
