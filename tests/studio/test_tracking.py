"""The thread that tracks: what the tracker is asked, and what becomes of its answers."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

from tests.studio.small_project import (
    BLUE,
    FRAMES,
    RED,
    ShiftingTracker,
    draw,
    finished,
    square,
    wait_until,
)
from vostrack.studio.session import StudioSession
from vostrack.tracking.parts import Refits


def test_forward_fills_every_later_frame(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    draw(session.project, 2, square(5))
    session.track(2, "forward")
    finished(session)
    assert sorted(session.project.tracked) == list(range(3, FRAMES))
    for frame in range(2, FRAMES):
        np.testing.assert_array_equal(session.project.labels(frame)[0], square(5 + frame - 2))
    assert trackers[0].calls == [("start", 2), *[("step", k) for k in range(3, FRAMES)]]


def test_backward_goes_down(session: StudioSession, trackers: list[ShiftingTracker]) -> None:
    draw(session.project, 3, square(5))
    session.track(3, "backward")
    finished(session)
    assert trackers[0].calls == [("start", 3), ("step", 2), ("step", 1), ("step", 0)]
    np.testing.assert_array_equal(session.project.labels(0)[0], square(8))


def test_a_correction_on_the_way_is_followed_and_kept(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    draw(session.project, 0, square(5))
    draw(session.project, 4, square(30))
    session.track(0, "forward")
    finished(session)
    assert ("correct", 4, (1,)) in trackers[0].calls
    np.testing.assert_array_equal(session.project.labels(3)[0], square(8))
    np.testing.assert_array_equal(session.project.labels(4)[0], square(30))
    np.testing.assert_array_equal(session.project.labels(5)[0], square(31))
    assert 4 not in session.project.tracked


def test_tracking_on_from_a_correction_remembers_the_first_mask(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    draw(session.project, 0, square(5))
    draw(session.project, 4, square(30))
    session.track(4, "forward")
    finished(session)
    assert trackers[0].calls[:3] == [("start", 0), ("step", 4), ("correct", 4, (1,))]
    np.testing.assert_array_equal(session.project.labels(5)[0], square(31))
    assert sorted(session.project.tracked) == [5, 6, 7]
    session.track(6, "forward")  # goes on from what was tracked
    finished(session)
    assert trackers[1].calls == [("start", 0), ("step", 6), ("correct", 6, (1,)), ("step", 7)]
    np.testing.assert_array_equal(session.project.labels(7)[0], square(33))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_tracking_gives_way_to_people_and_its_server_does_not(session: StudioSession) -> None:
    found = []

    class Asking(ShiftingTracker):
        def start(self, frame: Any, mask: Any) -> Any:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().start(frame, mask)

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    session.job._build = Asking
    draw(session.project, 6, square(5))
    session.track(6, "forward")
    finished(session)
    assert found == [max(before, 5)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_gap_is_filled_from_both_sides(session: StudioSession) -> None:
    draw(session.project, 1, square(5))
    draw(session.project, 6, square(30))
    session.track(3, "between")
    finished(session)
    assert sorted(session.project.tracked) == [2, 3, 4, 5]
    np.testing.assert_array_equal(session.project.labels(3)[0], square(7))
    np.testing.assert_array_equal(session.project.labels(4)[0], square(32))


def test_an_object_can_come_and_go_midway(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    draw(session.project, 0, square(5))
    draw(session.project, 2, square(7) + square(30, number=2))
    session.project.set_objects([replace(RED, last=4), BLUE], "end Red")
    session.track(0, "forward")
    finished(session)
    assert ("add", 2, (2,)) in trackers[0].calls
    assert ("remove", (1,)) in trackers[0].calls
    ids = [set(np.unique(session.project.labels(k)[0]).tolist()) - {0} for k in range(FRAMES)]
    assert ids == [{1}, {1}, {1, 2}, {1, 2}, {1, 2}, {2}, {2}, {2}]


def test_a_frame_with_known_and_new_objects_is_learned_once(session: StudioSession) -> None:
    class Refitting(ShiftingTracker):
        adapter = create_autospec(Refits, instance=True, on_progress=None)

        def start(self, frame: Any, mask: Any) -> Any:
            self.adapter.on_progress("objects", 3, 4)
            shares.append(session.job.state.learned)
            return super().start(frame, mask)

    shares: list[float | None] = []
    tracker = Refitting()
    session.job._build = lambda: tracker
    draw(session.project, 0, square(5))
    draw(session.project, 2, square(7) + square(30, number=2))
    draw(session.project, 4, square(9) + square(32, number=2))
    session.track(0, "forward")
    finished(session)
    assert tracker.limits == [0.0, None]  # the first is followed by another edit
    assert shares == [0.75]
    assert session.job.state.learned is None


def test_a_deleted_object_takes_its_masks_with_it(session: StudioSession) -> None:
    project = session.project
    draw(project, 0, square(5))
    draw(project, 4, square(30) + square(50, number=2))
    draw(project, 7, square(9, number=2))
    session.track(0, "forward")
    finished(session)
    before = {k: project.labels(k) for k in range(FRAMES)}
    project.set_objects([BLUE], "delete Red")
    assert project.corrected == [4, 7]
    assert sorted(project.tracked) == [5, 6, 7]  # the others showed nothing else
    for frame, (labels, tag) in before.items():
        found, other = project.labels(frame)
        np.testing.assert_array_equal(found, np.where(labels == 2, 2, 0))
        assert (other == tag) is np.array_equal(found, labels)
    project.set_objects([], "delete Blue")
    assert project.corrected == []
    assert project.tracked == {}
    assert project.next_id == 3
    project.move(-1)
    project.move(-1)
    for frame, (labels, tag) in before.items():
        np.testing.assert_array_equal(project.labels(frame)[0], labels)
        assert project.labels(frame)[1] == tag


def test_the_id_of_an_object_whose_making_was_undone_is_not_used_again(
    session: StudioSession,
) -> None:
    draw(session.project, 0, square(5))
    session.track(0, "forward")
    finished(session)
    session.move(-1)
    session.move(-1)
    assert session.project.objects == ()
    assert session.project.next_id == 2
    assert session.project.tracked == {}


def test_pause_holds_the_thread_and_stop_keeps_what_is_done(session: StudioSession) -> None:
    gate = threading.Event()
    step = ShiftingTracker.step

    class Slow(ShiftingTracker):
        def step(self, frame: Any) -> Any:
            gate.wait(60)
            return step(self, frame)

    session.job._build = Slow
    draw(session.project, 0, square(5))
    session.track(0, "forward")
    session.job.pause()
    gate.set()
    assert session.job.state.state == "paused"
    session.job.resume()
    finished(session)
    session.track(0, "forward")
    session.job.stop()
    finished(session)
    assert session.project.tracked


def test_a_failure_is_told_and_leaves_the_rest(session: StudioSession) -> None:
    class Broken(ShiftingTracker):
        def step(self, frame: Any) -> Any:
            raise MemoryError("no memory")

    session.job._build = Broken
    draw(session.project, 0, square(5))
    session.track(0, "forward")
    wait_until(lambda: session.job.state.state == "failed")
    assert "no memory" in session.job.state.message
    np.testing.assert_array_equal(session.project.labels(0)[0], square(5))


def test_a_full_disk_stops_the_tracking_with_words(
    session: StudioSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    draw(session.project, 0, square(5))
    with monkeypatch.context() as patch:
        patch.setattr("vostrack.studio.tracked.write_label_map", full)
        session.track(0, "forward")
        wait_until(lambda: session.job.state.state == "failed")
    assert "No space left on device; free some space" in session.job.state.message
    session.track(0, "forward")
    finished(session)
    assert sorted(session.project.tracked) == list(range(1, FRAMES))
