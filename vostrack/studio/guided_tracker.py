"""A tracker that is shown what a person drew, on the way through a leg."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.studio.frames import VideoFrames
from vostrack.studio.plan import Leg
from vostrack.studio.project import Project
from vostrack.tracking.parts import Refits

__all__ = ["GuidedTracker", "ObjectsBackError", "StudioTracker"]


class ObjectsBackError(Exception):
    """Objects that were let go on the way are wanted again: their deletion or end was undone.

    Attributes:
        frame: the last frame that has them all: from there they can be tracked again.
    """

    def __init__(self, frame: int) -> None:
        super().__init__(f"objects are wanted again from frame {frame} on")
        self.frame = frame


class StudioTracker(Protocol):
    """What the studio needs of ``vostrack.Tracker``."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the tracked objects."""
        ...

    def start(self, frame: UInt8Array, mask: UInt8Array) -> Any:
        """See ``Tracker.start``."""
        ...

    def step(self, frame: UInt8Array) -> Any:
        """See ``Tracker.step``."""
        ...

    def correct(
        self,
        frame: UInt8Array,
        mask: UInt8Array,
        ids: Sequence[int] | None = None,
        *,
        max_ms: float | None = None,
    ) -> Any:
        """See ``Tracker.correct``."""
        ...

    def add_objects(self, frame: UInt8Array, mask: UInt8Array, *, reuse_ids: bool = False) -> Any:
        """See ``Tracker.add_objects``."""
        ...

    def remove_objects(self, ids: Sequence[int]) -> None:
        """See ``Tracker.remove_objects``."""
        ...


class GuidedTracker:
    """Tracks, and takes up on the way what a person drew, ended and deleted.

    Args:
        tracker: a new one.
        project: what a person drew.
        frames: the video.
    """

    def __init__(self, tracker: StudioTracker, project: Project, frames: VideoFrames) -> None:
        self._tracker, self._project, self._frames = tracker, project, frames
        # Objects that the anchor says nothing of: what was found of them before stays.
        self.others: frozenset[int] = frozenset()
        # Of each object that was let go, in this order: the first frame without it, and the frame
        # that was done before.
        self._let_go: dict[int, tuple[int, int]] = {}
        self._done = 0

    def begin(self, leg: Leg) -> Any:
        """Start on the anchor, with what an earlier drawn frame shows of the same objects.

        Returns:
            The ``FrameResult`` of the anchor, if a person drew only some objects there and nothing
            was found of the others yet; else None.

        Raises:
            InputError: there is no object to start with.
        """
        self._done = leg.anchor
        # Their deletion may be undone, too.
        gone = self._project.stated(leg.anchor) - _known(self._project)
        self._let_go = dict.fromkeys(gone, (leg.anchor, leg.anchor))
        labels = self._labels(leg.anchor)
        first = self._first_drawn()
        # All objects of an anchor may have ended, or be hidden; later frames may show some again.
        ahead = leg.last > leg.anchor
        earlier_drawn = first is not None and first < leg.anchor
        if not (labels.any() or (ahead and earlier_drawn)):
            raise InputError(f"track: frame {leg.anchor} has no object; outline one first")
        settled = self._project.settled(leg.anchor)
        drawn = {number for ids in self._project.drawn.values() for number in ids}
        self.others = frozenset(_known(self._project) & drawn - settled)
        image = self._frames.image(leg.anchor)
        earlier = labels if first is None else self._labels(first)
        shared = set(_ids(earlier)) & set(_ids(labels))
        if first in (None, leg.anchor) or (labels.any() and not shared):
            self._tracker.start(image, labels)
            return None
        self._tracker.start(self._frames.image(first), earlier)
        result = self._tracker.step(image)
        self._drop(leg.anchor)
        self._correct(leg.anchor, image, self._project.stated(leg.anchor))
        new = leg.anchor in self._project.corrected and leg.anchor not in self._project.tracked
        return result if new and set(result.ids) - settled else None

    def step(self, number: int, image: UInt8Array) -> Any:
        """Go on to a frame.

        Args:
            number: of the frame.
            image: (H, W, 3) uint8 RGB.

        Returns:
            The ``FrameResult`` of the objects that a person says nothing of in this frame; None if
            a person says all of it.

        Raises:
            ObjectsBackError: the frames since another one lack objects that are there again.
        """
        self.check_let_go()
        self._drop(number)
        result = self._tracker.step(image)
        self._done = number
        settled = self._project.settled(number)
        if number not in self._project.corrected:
            return result
        self._correct(number, image, settled)
        return result if set(result.ids) - settled else None

    def check_let_go(self) -> None:
        """Check that the objects that were let go are still deleted, or ended before.

        Raises:
            ObjectsBackError: that was undone.
        """
        there = {one.id: one for one in self._project.objects}
        for number, (frame, done) in self._let_go.items():
            if number in there and not there[number].ended(frame):
                raise ObjectsBackError(done)

    def _correct(self, frame: int, image: UInt8Array, stated: Collection[int]) -> None:
        """Show the tracker the masks of some objects in the frame of its last step.

        Those that are not in the label map are not in the frame.
        """
        labels, there = self._labels(frame), _known(self._project) & set(stated)
        known = [number for number in self._tracker.ids if number in there]
        new = [n for n in _ids(labels) if n in there and n not in self._tracker.ids]
        if known:
            # One fine-tuning serves for both edits: it is left to the last.
            refits = isinstance(getattr(self._tracker, "adapter", None), Refits)
            mask = np.where(np.isin(labels, known), labels, 0)
            self._tracker.correct(image, mask, known, max_ms=0.0 if new and refits else None)
        if new:
            mask = np.where(np.isin(labels, new), labels, 0)
            self._tracker.add_objects(image, mask, reuse_ids=True)

    def _drop(self, frame: int) -> None:
        """Let go of the objects that a person ended before this frame, or deleted."""
        kept = {one.id for one in self._project.objects if not one.ended(frame)}
        gone = [number for number in self._tracker.ids if number not in kept]
        if gone:
            self._tracker.remove_objects(gone)
            self._let_go |= dict.fromkeys(gone, (frame, self._done))

    def _first_drawn(self) -> int | None:
        """Return the first drawn frame that shows an object."""
        return next((k for k in self._project.corrected if self._labels(k).any()), None)

    def _labels(self, frame: int) -> UInt8Array:
        return self._project.labels(frame)[0]


def _ids(labels: UInt8Array) -> list[int]:
    return [int(number) for number in np.unique(labels) if number]


def _known(project: Project) -> set[int]:
    return {one.id for one in project.objects}
