"""The tracker: from the first mask, frame by frame. It holds all state between frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.compute.isolation import check_not_forked, own_settings
from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner, TemporalFilter
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.frame_input import VOID, check_frame, check_mask, resized, working_image
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.fusion import gate, label_map, mean_scores
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import check_parts, warm_up_parts
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.state import check_state, on_device, stamp
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.transaction import OneCallAtATime, undo_on_failure

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
        self._objects: ObjectTable | None = None
        self._size: tuple[int, int] = (0, 0)
        self._first_slots: UInt8Array = np.zeros((0, 0), np.uint8)
        self._last_slots = self._first_slots
        self._calls = OneCallAtATime()

    @property
    def ids(self) -> tuple[int, ...]:
        """The object ids, ascending; empty before ``start``."""
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
        height, width = labels.shape
        ids = np.unique(labels[(labels > 0) & (labels != VOID)])
        objects = ObjectTable(tuple(int(i) for i in ids))
        watch = Stopwatch(self.device)
        image = working_image(frame, self.config.max_size, self.device)
        slots = objects.to_slots(labels)
        small = resized(slots, image.shape[1:], cv2.INTER_NEAREST)
        lost = [
            objects.ids[k - 1] for k in range(1, len(objects.ids) + 1) if not (small == k).any()
        ]
        if lost:
            raise InputError(
                f"mask: object {lost[0]} has no pixel left at the working size of "
                f"{image.shape[2]} x {image.shape[1]}; increase `max_size` or leave out the object"
            )
        self._objects, self._size, self._first_slots = objects, (height, width), small
        self.adapter.start(image, torch.from_numpy(small).long().to(self.device))
        watch.lap("fine-tuning")
        self.seek_start()
        output = np.where(labels == VOID, 0, labels).astype(np.uint8)
        scores = np.stack([(output == i).astype(np.float32) for i in objects.ids])
        return FrameResult(output, scores, objects.ids, (1.0,) * len(objects.ids), watch.seconds)

    def seek_start(self) -> None:
        """Return to the first frame, as after ``start``. What ``start`` learned is kept."""
        self.adapter.seek_start()
        self._last_slots = self._first_slots
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
        if self._objects is None:
            raise RuntimeError("Tracker.step was called before Tracker.start(frame, mask)")
        with self._call("Tracker.step"), torch.inference_mode():
            return self._step(frame)

    def _step(self, frame: UInt8Array) -> FrameResult:
        check_frame(frame)
        if frame.shape[:2] != self._size:
            raise InputError(
                f"frame: expected {self._size[1]} x {self._size[0]} pixels like the first "
                f"frame, got {frame.shape[1]} x {frame.shape[0]}; resize it or call start again"
            )
        watch = Stopwatch(self.device)
        image = working_image(frame, self.config.max_size, self.device)
        watch.lap("input")
        scores, foreground = self.adapter.scores(image)
        watch.lap("networks")
        if foreground is not None and self.config.gate == "before":
            scores = self._gate(scores, foreground)
        if self.refiner is not None and self.config.learn_refined:
            scores = self.refiner(image, scores)
            watch.lap("refiner")
        scores = self._filter(frame, scores.float(), foreground)
        if foreground is not None and self.config.gate == "after":
            scores = self._gate(scores, foreground)
        watch.lap("filter")
        return self._result(image, scores, watch)

    def _gate(self, scores: Tensor, foreground: Tensor) -> Tensor:
        return gate(
            scores,
            foreground,
            threshold=self.config.gate_threshold,
            dilation=self.config.gate_dilation,
        )

    def _filter(self, frame: UInt8Array, scores: Tensor, foreground: Tensor | None) -> Tensor:
        if self.temporal_filter is None:
            return scores
        candidates = None
        if self.proposer is not None:
            candidates = partial(
                proposed_regions, self.proposer, self.adapter, frame, foreground, self._last_slots
            )
        estimate = self.adapter.presence()
        presence = estimate.tolist() if estimate is not None else None
        filtered = self.temporal_filter(scores.cpu().numpy(), candidates, presence)
        return torch.from_numpy(filtered).to(self.device)

    def _result(self, image: Tensor, scores: Tensor, watch: Stopwatch) -> FrameResult:
        assert self._objects is not None
        small = label_map(scores, threshold=self.config.threshold)
        self.adapter.commit(scores, small)
        self._last_slots = small.cpu().numpy()
        if self.temporal_filter is not None:
            self.temporal_filter.commit(self._last_slots)
        watch.lap("memory")
        if self.refiner is not None and not self.config.learn_refined:
            scores = self.refiner(image, scores)
            small = label_map(scores, threshold=self.config.threshold)
            watch.lap("refiner")
        if tuple(scores.shape[1:]) != self._size:
            scores = F.interpolate(
                scores[None], size=self._size, mode="bilinear", align_corners=False
            )[0]
            small = label_map(scores, threshold=self.config.threshold)
        slots = small
        labels = self._objects.to_ids(slots.cpu().numpy())
        full = scores.cpu().numpy()
        watch.lap("output")
        presence = self._presence(scores, slots)
        return FrameResult(labels, full, self._objects.ids, presence, watch.seconds)

    def _presence(self, scores: Tensor, slots: Tensor) -> tuple[float, ...]:
        estimate = self.adapter.presence()
        if estimate is not None:
            return tuple(estimate.tolist())
        return mean_scores(scores, slots)

    def start_state(self) -> dict[str, Any]:
        """Return what ``start`` computed, for ``load_state``: tensors, numbers and strings."""
        assert self._objects is not None
        return {
            **stamp("start", self.adapter),
            "ids": list(self._objects.ids),
            "size": self._size,
            "first_slots": torch.from_numpy(self._first_slots),
            "adapter": dict(self.adapter.state_dict()),
        }

    def state(self) -> dict[str, Any]:
        """Return what changes between frames, for ``load_state``. Its size is bounded."""
        temporal_filter = self.temporal_filter
        return {
            **stamp("running", self.adapter),
            "adapter": dict(self.adapter.running_state()),
            "filter": dict(temporal_filter.state_dict()) if temporal_filter is not None else {},
            "last_slots": torch.from_numpy(self._last_slots),
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
        self._objects = ObjectTable(tuple(start["ids"]))
        height, width = start["size"]
        self._size = int(height), int(width)
        self._first_slots = start["first_slots"].numpy()
        self.adapter.load_state_dict(on_device(start["adapter"], self.device))
        self.seek_start()
        if not state:
            return
        if state["adapter"]:
            self.adapter.load_running_state(on_device(state["adapter"], self.device))
        self._last_slots = state["last_slots"].numpy()
        if self.temporal_filter is not None:
            self.temporal_filter.load_state_dict(state["filter"])
