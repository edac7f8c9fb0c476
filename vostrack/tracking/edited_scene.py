"""Objects that are added, removed and corrected while a video is tracked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import SupportsIndex

import torch

from vostrack.arrays import UInt8Array
from vostrack.masks import FirstMask
from vostrack.tracking import edits
from vostrack.tracking.frame_input import Channels, check_mask, in_rgb, working_image
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.object_history import ObjectHistory, new_history
from vostrack.tracking.parts import FollowsEdits, Refits, check_editable, check_time_limit
from vostrack.tracking.saved_scene import SavedScene
from vostrack.tracking.stopwatch import Stopwatch

__all__ = ["EditedScene"]


class EditedScene(SavedScene):
    """The objects of a video, which may change after any frame; see ``Tracker``."""

    def add_objects(
        self,
        frame: UInt8Array,
        mask: UInt8Array | FirstMask,
        *,
        reuse_ids: bool = False,
        max_ms: float | None = None,
        channels: Channels = "rgb",
    ) -> FrameResult:
        """Track further objects from the last frame on.

        They are learned at once. A preset that fine-tunes then does so again, as ``start`` does, on
        all masks that were given so far.

        Args:
            frame: (H, W, 3) uint8, the frame of the last ``start`` or ``step``.
            mask: (H, W) integers, the ids of the new objects; 0 and 255 say nothing. Their pixels
                are taken from other objects.
            reuse_ids: allow the ids of objects that were removed. Otherwise an id always means the
                same object.
            max_ms: time for learning, in milliseconds. If the last fine-tuning took longer, or
                there has been none in this process, it is left out, and the result says so; the
                next one makes up for it. None: no limit.
            channels: order of the colours in the frame: ``rgb``, or ``bgr`` as OpenCV has it.

        Returns:
            The result of the last frame, with the new objects. Its scores are 0 or 1.

        Raises:
            InputError: the frame or the mask is malformed, an id is in use or was removed, an
                object vanishes at the working size, or a part cannot change its objects or keep the
                limit. The tracker is then unchanged.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("add_objects")
        check_time_limit("add_objects", self.adapter, max_ms)
        with self._call("Tracker.add_objects", gradients=True):
            frame = in_rgb(frame, channels)
            labels = self._check_given(frame, mask)
            removed = frozenset() if reuse_ids else self._removed
            assert self._objects is not None
            change = edits.add(self._objects, self._last_slots, self._last_labels, labels, removed)
            return self._edit("add_objects", frame, change, max_ms)

    def correct(
        self,
        frame: UInt8Array,
        mask: UInt8Array | FirstMask,
        ids: Iterable[SupportsIndex] | None = None,
        *,
        max_ms: float | None = None,
        channels: Channels = "rgb",
    ) -> FrameResult:
        """Correct the masks of objects in the last frame. Later frames follow the correction.

        The right mask is learned at once, and kept like the first one. A preset that fine-tunes
        then does so again, on all masks that were given so far.

        Args:
            frame: (H, W, 3) uint8, the frame of the last ``start`` or ``step``.
            mask: (H, W) integers, the right masks. Objects outside ``ids`` and 255 say nothing.
            ids: the objects to correct; those without a pixel in the mask are not in this frame.
                By default the objects in the mask.
            max_ms: time for learning; see ``add_objects``.
            channels: order of the colours in the frame; see ``add_objects``.

        Returns:
            The result of the last frame, with the right masks. Its scores are 0 or 1.

        Raises:
            InputError: the frame or the mask is malformed, no object has one of the ids, an object
                vanishes at the working size, or a part cannot change its objects or keep the limit.
                The tracker is then unchanged.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("correct")
        check_time_limit("correct", self.adapter, max_ms)
        with self._call("Tracker.correct", gradients=True):
            frame = in_rgb(frame, channels)
            labels = self._check_given(frame, mask, may_be_empty=ids is not None)
            assert self._objects is not None
            change = edits.correct(self._objects, self._last_slots, self._last_labels, labels, ids)
            return self._edit("correct", frame, change, max_ms)

    def remove_objects(self, ids: Iterable[SupportsIndex]) -> None:
        """Stop tracking some objects. The others are not affected.

        Args:
            ids: the objects. All may be removed; later frames then are background until
                ``add_objects``.

        Raises:
            InputError: no object has one of the ids, or a part cannot change its objects. The
                tracker is then unchanged.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("remove_objects")
        with self._call("Tracker.remove_objects"):
            assert self._objects is not None
            gone = edits.whole_ids("remove_objects", ids)
            editable = check_editable("remove_objects", self.adapter, self.temporal_filter)
            change = edits.remove(self._objects, self._last_slots, self._last_labels, gone)
            editable.remove_objects([self._objects.slot(number) for number in gone])
            self._removed |= set(gone)
            self._take_up(change)

    def _edit(
        self, call: str, frame: UInt8Array, change: edits.Edit, max_ms: float | None
    ) -> FrameResult:
        """Let the parts learn a change that gives masks."""
        editable = check_editable(call, self.adapter, self.temporal_filter)
        watch = Stopwatch(self.device)
        image = working_image(frame, self.config.max_size, self.device)
        slots = torch.from_numpy(change.learned).long().to(self.device)
        if call == "add_objects":
            editable.add_objects(image, slots)
            self._removed -= set(change.objects.ids)
        else:
            editable.correct_objects(image, slots, change.changed)
        self._take_up(change)
        watch.lap("learning")
        skipped: tuple[str, ...] = ()
        if isinstance(editable, Refits) and editable.can_refit():
            if self._has_time(max_ms):
                editable.refit(image)
                watch.lap("fine-tuning")
                self._finetuning = watch.seconds["fine-tuning"]
            else:
                skipped = ("fine-tuning",)
        return replace(self._given_result(watch), skipped=skipped)

    def _has_time(self, max_ms: float | None) -> bool:
        """Tell whether a fine-tuning should fit, as long as the last one took."""
        if max_ms is None:
            return True
        return self._finetuning is not None and self._finetuning * 1000 <= max_ms

    def _take_up(self, change: edits.Edit) -> None:
        seen, seen_before = edits.given_ids(change.labels), edits.given_ids(self._last_labels)
        presence, histories = [], []
        for slot, (number, old) in enumerate(
            zip(change.objects.ids, change.before, strict=True), start=1
        ):
            hidden = number in seen_before and number not in seen
            if old is None:
                presence.append(float(number in seen))
                histories.append(self._history_of_given(change, slot, number))
            elif hidden:
                presence.append(0.0)
                histories.append(replace(self._histories[old - 1], state="occluded", unseen=1))
            else:
                presence.append(self._presence[old - 1])
                histories.append(self._histories[old - 1])
        self._presence, self._histories = tuple(presence), tuple(histories)
        self._objects, self._last_slots = change.objects, change.slots
        self._last_labels = change.labels
        if isinstance(self.temporal_filter, FollowsEdits):
            self.temporal_filter.change_objects(change.slots.copy(), change.before)
        if self.support is not None:
            self.support.change_objects(change.slots, change.before)

    def _history_of_given(self, change: edits.Edit, slot: int, number: int) -> ObjectHistory:
        """Return the history of an object with a given mask; a small correction stops nothing."""
        new = new_history(change.slots, slot, self._scale(), self._missing)
        if self._objects is None or number not in self._objects:
            return new
        old = self._objects.slot(number)
        before = self._histories[old - 1]
        if not ((self._last_slots == old) & (change.slots == slot)).any():
            return new
        return replace(new, velocity=before.velocity, usual_area=before.usual_area)

    def _check_given(
        self, frame: UInt8Array, mask: UInt8Array | FirstMask, *, may_be_empty: bool = False
    ) -> UInt8Array:
        self._check_size(frame)
        return check_mask(mask, frame, may_be_empty=may_be_empty)
