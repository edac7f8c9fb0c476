"""The tracker: from the first mask, frame by frame. It holds all state between frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch

from vostrack.arrays import UInt8Array
from vostrack.compute.isolation import check_not_forked, own_settings
from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner, TemporalFilter
from vostrack.tracking import edits
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.frame_input import VOID, check_frame, check_mask, resized, working_image
from vostrack.tracking.frame_loop import estimated_presence, finish_frame, score_objects
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import FollowsEdits, check_editable, check_parts, warm_up_parts
from vostrack.tracking.state import check_state, on_device, stamp
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.transaction import OneCallAtATime, restored_afterwards, undo_on_failure

__all__ = ["FrameResult", "Tracker", "TrackerConfig"]


class Tracker:
    """Tracks the objects of one video.

    Every part except the adapter is optional, so every ablation is a configuration.
    ``vostrack.build_tracker`` creates a tracker from a preset.

    Args:
        adapter: the object models.
        refiner: refines the score maps along image edges.
        temporal_filter: keeps the score maps consistent with the previous frames.
        proposer: proposes regions where lost objects may reappear. The temporal filter uses it.
        config: the frame loop; by default ``TrackerConfig()``.
        device: device of the computation; by default the CPU.

    Example:
        >>> tracker = build_tracker("balanced")                # doctest: +SKIP
        >>> tracker.start(first_frame, first_mask)             # doctest: +SKIP
        >>> labels = tracker.step(next_frame).labels           # doctest: +SKIP

    Objects may change after any frame: see ``add_objects``, ``remove_objects`` and ``correct``.
    """

    def __init__(
        self,
        adapter: ObjectAdapter,
        *,
        refiner: Refiner | None = None,
        temporal_filter: TemporalFilter | None = None,
        proposer: InstanceProposer | None = None,
        config: TrackerConfig | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.adapter = adapter
        self.refiner = refiner
        self.temporal_filter = temporal_filter
        self.proposer = proposer
        self.config = config or TrackerConfig()
        self.device = device or torch.device("cpu")
        self._first_objects: ObjectTable | None = None
        self._first_slots: UInt8Array = np.zeros((0, 0), np.uint8)
        self._first_labels = self._first_slots
        self._objects: ObjectTable | None = None
        self._removed: frozenset[int] = frozenset()
        self._last_slots = self._first_slots
        self._last_labels = self._first_slots
        self._presence: tuple[float, ...] = ()
        self._calls = OneCallAtATime()

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the present objects: those of ``start`` ascending, then those added."""
        return self._objects.ids if self._objects is not None else ()

    def start(self, frame: UInt8Array, mask: UInt8Array | FirstMask) -> FrameResult:
        """Learn the objects from the first frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            mask: (H, W) integers; 0 background, 1..254 object ids, 255 void. Or what
                ``read_first_mask`` returned.

        Returns:
            The result of the first frame: the given mask, with void as background.

        Raises:
            InputError: the frame or the mask is malformed, their sizes differ, the mask has no
                object, or an object vanishes at the working size; or there is a proposer, but no
                temporal filter to ask it.
        """
        with self._call("Tracker.start", gradients=True):
            return self._start(frame, mask)

    @contextmanager
    def _call(self, name: str, *, gradients: bool = False) -> Iterator[None]:
        """Run one call: alone, with our own settings, and all or nothing."""
        check_not_forked()
        check_parts(self.proposer, self.temporal_filter)
        parts = (self, self.adapter, self.temporal_filter, self.proposer, self.refiner)
        with (
            self._calls.hold(name),
            own_settings(self.device, gradients=gradients),
            undo_on_failure(*parts),
        ):
            yield

    def _start(self, frame: UInt8Array, mask: UInt8Array | FirstMask) -> FrameResult:
        check_frame(frame)
        labels = check_mask(mask, frame)
        warm_up_parts(self.device, self.refiner, self.temporal_filter, self.proposer)
        objects = ObjectTable(edits.given_ids(labels))
        watch = Stopwatch(self.device)
        image = working_image(frame, self.config.max_size, self.device)
        small = resized(objects.to_slots(labels), image.shape[1:], cv2.INTER_NEAREST)
        edits.check_pixels_left(small, objects, range(1, len(objects) + 1))
        self._first_objects, self._first_slots = objects, small
        self._first_labels = np.where(labels == VOID, 0, labels).astype(np.uint8)
        self.adapter.start(image, torch.from_numpy(small).long().to(self.device))
        watch.lap("fine-tuning")
        self.seek_start()
        return self._given_result(watch)

    def seek_start(self) -> None:
        """Return to the first frame, as after ``start``. What ``start`` learned is kept.

        Objects that were added, removed or corrected since then are as they were at the start.
        """
        self.adapter.seek_start()
        self._objects, self._removed = self._first_objects, frozenset()
        self._last_slots, self._last_labels = self._first_slots, self._first_labels
        self._presence = (1.0,) * len(self.ids)
        if self.temporal_filter is not None:
            self.temporal_filter.start(self._first_slots)

    def step(self, frame: UInt8Array) -> FrameResult:
        """Segment the objects in the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, of the same size as the first frame.

        Returns:
            The result of this frame.

        Raises:
            InputError: the frame is malformed or has another size, or there is a proposer, but no
                temporal filter to ask it.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("step")
        with self._call("Tracker.step"), torch.inference_mode():
            return self._step(frame)

    def _step(self, frame: UInt8Array) -> FrameResult:
        self._check_size(frame)
        watch = Stopwatch(self.device)
        if not self.ids:
            return self._given_result(watch)
        image = working_image(frame, self.config.max_size, self.device)
        watch.lap("input")
        scores = score_objects(self, frame, image, self._last_slots, watch)
        size = self._last_labels.shape
        self._last_slots, scores, slots = finish_frame(self, image, scores, size, watch)
        assert self._objects is not None
        self._last_labels = self._objects.to_ids(slots.cpu().numpy())
        full = scores.cpu().numpy()
        watch.lap("output")
        self._presence = estimated_presence(self.adapter, scores, slots)
        return FrameResult(self._last_labels.copy(), full, self.ids, self._presence, watch.seconds)

    def add_objects(
        self, frame: UInt8Array, mask: UInt8Array | FirstMask, *, reuse_ids: bool = False
    ) -> FrameResult:
        """Track further objects from the last frame on.

        Args:
            frame: (H, W, 3) uint8 RGB, the frame of the last ``start`` or ``step``.
            mask: (H, W) integers, the ids of the new objects; 0 and 255 say nothing. Their pixels
                are taken from other objects.
            reuse_ids: allow the ids of objects that were removed. Otherwise an id always means the
                same object.

        Returns:
            The result of the last frame, with the new objects. Its scores are 0 or 1.

        Raises:
            InputError: the frame or the mask is malformed, an id is in use or was removed, an
                object vanishes at the working size, or a part cannot change its objects. The
                tracker is then unchanged.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("add_objects")
        with self._call("Tracker.add_objects", gradients=True):
            labels = self._check_given(frame, mask)
            removed = frozenset() if reuse_ids else self._removed
            assert self._objects is not None
            change = edits.add(self._objects, self._last_slots, self._last_labels, labels, removed)
            return self._edit("add_objects", frame, change)

    def correct(
        self,
        frame: UInt8Array,
        mask: UInt8Array | FirstMask,
        ids: Sequence[int] | None = None,
    ) -> FrameResult:
        """Correct the masks of objects in the last frame. Later frames follow the correction.

        The right mask is learned at once, and kept like the first one.

        Args:
            frame: (H, W, 3) uint8 RGB, the frame of the last ``start`` or ``step``.
            mask: (H, W) integers, the right masks. Objects outside ``ids`` and 255 say nothing.
            ids: the objects to correct; those without a pixel in the mask are not in this frame.
                By default the objects in the mask.

        Returns:
            The result of the last frame, with the right masks. Its scores are 0 or 1.

        Raises:
            InputError: the frame or the mask is malformed, no object has one of the ids, an object
                vanishes at the working size, or a part cannot change its objects. The tracker is
                then unchanged.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("correct")
        with self._call("Tracker.correct", gradients=True):
            labels = self._check_given(frame, mask, may_be_empty=ids is not None)
            assert self._objects is not None
            change = edits.correct(self._objects, self._last_slots, self._last_labels, labels, ids)
            return self._edit("correct", frame, change)

    def remove_objects(self, ids: Sequence[int]) -> None:
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
            editable = check_editable("remove_objects", self.adapter, self.temporal_filter)
            change = edits.remove(self._objects, self._last_slots, self._last_labels, ids)
            editable.remove_objects([self._objects.slot(number) for number in ids])
            self._removed |= set(ids)
            self._take_up(change)

    def _edit(self, call: str, frame: UInt8Array, change: edits.Edit) -> FrameResult:
        """Let the parts learn a change that gives masks."""
        editable = check_editable(call, self.adapter, self.temporal_filter)
        watch = Stopwatch(self.device)
        image = working_image(frame, self.config.max_size, self.device)
        slots = torch.from_numpy(change.slots).long().to(self.device)
        if call == "add_objects":
            editable.add_objects(image, slots)
            self._removed -= set(change.objects.ids)
        else:
            editable.correct_objects(image, slots, change.changed)
        self._take_up(change)
        watch.lap("learning")
        return self._given_result(watch)

    def _take_up(self, change: edits.Edit) -> None:
        known, seen = self._presence, edits.given_ids(change.labels)
        self._presence = tuple(
            float(number in seen) if old is None else known[old - 1]
            for number, old in zip(change.objects.ids, change.before, strict=True)
        )
        self._objects, self._last_slots = change.objects, change.slots
        self._last_labels = change.labels
        if isinstance(self.temporal_filter, FollowsEdits):
            self.temporal_filter.change_objects(change.slots, change.before)

    def _given_result(self, watch: Stopwatch) -> FrameResult:
        """Return the present label map as a result; its scores are 0 or 1."""
        labels = self._last_labels
        scores = np.zeros((len(self.ids), *labels.shape), np.float32)
        for score, number in zip(scores, self.ids, strict=True):
            score[labels == number] = 1
        return FrameResult(labels.copy(), scores, self.ids, self._presence, watch.seconds)

    def _check_started(self, call: str) -> None:
        if self._objects is None:
            raise RuntimeError(f"Tracker.{call} was called before Tracker.start(frame, mask)")

    def _check_size(self, frame: UInt8Array) -> None:
        check_frame(frame)
        height, width = self._last_labels.shape
        if frame.shape[:2] != (height, width):
            raise InputError(
                f"frame: expected {width} x {height} pixels like the first "
                f"frame, got {frame.shape[1]} x {frame.shape[0]}; resize it or call start again"
            )

    def _check_given(
        self, frame: UInt8Array, mask: UInt8Array | FirstMask, *, may_be_empty: bool = False
    ) -> UInt8Array:
        self._check_size(frame)
        return check_mask(mask, frame, may_be_empty=may_be_empty)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run a block that uses this tracker, and put the tracker back as it was before.

        Nothing is copied, so this costs no time. For what a part must do, see ``undo_on_failure``.
        """
        parts = (self, self.adapter, self.temporal_filter, self.proposer, self.refiner)
        with restored_afterwards(*parts):
            yield

    def start_state(self) -> dict[str, Any]:
        """Return what ``start`` computed, for ``load_state``: tensors, numbers and strings."""
        assert self._first_objects is not None
        return {
            **stamp("start", self.adapter),
            "ids": list(self._first_objects.ids),
            "first_slots": torch.from_numpy(self._first_slots),
            "first_labels": torch.from_numpy(self._first_labels),
            "adapter": dict(self.adapter.state_dict()),
        }

    def state(self) -> dict[str, Any]:
        """Return what changes between frames, for ``load_state``. Its size is bounded."""
        temporal_filter = self.temporal_filter
        return {
            **stamp("running", self.adapter),
            "adapter": dict(self.adapter.running_state()),
            "filter": dict(temporal_filter.state_dict()) if temporal_filter is not None else {},
            "ids": list(self.ids),
            "removed": sorted(self._removed),
            "last_slots": torch.from_numpy(self._last_slots),
            "last_labels": torch.from_numpy(self._last_labels),
            "presence": list(self._presence),
        }

    def load_state(self, start_state: Mapping[str, Any], state: Mapping[str, Any] | None) -> None:
        """Resume the position of another tracker with the same configuration.

        Args:
            start_state: result of its ``start_state``.
            state: result of its ``state``; None for the position after the first frame.

        Raises:
            InputError: another version of vostrack or another method saved them, or the two are
                exchanged. This tracker is then unchanged.
        """
        check_state(start_state, "start", self.adapter)
        if state:
            check_state(state, "running", self.adapter)
        with self._call("Tracker.load_state"):
            self._load_state(start_state, state)

    def _load_state(self, start: Mapping[str, Any], state: Mapping[str, Any] | None) -> None:
        warm_up_parts(self.device, self.refiner, self.temporal_filter, self.proposer)
        self._first_objects = ObjectTable(tuple(start["ids"]))
        self._first_slots = start["first_slots"].numpy()
        self._first_labels = start["first_labels"].numpy()
        self.adapter.load_state_dict(on_device(start["adapter"], self.device))
        self.seek_start()
        if not state:
            return
        if state["adapter"]:
            self.adapter.load_running_state(on_device(state["adapter"], self.device))
        self._objects = ObjectTable(tuple(state["ids"]))
        self._removed = frozenset(state["removed"])
        self._last_slots = state["last_slots"].numpy()
        self._last_labels = state["last_labels"].numpy()
        self._presence = tuple(state["presence"])
        if self.temporal_filter is not None:
            self.temporal_filter.load_state_dict(state["filter"])
