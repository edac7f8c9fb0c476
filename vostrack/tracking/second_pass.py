"""The first of two passes over a video: later frames whose masks are sure, to learn from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vostrack.arrays import UInt8Array
from vostrack.tracking.frame_order import frames_backwards, frames_from
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.given_masks import GivenMasks
from vostrack.tracking.parts import LearnsLaterFrames
from vostrack.tracking.tracker import Tracker
from vostrack.video import Frame, FrameSource

__all__ = ["SureFrames", "has_second_pass", "learn_from_first_pass"]

# The masks of a frame are sure if each object is visible with this probability, no more of its
# outline is unsure, and it has this many pixels.
_PRESENCE = 0.8
_UNCERTAINTY = 0.3
_PIXELS = 200


@dataclass(frozen=True)
class _Candidate:
    doubt: float
    frame: UInt8Array
    labels: UInt8Array


class SureFrames:
    """Keeps the surest frame of each part of a video; memory does not grow with its length."""

    def __init__(self, indices: Sequence[int], parts: int) -> None:
        """Divide a video.

        Args:
            indices: numbers of all its frames, ascending.
            parts: number of parts of equal length.
        """
        self._places = {index: k * parts // len(indices) for k, index in enumerate(indices)}
        self._found: dict[int, _Candidate] = {}

    def offer(self, frame: Frame, result: FrameResult) -> None:
        """Keep a frame if its masks are sure, and surer than those kept of its part."""
        if result.cut or min(result.areas) < _PIXELS or min(result.presence) < _PRESENCE:
            return
        uncertainty, part = max(result.uncertainty), self._places[frame.index]
        doubt = uncertainty + 1 - min(result.presence)
        known = self._found.get(part)
        if uncertainty <= _UNCERTAINTY and (known is None or doubt < known.doubt):
            self._found[part] = _Candidate(doubt, frame.image, result.labels)

    def chosen(self) -> list[tuple[UInt8Array, UInt8Array]]:
        """Return the frames (H, W, 3) with their object ids (H, W), in the order of the video."""
        return [(kept.frame, kept.labels) for _, kept in sorted(self._found.items())]


def has_second_pass(tracker: Tracker, source: FrameSource, masks: GivenMasks) -> bool:
    """Tell whether a video is tracked twice.

    It is if the tracker is configured so and can learn from later frames, the frames can be read
    again, and one mask is given: further masks say more than a first pass does.
    """
    return (
        tracker.config.second_pass > 0
        and isinstance(tracker.adapter, LearnsLaterFrames)
        and source.indices is not None
        and len(source.indices) > 1
        and len(masks.indices) == 1
    )


def learn_from_first_pass(
    tracker: Tracker,
    source: FrameSource,
    first: tuple[Frame, UInt8Array],
    begun: FrameResult,
    on_frame: Callable[[int], None] | None = None,
) -> FrameResult:
    """Track a whole video, and start again with what is sure in it.

    Args:
        tracker: it has been started on the first frame.
        source: the frames; they can be read more than once.
        first: the frame of the given mask, and the mask (H, W).
        begun: the result of the first frame.
        on_frame: called with the number of each frame; what it raises goes through.

    Returns:
        The result of the first frame. If no later frame is sure, the tracker is as it was.
    """
    began = time.perf_counter()
    assert source.indices is not None
    frame, mask = first
    sure = SureFrames(source.indices, tracker.config.second_pass)
    with tracker.aside():
        for other in _all_others(tracker, source, frame.index):
            sure.offer(other, tracker.step(other.image))
            if on_frame is not None:
                on_frame(other.index)
    seconds = {"first pass": time.perf_counter() - began}
    later = sure.chosen()
    again = tracker.start(frame.image, mask, later=later) if later else begun
    if later:
        seconds["fine-tuning"] = sum(r.timings.get("fine-tuning", 0) for r in (begun, again))
    return replace(again, timings={**again.timings, **seconds})


def _all_others(tracker: Tracker, source: FrameSource, first: int) -> Iterator[Frame]:
    """Go through the frames in the order of tracking; at the first one the tracker turns round."""
    assert source.indices is not None
    yield from frames_from(source, first + 1)
    if first > source.indices[0]:
        tracker.seek_start()
        yield from frames_backwards(source, source.indices[0], first)
