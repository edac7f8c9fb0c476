"""Track a video: its frames in order, from the first mask to both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vostrack.errors import InputError
from vostrack.tracking.both_ways import fuse, give, track_backwards
from vostrack.tracking.frame_input import check_source
from vostrack.tracking.frame_order import frames_backwards, frames_from
from vostrack.tracking.given_masks import GivenMasks, Mask
from vostrack.tracking.second_pass import has_second_pass, learn_from_first_pass
from vostrack.tracking.tracker import FrameResult, Tracker
from vostrack.video import Frame, FrameSource

__all__ = ["Position", "TrackedFrame", "track_video", "visited_frames"]


@dataclass(frozen=True)
class Position:
    """A frame that is done, and the direction in which the video was being tracked."""

    index: int
    """Number of the frame in its source."""

    direction: Literal["forward", "backward"]
    """``forward`` from the first mask to the end, then ``backward`` to the start."""


@dataclass(frozen=True, eq=False)
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
    first_mask: Mask | Mapping[int, Mask],
    *,
    first_mask_frame: int | None = None,
    after: Position | None = None,
    on_advance: Callable[[int], None] | None = None,
    passes: Literal[1] | None = None,
) -> Iterator[TrackedFrame]:
    """Track a video frame by frame; memory does not grow with its length.

    Masks may be given for several frames. An object begins at its first mask. Those of the
    earliest mask are tracked backwards from there, too. A further mask of an object is a
    correction: it is the result of its frame and is learned. Between two masks of an object,
    the frames are tracked from both, and the scores are fused by the distance to each mask. The
    results from the later mask are kept in memory, compressed, until they are used. A source that
    can be read once only is tracked forwards alone.

    A tracker with ``TrackerConfig.second_pass`` goes through the whole video before the first
    result, and starts again with what it is sure of. It does so only where one mask is given and
    the source can be read again.

    Args:
        tracker: a tracker; it is started on the frame of the first mask, unless ``after`` is
            given.
        source: the frames.
        first_mask: (H, W) integers, object ids; see ``Tracker.start``. Or several such masks by the
            number of their frame.
        first_mask_frame: number of the frame that a single mask belongs to; the first frame by
            default. Where frames lie before it, they follow in descending order once the end is
            reached.
        after: continue behind this frame; the tracker must stand there (``Tracker.load_state``).
        on_advance: called with the number of each frame that is tracked in advance of its result:
            in a first pass, or backwards from a later mask. What it raises ends the tracking.
        passes: 1 leaves out the first pass of a tracker that tracks twice.

    Yields:
        Each frame with its masks, once, the frames of the given masks included.

    Raises:
        InputError: the source is none, the frame of a mask is not among its frames, frames before
            it are wanted from a source that can be read once only, or objects are given later to a
            tracker whose objects cannot change.
        RuntimeError: the tracker was started anew since the frame before.
    """
    check_source(source)
    for step in _tracked(
        tracker, source, (first_mask, first_mask_frame), after, on_advance, passes=passes
    ):
        beginning = tracker.beginning
        yield step
        if tracker.beginning is not beginning:
            raise RuntimeError(
                f"track_video: the tracker was started anew after frame {step.frame.index} of "
                f"{source.name}; a tracker follows one video: build a second tracker for the other"
            )


def _tracked(
    tracker: Tracker,
    source: FrameSource,
    given: tuple[Mask | Mapping[int, Mask], int | None],
    after: Position | None,
    on_advance: Callable[[int], None] | None,
    *,
    passes: Literal[1] | None,
) -> Iterator[TrackedFrame]:
    """Track; the mask comes with the number of its frame. See ``track_video``."""
    first_mask, first_mask_frame = given
    masks = _masks_by_frame(source, first_mask, first_mask_frame)
    if after is None or after.direction == "forward":
        twice = passes is None and has_second_pass(tracker, source, masks)
        yield from _forward(tracker, source, masks, after, on_advance, twice=twice)
        if source.indices is None or masks.first == source.indices[0]:
            return
        tracker.seek_start()
        after = None
    assert source.indices is not None
    stop = masks.first if after is None else after.index
    for frame in frames_backwards(source, source.indices[0], stop):
        yield TrackedFrame(frame, tracker.step(frame.image), Position(frame.index, "backward"))


def _masks_by_frame(
    source: FrameSource, given: Mask | Mapping[int, Mask], frame: int | None
) -> GivenMasks:
    """Return the masks by the numbers of their frames, all of which are in the source."""
    if isinstance(given, Mapping):
        if frame is not None:
            raise InputError(
                "first_mask_frame: the masks are given by the numbers of their frames; leave "
                "`first_mask_frame` out"
            )
        masks = GivenMasks(given)
        _check_frames(source, masks)
        return masks
    first = _first_frame(source, frame)
    return GivenMasks({0 if first is None else first: given})


def _check_frames(source: FrameSource, masks: GivenMasks) -> None:
    if source.indices is None:
        if masks.first != 0:
            raise InputError(
                f"first_mask: {source.name} can be read once only, so one mask must belong to its "
                f"first frame, got masks of the frames {masks.indices}"
            )
        return
    for index in masks.indices:
        _first_frame(source, index, "first_mask")


def _first_frame(
    source: FrameSource, wanted: int | None, name: str = "first_mask_frame"
) -> int | None:
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
            f"{name}: expected one of the frames {indices[0]} to {indices[-1]}{step} of "
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
        InputError: the source is none, or the frame of the mask is not among its frames.
    """
    check_source(source)
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
    masks: GivenMasks,
    after: Position | None,
    on_advance: Callable[[int], None] | None,
    *,
    twice: bool,
) -> Iterator[TrackedFrame]:
    started, backward = after is not None, None
    for frame in _frames_after(source, masks.first, after):
        image, index = frame.image, frame.index
        segment = masks.segment(index) if source.indices is not None else None
        if segment is None or index == segment.start:
            backward = None
        elif segment.shared and (backward is None or backward.segment != segment):
            backward = track_backwards(tracker, source, masks, segment, index - 1, on_advance)
        if not started:
            result, started = tracker.start(image, masks[index]), True
            if twice:
                result = learn_from_first_pass(
                    tracker, source, (frame, masks[index]), result, on_advance
                )
        else:
            result = tracker.step(image)
            if masks.holds_objects(index):
                given = give(tracker, image, masks, index)
                result = _with_given(result, given, masks.ids(index))
            elif backward is not None:
                result = fuse(result, index, backward, tracker.config.threshold)
        yield TrackedFrame(frame, result, Position(index, "forward"))


def _with_given(result: FrameResult, given: FrameResult, ids: tuple[int, ...]) -> FrameResult:
    """Return the result with the given masks of ``ids``; other objects keep their soft scores."""
    taken, scores = np.isin(given.labels, ids), given.scores.copy()
    for k, number in enumerate(result.ids):
        if number not in ids:
            scores[k] = np.where(taken, 0, result.scores[k])
    return replace(
        given,
        scores=scores,
        timings={**result.timings, **given.timings},
        skipped=(*result.skipped, *given.skipped),
        cut=result.cut,
    )


def _frames_after(source: FrameSource, first: int, after: Position | None) -> Iterator[Frame]:
    if source.indices is None:
        return iter(source)
    return frames_from(source, first if after is None else after.index + 1)
