"""Track a video: its frames in order, from the first mask to both ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.tracking.tracker import FrameResult, Tracker
from vostrack.video import Frame, FrameSource

__all__ = ["Position", "TrackedFrame", "track_video", "visited_frames"]

# Going backwards, frames are read forwards in runs of at most this many bytes and then turned
# round: video files can be decoded in one direction only.
_RUN_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Position:
    """A frame that is done, and the direction in which the video was being tracked."""

    index: int
    """Number of the frame in its source."""

    direction: Literal["forward", "backward"]
    """``forward`` from the first mask to the end, then ``backward`` to the start."""


@dataclass(frozen=True)
class TrackedFrame:
    """A frame with its masks."""

    frame: Frame
    """The frame as its source gave it."""

    result: FrameResult
    """Label map, scores and presence of the objects."""

    position: Position
    """Where it lies, and in which direction it was tracked."""


def track_video(
    tracker: Tracker,
    source: FrameSource,
    first_mask: UInt8Array,
    *,
    first_mask_frame: int | None = None,
    after: Position | None = None,
) -> Iterator[TrackedFrame]:
    """Track a video frame by frame; memory does not grow with its length.

    Args:
        tracker: a tracker; it is started on the frame of the first mask, unless ``after`` is
            given.
        source: the frames.
        first_mask: (H, W) integers, object ids; see ``Tracker.start``.
        first_mask_frame: position of the frame that the mask belongs to; the first frame by
            default. Where frames lie before it, they follow in descending order once the end is
            reached.
        after: continue behind this frame; the tracker must stand there (``Tracker.load_state``).

    Yields:
        Each frame with its masks, the frame of the first mask included.

    Raises:
        InputError: the frame of the mask is not among the frames of the source, or frames before
            it are wanted from a source that can be read once only.
    """
    first = _first_frame(source, first_mask_frame)
    if after is None or after.direction == "forward":
        yield from _forward(tracker, source, first_mask, first, after)
        before = source.indices is not None and first is not None and first > source.indices[0]
        if not before:
            return
        tracker.seek_start()
        after = None
    assert source.indices is not None
    assert first is not None
    stop = first if after is None else after.index
    for frame in _reversed(source, stop):
        yield TrackedFrame(frame, tracker.step(frame.image), Position(frame.index, "backward"))


def _first_frame(source: FrameSource, wanted: int | None) -> int | None:
    """Return the number of the mask's frame; None for the first one of a source of one pass."""
    indices = source.indices
    if indices is None:
        if wanted is not None:
            raise InputError(
                f"first_mask_frame: {source.name} can be read once only, so the mask must belong "
                "to its first frame; leave `first_mask_frame` out"
            )
        return None
    if wanted is None:
        return indices[0]
    if wanted not in indices:
        step = f" in steps of {indices.step}" if indices.step > 1 else ""
        raise InputError(
            f"first_mask_frame: expected one of the frames {indices[0]} to {indices[-1]}{step} of "
            f"{source.name}, got {wanted}"
        )
    return wanted


def visited_frames(
    source: FrameSource, position: Position, first_mask_frame: int | None = None
) -> list[int]:
    """Return the numbers of the frames that are done at a position, in the order of tracking.

    Args:
        source: the frames.
        position: where tracking stands.
        first_mask_frame: as given to ``track_video``.

    Raises:
        InputError: the frame of the mask is not among the frames of the source.
    """
    first = _first_frame(source, first_mask_frame)
    if source.indices is None or first is None:
        return list(range(position.index + 1))
    forward = [index for index in source.indices if index >= first]
    if position.direction == "forward":
        return [index for index in forward if index <= position.index]
    return forward + [i for i in reversed(source.indices) if position.index <= i < first]


def _forward(
    tracker: Tracker,
    source: FrameSource,
    mask: UInt8Array,
    first: int | None,
    after: Position | None,
) -> Iterator[TrackedFrame]:
    started = after is not None
    for frame in _frames_from(source, first, after):
        result = tracker.step(frame.image) if started else tracker.start(frame.image, mask)
        started = True
        yield TrackedFrame(frame, result, Position(frame.index, "forward"))


def _frames_from(source: FrameSource, first: int | None, after: Position | None) -> Iterator[Frame]:
    if source.indices is None or first is None:
        return iter(source)
    begin = first if after is None else after.index + 1
    if begin == source.indices[0]:
        return iter(source)
    if begin > source.indices[-1]:
        return iter(())
    return source.read(begin, source.indices[-1])


def _reversed(source: FrameSource, stop: int) -> Iterator[Frame]:
    """Go through the frames below ``stop`` in descending order."""
    assert source.indices is not None
    pending = [index for index in source.indices if index < stop]
    height, width = source.size
    run = max(1, _RUN_BYTES // (height * width * 3))
    while pending:
        part, pending = pending[-run:], pending[:-run]
        yield from reversed(list(source.read(part[0], part[-1])))
