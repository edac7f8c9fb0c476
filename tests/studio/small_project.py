"""A small video in shapes that are easy to follow, and a tracker that moves masks to the right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.studio.journal import StudioObject
from vostrack.studio.project import Project
from vostrack.studio.session import StudioSession
from vostrack.tracking.frame_result import FrameResult

HEIGHT, WIDTH, FRAMES = 48, 64, 8
RED = StudioObject(1, "Red", "#cc3333")
BLUE = StudioObject(2, "Blue", "#3333cc")


def square(x: int, y: int = 16, side: int = 12, number: int = 1) -> UInt8Array:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[y : y + side, x : x + side] = number
    return labels


class ShiftingTracker:
    """Moves the last label map by one pixel to the right; keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.limits: list[float | None] = []
        self.ids: tuple[int, ...] = ()
        self._labels: UInt8Array = np.zeros((HEIGHT, WIDTH), np.uint8)

    def _result(self) -> FrameResult:
        present = tuple(float((self._labels == number).any()) for number in self.ids)
        scores = np.zeros((len(self.ids), *self._labels.shape), np.float32)
        return FrameResult(self._labels.copy(), scores, self.ids, present, {})

    def start(self, frame: UInt8Array, mask: UInt8Array) -> FrameResult:
        self.calls.append(("start", int(frame[0, 0, 0])))
        self.ids = tuple(int(number) for number in np.unique(mask) if number)
        self._labels = mask.copy()
        return self._result()

    def step(self, frame: UInt8Array) -> FrameResult:
        self.calls.append(("step", int(frame[0, 0, 0])))
        self._labels = np.roll(self._labels, 1, axis=1)
        return self._result()

    def correct(
        self,
        frame: UInt8Array,
        mask: UInt8Array,
        ids: Sequence[int] | None = None,
        *,
        max_ms: float | None = None,
    ) -> FrameResult:
        assert ids is not None
        self.limits.append(max_ms)
        assert set(ids) <= set(self.ids)
        self.calls.append(("correct", int(frame[0, 0, 0]), tuple(ids)))
        self._labels[np.isin(self._labels, list(ids))] = 0
        self._labels = np.where(mask > 0, mask, self._labels).astype(np.uint8)
        return self._result()

    def add_objects(
        self, frame: UInt8Array, mask: UInt8Array, *, reuse_ids: bool = False
    ) -> FrameResult:
        new = tuple(int(number) for number in np.unique(mask) if number)
        self.calls.append(("add", int(frame[0, 0, 0]), new))
        self.ids = (*self.ids, *new)
        self._labels = np.where(mask > 0, mask, self._labels).astype(np.uint8)
        return self._result()

    def remove_objects(self, ids: Sequence[int]) -> None:
        self.calls.append(("remove", tuple(ids)))
        self.ids = tuple(number for number in self.ids if number not in ids)
        self._labels[np.isin(self._labels, list(ids))] = 0


def draw(project: Project, frame: int, labels: UInt8Array) -> None:
    project.draw(frame, labels, project.labels(frame)[1], "paint")


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for another thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def finished(session: StudioSession) -> None:
    """Wait for the end of a tracking, which must not have failed."""
    wait_until(lambda: session.job.state.state in ("idle", "failed"))
    assert session.job.state.state == "idle", session.job.state.message
