"""A video whose masks are corrected step by step: only what may have changed is tracked again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.masks.same_objects import with_same_ids
from vostrack.tracking.edits import given_ids
from vostrack.tracking.frame_input import check_ids, check_source
from vostrack.tracking.given_masks import Mask
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, TrackedFrame, track_video
from vostrack.video import FrameSource

__all__ = ["EditedVideo"]


class EditedVideo:
    """What an editor needs: give masks, track, look, give another mask, track again.

    The results are those of ``track_video`` with all masks and ``passes=1``. Tracking begins at the
    last given mask before the change, with the tracker's state there: one state per given mask is
    kept. Masks may be given and withdrawn at any time, by another thread, too: a frame that was
    being tracked meanwhile is tracked again.

    Example:
        >>> video = EditedVideo(build_tracker("fast"), source)  # doctest: +SKIP
        >>> video.give(0, mask)                                 # doctest: +SKIP
        >>> for step in video.track():                          # doctest: +SKIP
        ...     show(step)
        >>> video.give(40, right)                               # doctest: +SKIP
        >>> for step in video.track():                          # doctest: +SKIP
        ...     show(step)
    """

    def __init__(self, tracker: Tracker, source: FrameSource) -> None:
        """Take the tracker, which nothing else may use meanwhile, and the frames.

        Args:
            tracker: it is started by ``track``.
            source: frames that can be read more than once.

        Raises:
            InputError: the source is none, or can be read once only.
        """
        check_source(source)
        if source.indices is None:
            raise InputError(
                f"source: {source.name} can be read once only, so frames cannot be tracked again; "
                "record it to a file first"
            )
        self.tracker, self.source = tracker, source
        self._masks: dict[int, Mask] = {}
        self._start: dict[str, Any] | None = None
        self._states: dict[int, dict[str, Any]] = {}
        self._stale: int | None = None
        # Edits and calls of ``track`` so far: an older iteration ends when the number changes.
        self._turn = 0
        # Held while masks, states and the number above change together.
        self._changing = threading.RLock()

    @property
    def masks(self) -> dict[int, Mask]:
        """The given masks by the numbers of their frames, ascending."""
        return dict(sorted(self._masks.items()))

    @property
    def stale(self) -> int | None:
        """The first frame from which on results may have changed; None if all are up to date."""
        return self._stale

    def give(self, index: int, mask: Mask) -> None:
        """Give the mask of a frame, or another one. Its results are never changed by tracking.

        Args:
            index: number of the frame in the source.
            mask: (H, W) integers, object ids; it is copied. Objects that are not in it go on as
                they were. Objects of a mask that was read from a file without ids are those that
                have the same colour, label or name in other masks, as ``masks`` then shows.

        Raises:
            InputError: the source has no such frame, or the mask holds no ids.
        """
        if index not in (self.source.indices or ()):
            raise InputError(f"index: {self.source.name} has no frame {index}")
        # Editors paint on in the array that they gave.
        labels = check_ids(mask)
        if isinstance(mask, FirstMask):
            mask = replace(mask, labels=labels)
        with self._changing:
            self._masks[index] = (
                self._with_known_ids(index, mask) if isinstance(mask, FirstMask) else labels
            )
            self._changed(index)

    def _with_known_ids(self, index: int, mask: FirstMask) -> FirstMask:
        """Return it with ids that do not change with masks given later: states hold them."""
        read = {i: other for i, other in self._masks.items() if isinstance(other, FirstMask)}
        arrays = (other for i, other in self._masks.items() if i != index and i not in read)
        taken = {number for array in arrays for number in given_ids(check_ids(array))}
        return with_same_ids({index: mask}, taken, read)[0][index]

    def withdraw(self, index: int) -> None:
        """Take back the mask of a frame.

        Raises:
            InputError: no mask was given for it.
        """
        with self._changing:
            if index not in self._masks:
                raise InputError(
                    f"index: frame {index} has no mask, expected one of {sorted(self._masks)}"
                )
            del self._masks[index]
            self._changed(index)

    def _changed(self, index: int) -> None:
        self._turn += 1
        before = [i for i in self._masks if i < index]
        # Frames from the mask before on are fused with what is found from this one.
        begin = max(before) + 1 if before else (self.source.indices or range(1))[0]
        self._stale = begin if self._stale is None else min(begin, self._stale)
        self._states = {i: state for i, state in self._states.items() if i < index}
        if not before:
            self._start = None

    def track(self, on_advance: Callable[[int], None] | None = None) -> Iterator[TrackedFrame]:
        """Track what may have changed.

        Stop iterating to cancel: the next call goes on from the last given mask that was reached.
        If the first mask is new, it begins again. A mask that is given or withdrawn meanwhile ends
        the iteration, and so does another call.

        Args:
            on_advance: see ``track_video``.

        Yields:
            Each frame whose masks may have changed, once, in the order of ``track_video``; at times
            some frames before them that have not.

        Raises:
            InputError: no mask was given, or one cannot be used.
        """
        with self._changing:
            if self._stale is None and self._masks:
                return
            self._turn += 1
            turn, masks, after = self._turn, self.masks, self._resume()
        steps = track_video(
            self.tracker, self.source, masks, after=after, on_advance=on_advance, passes=1
        )
        for step in steps:
            with self._changing:
                # A mask that came while this frame was tracked is not in its result.
                if turn != self._turn:
                    return
                self._book(step.position, resumed=after is not None)
                done = self._stale is None
            yield step
            if done or turn != self._turn:
                return
        with self._changing:
            if turn == self._turn:
                self._stale = None

    def _book(self, position: Position, *, resumed: bool) -> None:
        """Note how far the results are up to date, and the tracker's state at a given mask."""
        index, indices = position.index, self.source.indices or range(0)
        if index in self._masks and position.direction == "forward":
            self._start = self._start or self.tracker.start_state()
            self._states[index] = self.tracker.state()
            self._stale = index + 1 if resumed else self._stale
        if resumed and index == indices[-1]:
            self._stale = None  # nothing before the first mask has changed

    def _resume(self) -> Position | None:
        """Put the tracker at the last given mask before the first stale frame."""
        known = [i for i in self._states if self._stale is not None and i < self._stale]
        if not known or self._start is None:
            self._states, self._start = {}, None
            return None
        index = max(known)
        self.tracker.load_state(self._start, self._states[index], other_options=True)
        return Position(index, "forward")
