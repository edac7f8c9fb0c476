"""The parts of a tracker, and what it holds between two frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from vostrack.arrays import UInt8Array
from vostrack.checks import check_argument
from vostrack.compute.isolation import check_not_forked, own_settings
from vostrack.errors import InputError
from vostrack.protocols import InstanceProposer, ObjectAdapter, Refiner, TemporalFilter
from vostrack.tracking.config import TrackerConfig
from vostrack.tracking.frame_input import VOID, Channels, check_frame, in_rgb
from vostrack.tracking.frame_result import FrameResult, on_demand
from vostrack.tracking.full_size import GivenMaps
from vostrack.tracking.object_history import ObjectHistory, new_history
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import check_parts
from vostrack.tracking.state import first_frame_digest
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.support import ProposalSupport
from vostrack.tracking.support.asking import ask_proposer
from vostrack.tracking.support.new_objects import new_objects
from vostrack.tracking.transaction import OneCallAtATime, restored_afterwards, undo_on_failure

__all__ = ["TrackedScene"]


class TrackedScene:
    """The parts of a tracker and its state between two frames; see ``Tracker``.

    Args:
        adapter: the object models.
        refiner: refines the score maps along image edges.
        temporal_filter: keeps the score maps consistent with the previous frames.
        proposer: proposes regions where lost objects may reappear. The temporal filter uses it.
        support: keeps identities where objects touch or cross.
        config: the frame loop; by default ``TrackerConfig()``.
        device: device of the computation; by default the CPU.
    """

    def __init__(
        self,
        adapter: ObjectAdapter,
        *,
        refiner: Refiner | None = None,
        temporal_filter: TemporalFilter | None = None,
        proposer: InstanceProposer | None = None,
        support: ProposalSupport | None = None,
        config: TrackerConfig | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.adapter = adapter
        self.refiner = refiner
        self.temporal_filter = temporal_filter
        self.proposer = proposer
        self.support = support
        self.config = config or TrackerConfig()
        self.device = device or torch.device("cpu")
        self._first_objects: ObjectTable | None = None
        self._first_slots: UInt8Array = np.zeros((0, 0), np.uint8)
        self._first_labels = self._first_slots
        self._first_digest = 0
        self._objects: ObjectTable | None = None
        self._removed: frozenset[int] = frozenset()
        self._last_slots = self._first_slots
        self._last_labels = self._first_slots
        self._presence: tuple[float, ...] = ()
        self._histories: tuple[ObjectHistory, ...] = ()
        # The last frame, very small, and the number of frames that were missing since.
        self._first_thumbnail = self._thumbnail = np.zeros((0, 0, 3), np.uint8)
        self._missing = 0
        # Mean seconds of each stage, for ``max_ms``: of this machine, and no part of the state.
        self._expected: dict[str, float] = {}
        # Seconds that the last fine-tuning took; the same holds for them.
        self._finetuning: float | None = None
        self._calls = OneCallAtATime()

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the present objects: those of ``start`` ascending, then those added."""
        return self._objects.ids if self._objects is not None else ()

    @contextmanager
    def _call(self, name: str, *, gradients: bool = False) -> Iterator[None]:
        """Run one call: alone, with our own settings, and all or nothing."""
        # Before the lock: a thread of the parent may have held it, and has not survived the fork.
        check_not_forked()
        asks = self.support is not None and self.support.config.asks
        check_parts(self.proposer, self.temporal_filter, asks)
        with (
            self._calls.hold(name),
            own_settings(self.device, gradients=gradients),
            undo_on_failure(*self._with_state()),
        ):
            yield

    def _with_state(self) -> tuple[object, ...]:
        """Return everything that may hold a state between frames."""
        identity = self.support.identity if self.support is not None else None
        others = (self.temporal_filter, self.proposer, self.refiner, self.support, identity)
        return self, self.adapter, *others

    def propose_objects(
        self, frame: UInt8Array, *, at_most: int = 5, channels: Channels = "rgb"
    ) -> UInt8Array:
        """Propose objects that are not tracked yet. Nothing is tracked until ``add_objects``.

        Args:
            frame: (H, W, 3) uint8, the frame of the last ``start`` or ``step``.
            at_most: number of new objects, 1 to 254.
            channels: order of the colours in the frame: ``rgb``, or ``bgr`` as OpenCV has it.

        Returns:
            (H, W) uint8 for ``add_objects``: 0, or the id of a new object. Ids that were removed
            are not used again.

        Raises:
            InputError: the frame is malformed, ``at_most`` or ``channels`` is none of its values,
                or there is no proposer.
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("propose_objects")
        self._check_size(frame)
        most = VOID - 1
        check_argument("at_most", at_most, f"1 to {most}", lambda n: 1 <= n <= most, whole=True)
        if self.proposer is None:
            raise InputError(
                "propose_objects: the tracker has no proposer; build it with a `proposer` and "
                "`reacquire` or `support`"
            )
        with self._call("Tracker.propose_objects"), torch.inference_mode():
            frame = in_rgb(frame, channels)
            foreground = self.support.foreground if self.support is not None else None
            proposals = ask_proposer(self.proposer, foreground, frame, self._last_labels, None)
            used = {*self.ids, *self._removed}
            return new_objects(self._last_labels, proposals, used, at_most)

    def seek_start(self) -> None:
        """Return to the first frame, as after ``start``. What ``start`` learned is kept.

        Objects that were added, removed or corrected since then are as they were at the start.

        Raises:
            RuntimeError: ``start`` has not been called.
        """
        self._check_started("seek_start")
        with self._call("Tracker.seek_start"):
            self._seek_start()

    @property
    def beginning(self) -> object:
        """The same object until the next ``start`` or ``load_state``."""
        return self._first_labels

    def _take_first_frame(self) -> None:
        """Note by what the state of this start is recognised."""
        self._first_digest = first_frame_digest(self._first_slots, self._first_thumbnail)

    def _seek_start(self) -> None:
        self.adapter.seek_start()
        self._objects, self._removed = self._first_objects, frozenset()
        self._last_slots, self._last_labels = self._first_slots, self._first_labels
        self._presence = (1.0,) * len(self.ids)
        self._thumbnail, self._missing = self._first_thumbnail, 0
        every = range(1, len(self.ids) + 1)
        self._histories = tuple(new_history(self._last_slots, k, self._scale()) for k in every)
        if self.temporal_filter is not None:
            self.temporal_filter.start(self._first_slots.copy())
        if self.support is not None:
            self.support.start(self._first_slots, len(self.ids))

    def _given_result(self, watch: Stopwatch, labels: UInt8Array | None = None) -> FrameResult:
        """Return a label map as a result, by default the present one; its scores are 0 or 1."""
        labels = self._last_labels if labels is None else labels
        scores = on_demand(GivenMaps(labels, self.ids))
        return FrameResult(
            labels.copy(), scores, self.ids, self._presence, watch.seconds, **self._movement()
        )

    def _movement(self) -> dict[str, Any]:
        """Return what a result says of the objects' movement."""
        return {
            "velocities": tuple(history.velocity for history in self._histories),
            "states": tuple(history.state for history in self._histories),
        }

    def _scale(self) -> tuple[float, float]:
        """Return the pixels of the frame per pixel at the working size, along x and y."""
        (height, width), (rows, columns) = self._last_labels.shape, self._last_slots.shape
        return width / columns, height / rows

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

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run a block that uses this tracker, and put the tracker back as it was before.

        Nothing is copied, so this costs no time. For what a part must do, see ``undo_on_failure``.

        Raises:
            RuntimeError: a call is running.
        """
        with self._calls.hold("Tracker.aside"):
            pass
        with restored_afterwards(*self._with_state()):
            yield
