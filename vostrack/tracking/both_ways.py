"""Between two given masks: track backwards from the later one, and fuse the two results."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.tracking.frame_order import frames_backwards
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.fusion import label_map
from vostrack.tracking.given_masks import GivenMasks, Segment
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import Refits
from vostrack.tracking.tracker import Tracker
from vostrack.video import Frame, FrameSource

__all__ = ["BackwardPass", "fuse", "give", "track_backwards"]


@dataclass(frozen=True)
class _Packed:
    """Scores (N, H, W) in 255 steps, compressed: masks are mostly 0 or 1."""

    data: bytes
    shape: tuple[int, ...]
    presence: tuple[float, ...]

    @staticmethod
    def of(result: FrameResult) -> _Packed:
        steps = (result.scores * 255).round().astype(np.uint8)
        return _Packed(zlib.compress(steps.tobytes(), 1), steps.shape, result.presence)

    def scores(self) -> FloatArray:
        steps = np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)
        scores: FloatArray = steps.astype(np.float32) / np.float32(255)
        return scores


@dataclass(frozen=True)
class BackwardPass:
    """What was found between two given masks, backwards from the later one.

    Attributes:
        segment: the frames.
        ids: the objects, in the order of the scores.
        frames: results by the number of the frame.
    """

    segment: Segment
    ids: tuple[int, ...]
    frames: dict[int, _Packed]


def give(tracker: Tracker, image: UInt8Array, masks: GivenMasks, index: int) -> FrameResult:
    """Give a tracker the mask of the frame where it stands: new objects, then corrections.

    Args:
        tracker: it has made the step to this frame.
        image: (H, W, 3) uint8 RGB, the frame.
        masks: the given masks.
        index: number of the frame; its mask has an object.

    Returns:
        The result of the last call.
    """
    known = tuple(i for i in masks.ids(index) if i in tracker.ids)
    new = tuple(i for i in masks.ids(index) if i not in tracker.ids)
    if not known:
        return tracker.add_objects(image, masks.only(index, new))
    if new:
        tracker.add_objects(image, masks.only(index, new), max_ms=_brief(tracker))
    return tracker.correct(image, masks.only(index, known))


def _brief(tracker: Tracker) -> float | None:
    """Return the limit that leaves out the fine-tuning where another edit follows at once."""
    return 0.0 if isinstance(tracker.adapter, Refits) else None


def track_backwards(
    tracker: Tracker,
    source: FrameSource,
    masks: GivenMasks,
    segment: Segment,
    after: int,
    on_frame: Callable[[int], None] | None = None,
) -> BackwardPass:
    """Track the shared objects of a segment backwards from its later mask.

    The objects are learned from given masks only: those in which they begin, that of the segment's
    start, and that of its end. So the result depends on nothing else, and the tracker is as it was.

    Args:
        tracker: it has been started.
        source: the frames; they can be read more than once.
        masks: the given masks.
        segment: the frames between two of them.
        after: number of the frame after which results are wanted.
        on_frame: called with the number of each frame; what it raises goes through.

    Returns:
        The results of the frames after ``after`` and before the end of the segment.
    """
    found: dict[int, _Packed] = {}
    with tracker.aside():
        _learn_given(tracker, source, masks, segment)
        for frame in frames_backwards(source, after + 1, segment.stop):
            result = tracker.step(frame.image)
            found[frame.index] = _Packed.of(result)
            if on_frame is not None:
                on_frame(frame.index)
        return BackwardPass(segment, tracker.ids, found)


def _learn_given(
    tracker: Tracker, source: FrameSource, masks: GivenMasks, segment: Segment
) -> None:
    """Let a tracker stand at the end of a segment, with its shared objects and no others."""
    tracker.seek_start()
    shared = segment.shared
    begins = {masks.begin(number) for number in shared} - {masks.first}
    for frame in _frames(source, sorted({*begins, segment.start, segment.stop} - {masks.first})):
        index = frame.index
        wanted = [i for i in masks.ids(index) if i in shared]
        new = tuple(i for i in wanted if i not in tracker.ids)
        old = tuple(i for i in wanted if i in tracker.ids)
        if new:
            tracker.add_objects(frame.image, masks.only(index, new), max_ms=_brief(tracker))
        if old and index == segment.start:
            tracker.correct(frame.image, masks.only(index, old), max_ms=_brief(tracker))
        if old and index == segment.stop:  # the last one fine-tunes on all of them
            tracker.correct(frame.image, masks.only(index, old))
    tracker.remove_objects([i for i in tracker.ids if i not in shared])


def _frames(source: FrameSource, indices: list[int]) -> Iterator[Frame]:
    for index in indices:
        yield from source.read(index, index)


def fuse(result: FrameResult, index: int, backward: BackwardPass, threshold: float) -> FrameResult:
    """Fuse the result of a frame with that of the backward pass, by the distance to both masks.

    Args:
        result: of the forward pass.
        index: number of the frame.
        backward: the backward pass.
        threshold: as in ``TrackerConfig``.

    Returns:
        The result, with the scores and the presence of the shared objects weighted: near the
        earlier mask those of the forward pass count, near the later one those of the other.
    """
    packed, share = backward.frames[index], backward.segment.share_of_later(index)
    scores, presence = result.scores.copy(), list(result.presence)
    for number, other, seen in zip(backward.ids, packed.scores(), packed.presence, strict=True):
        k = result.ids.index(number)
        scores[k] += np.float32(share) * (other - scores[k])
        presence[k] += share * (seen - presence[k])
    slots = label_map(torch.from_numpy(scores), threshold=threshold).numpy()
    labels = ObjectTable(result.ids).to_ids(slots)
    return replace(result, labels=labels, scores=scores, presence=tuple(presence))
