"""The tracker: from the first mask, frame by frame. It holds all state between frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral

import cv2
import numpy as np
import torch

from vostrack.arrays import UInt8Array
from vostrack.checks import check_argument
from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.tracking import edits
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.edited_scene import EditedScene
from vostrack.tracking.frame_input import (
    VOID,
    Channels,
    as_image,
    check_channels,
    check_frame,
    check_mask,
    in_rgb,
    resized,
    shifted,
    working_frame,
)
from vostrack.tracking.frame_loop import estimated_presence, finish_frame, score_objects
from vostrack.tracking.frame_result import FrameResult, on_demand
from vostrack.tracking.full_size import ScoreMaps, full_size_labels
from vostrack.tracking.later_frames import learnable_frames
from vostrack.tracking.object_history import follow_objects
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import (
    Rehearses,
    check_learns_later,
    forget_places,
    warm_up_parts,
)
from vostrack.tracking.shot_cuts import is_cut, thumbnail
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.time_limit import stages_to_skip, updated_means

__all__ = ["FrameResult", "Tracker", "TrackerConfig"]


class Tracker(EditedScene):
    """Tracks the objects of one video.

    Every part except the adapter is optional, so every ablation is a configuration.
    ``vostrack.build_tracker`` creates a tracker from a preset.

    Args:
        adapter: the object models.
        refiner: refines the score maps along image edges.
        temporal_filter: keeps the score maps consistent with the previous frames.
        proposer: proposes regions where lost objects may reappear. The temporal filter uses it.
        support: keeps identities where objects touch or cross.
        config: the frame loop; by default ``TrackerConfig()``.
        device: device of the computation; by default the CPU.

    Example:
        >>> tracker = build_tracker("balanced")                # doctest: +SKIP
        >>> tracker.start(first_frame, first_mask)             # doctest: +SKIP
        >>> labels = tracker.step(next_frame).labels           # doctest: +SKIP

    Objects may change after any frame: see ``add_objects``, ``remove_objects`` and ``correct``.
    """

    def start(
        self,
        frame: UInt8Array,
        mask: UInt8Array | FirstMask,
        *,
        later: Sequence[tuple[UInt8Array, UInt8Array]] = (),
        channels: Channels = "rgb",
    ) -> FrameResult:
        """Learn the objects from the first frame.

        Args:
            frame: (H, W, 3) uint8.
            mask: (H, W) integers; 0 background, 1..254 object ids, 255 void. Or what
                ``read_first_mask`` returned.
            later: frames (H, W, 3) uint8 RGB with masks (H, W) that are likely but not certain,
                such as those of a first pass over the video. Fine-tuning uses them beside the first
                frame. A frame in which an object is missing or vanishes at the working size says
                nothing.
            channels: order of the colours in the frame; see ``step``. Those of ``later`` are RGB.

        Returns:
            The result of the first frame: the given mask, with void as background.

        Raises:
            InputError: the frame or the mask is malformed, their sizes differ, the mask has no
                object, or an object vanishes at the working size; or there is a proposer, but no
                temporal filter to ask it; or ``later`` is given to object models that learn from
                the first frame only.
        """
        with self._call("Tracker.start", gradients=True):
            return self._start(in_rgb(frame, channels), mask, later)

    def _start(
        self,
        frame: UInt8Array,
        mask: UInt8Array | FirstMask,
        later: Sequence[tuple[UInt8Array, UInt8Array]] = (),
        *,
        rehearsal: bool = False,
    ) -> FrameResult:
        check_frame(frame)
        labels = check_mask(mask, frame)
        warm_up_parts(self.device, self.refiner, self.temporal_filter, self.proposer)
        objects = ObjectTable(edits.given_ids(labels))
        watch = Stopwatch(self.device)
        scaled = working_frame(frame, self.config.max_size)
        small = resized(objects.to_slots(labels), scaled.shape[:2], cv2.INTER_NEAREST)
        edits.check_pixels_left(small, objects, range(1, len(objects) + 1))
        self._first_objects, self._first_slots = objects, small
        self._first_labels = np.where(labels == VOID, 0, labels).astype(np.uint8)
        self._first_thumbnail = thumbnail(scaled)
        image = as_image(scaled, self.device)
        slots = torch.from_numpy(small).long().to(self.device)
        if rehearsal and isinstance(self.adapter, Rehearses):
            self.adapter.rehearse(image, slots)
        elif later:
            adapter = check_learns_later(self.adapter)
            learnable = learnable_frames(later, objects, frame.shape, self.config, self.device)
            adapter.start_with(image, slots, learnable)
        else:
            self.adapter.start(image, slots)
        watch.lap("fine-tuning")
        self._finetuning = watch.seconds["fine-tuning"]
        self._take_first_frame()
        self._seek_start()
        return self._given_result(watch)

    def step(
        self,
        frame: UInt8Array | None,
        *,
        channels: Channels = "rgb",
        max_ms: float | None = None,
    ) -> FrameResult:
        """Segment the objects in the next frame.

        Args:
            frame: (H, W, 3) uint8, of the same size as the first frame. None if the frame is
                missing: the last masks are moved by the objects' velocities, nothing is learned,
                and the result says that it is ``predicted``.
            channels: order of the colours in this frame: ``rgb``, or ``bgr`` as OpenCV has it.
            max_ms: time for the frame, in milliseconds. If the last frames say that it will take
                longer, optional stages are left out, in this order, until it should fit: ``flow``
                (fast, balanced, best), ``mirror`` (where it is on), ``refiner`` and ``proposer``.
                The result names them. The masks then depend on the speed of the machine. None: all
                stages.

        Returns:
            The result of this frame.

        Raises:
            InputError: the frame is malformed or has another size, an option is out of its range,
                or there is a proposer, but no temporal filter to ask it.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("step")
        with self._call("Tracker.step"), torch.inference_mode():
            check_channels(channels)
            if max_ms is not None:
                check_argument("max_ms", max_ms, "more than 0 milliseconds", lambda ms: ms > 0)
            if frame is None:
                return self._predict()
            return self._step(in_rgb(frame, channels), max_ms)

    def _predict(self) -> FrameResult:
        """Return the last masks, moved by the objects' velocities."""
        self._missing += 1
        labels = np.zeros_like(self._last_labels)
        for number, history in zip(self.ids, self._histories, strict=True):
            frames = self._missing + min(history.unseen, 0)
            dx, dy = (round(frames * v) for v in history.velocity)
            labels[shifted(self._last_labels == number, dx, dy)] = number
        return replace(self._given_result(Stopwatch(self.device), labels), predicted=True)

    def _step(self, frame: UInt8Array, max_ms: float | None) -> FrameResult:
        self._check_size(frame)
        watch = Stopwatch(self.device)
        scaled = working_frame(frame, self.config.max_size)
        small = thumbnail(scaled)
        cut = is_cut(self._thumbnail, small)
        self._thumbnail, missing, self._missing = small, self._missing, 0
        if not self.ids:
            return replace(self._given_result(watch), cut=cut)
        image = as_image(scaled, self.device)
        watch.lap("input")
        if cut:
            forget_places(self.adapter, self.temporal_filter, self.support)
        skipped = stages_to_skip(self, self._expected, max_ms)
        scores = score_objects(self, frame, image, self._last_slots, watch, skipped)
        learned, scores = finish_frame(self, image, scores, watch, skipped)
        self._last_slots = learned.cpu().numpy()
        height, width = self._last_labels.shape
        maps = ScoreMaps(scores, (height, width))
        slots = full_size_labels(scores, maps.size, threshold=self.config.threshold)
        assert self._objects is not None
        self._last_labels = self._objects.to_ids(slots.cpu().numpy())
        watch.lap("output")
        self._presence = estimated_presence(self.adapter, scores, self.config.threshold)
        self._histories = follow_objects(
            self._histories, self._last_slots, self._presence, self._scale(), missing
        )
        self._expected = updated_means(self, self._expected, watch.seconds, skipped)
        return FrameResult(
            self._last_labels.copy(),
            on_demand(maps),
            self.ids,
            self._presence,
            watch.seconds,
            **self._movement(),
            skipped=skipped,
            cut=cut,
        )

    def warm_up(self, size: tuple[int, int], objects: int = 1) -> None:
        """Prepare for frames of a size, so that the first ones take no longer than later ones.

        A gray frame is tracked without fine-tuning. The tracker is then as it was before.

        Args:
            size: H and W of the frames, in pixels.
            objects: the number of objects to expect.

        Raises:
            InputError: the frame is too small for so many objects, or there cannot be so many.
        """
        most = VOID - 1
        check_argument("objects", objects, f"1 to {most}", lambda n: 1 <= n <= most, whole=True)
        height, width = _frame_size(size, objects)
        frame = np.full((height, width, 3), 128, np.uint8)
        rows = np.arange(height, dtype=np.int64)[:, None] * (objects + 1) // height
        mask = np.broadcast_to(rows, (height, width)).astype(np.uint8)
        with self.aside(), self._call("Tracker.warm_up", gradients=True):
            self._start(frame, mask, rehearsal=True)
            with torch.inference_mode():
                seconds = [self._step(frame, None).timings for _ in range(3)]
        self._expected = dict(seconds[-1])


def _frame_size(size: object, objects: int) -> tuple[int, int]:
    """Return the size of frames in which so many objects have a row each.

    Raises:
        InputError: it is no such size.
    """
    pair = tuple(size) if isinstance(size, Iterable) else ()
    whole = len(pair) == 2 and all(isinstance(side, Integral) for side in pair)
    if not whole or pair[0] <= objects or pair[1] < 1:
        raise InputError(
            f"size: expected H and W of a frame for {objects} objects in pixels, got {size!r}"
        )
    return int(pair[0]), int(pair[1])
