"""Tracking says of each object only what was drawn or found of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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


def test_an_object_drawn_ahead_says_nothing_of_the_others(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    project = session.project
    draw(project, 0, square(5))
    draw(project, 3, square(40, number=2))
    session.track(0, "forward")
    finished(session)
    assert not [call for call in trackers[0].calls if call[0] == "correct"]
    for frame in range(3, FRAMES):
        both = square(5 + frame) + square(40 + frame - 3, number=2)
        np.testing.assert_array_equal(project.labels(frame)[0], both)
    assert project.drawn == {0: [1], 3: [2]}
    assert project.erased == {}
    session.track(3, "forward")  # goes on with both
    finished(session)
    np.testing.assert_array_equal(project.labels(5)[0], square(10) + square(42, number=2))


def test_an_object_that_was_erased_stays_so(
    session: StudioSession, trackers: list[ShiftingTracker]
) -> None:
    project = session.project
    draw(project, 0, square(5) + square(30, number=2))
    session.track(0, "forward")
    finished(session)
    draw(project, 3, square(8))
    assert project.erased == {3: [2]}
    session.track(0, "forward")
    finished(session)
    assert ("correct", 3, (1, 2)) in trackers[1].calls
    for frame in range(3, FRAMES):
        np.testing.assert_array_equal(project.labels(frame)[0], square(5 + frame))


def test_forward_goes_on_from_a_frame_in_which_all_objects_have_ended(
    session: StudioSession,
) -> None:
    project = session.project
    draw(project, 0, square(5))
    session.track(0, "forward")
    finished(session)
    project.set_objects([replace(RED, last=2), BLUE], "end Red")
    draw(project, 6, square(30, number=2))
    session.track(3, "forward")
    finished(session)
    ids = [set(np.unique(project.labels(k)[0]).tolist()) - {0} for k in range(FRAMES)]
    assert ids == [{1}, {1}, {1}, set(), set(), set(), {2}, {2}]
    session.track(4, "backward")  # would clear the frames before the end
    wait_until(lambda: session.job.state.state == "failed")
    assert "frame 4 has no object" in session.job.state.message
    assert project.labels(1)[0].any()


def test_it_goes_on_from_a_tracked_frame_when_what_was_drawn_is_erased(
    session: StudioSession,
) -> None:
    project = session.project
    draw(project, 0, square(5))
    session.track(0, "forward")
    finished(session)
    draw(project, 0, 0 * square(0))
    session.track(3, "forward")
    finished(session)
    np.testing.assert_array_equal(project.labels(4)[0], square(9))


def test_what_was_found_of_other_objects_stays(session: StudioSession) -> None:
    project = session.project
    draw(project, 0, square(5))
    for frame in range(1, 5):
        project.track(frame, square(5 + frame), {1: 1.0})
    draw(project, 6, square(40, number=2))  # says nothing of the first object
    session.track(6, "backward")
    finished(session)
    np.testing.assert_array_equal(project.labels(4)[0], square(9) + square(42, number=2))
    draw(project, 6, square(20))
    draw(project, 6, square(20, number=2))  # the first one was taken out
    session.track(6, "backward")
    finished(session)
    np.testing.assert_array_equal(project.labels(4)[0], square(22, number=2))


def test_going_back_from_behind_the_end_of_an_object_leaves_it(session: StudioSession) -> None:
    project = session.project
    draw(project, 0, square(5) + square(30, number=2))
    session.track(0, "forward")
    finished(session)
    project.set_objects([replace(RED, last=4), BLUE], "end Red")
    draw(project, 6, square(50, number=2))
    session.track(6, "backward")
    finished(session)
    ids = [set(np.unique(project.labels(k)[0]).tolist()) - {0} for k in range(7)]
    assert ids == [*[{1, 2}] * 5, {2}, {2}]


def test_objects_that_are_not_drawn_in_the_anchor_are_found_there(session: StudioSession) -> None:
    project = session.project
    draw(project, 0, square(5) + square(30, number=2))
    draw(project, 3, square(10))
    session.track(3, "forward")
    finished(session)
    assert set(np.unique(project.labels(3)[0]).tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(project.labels(3)[0] == 1, square(10) > 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda project: project.set_objects([BLUE], "delete Red"),
        lambda project: project.set_objects([replace(RED, last=0), BLUE], "end Red"),
    ],
)
@pytest.mark.parametrize("back_after", [5, FRAMES - 1])
def test_an_object_that_comes_back_while_tracking_is_tracked_again(
    session: StudioSession,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
    back_after: int,
) -> None:
    project = session.project
    draw(project, 0, square(5) + square(30, number=2))
    lacking: set[int] = set()
    step = ShiftingTracker.step

    def changed(tracker: ShiftingTracker, image: Any) -> Any:
        found = step(tracker, image)
        frame = int(image[0, 0, 0])
        if frame == 3 and not lacking:
            change(project)
        if 1 not in found.ids:
            lacking.add(frame)
        if frame == back_after and lacking and project.steps()[1] is None:
            project.move(-1)
        return found

    monkeypatch.setattr(ShiftingTracker, "step", changed)
    session.track(0, "forward")
    finished(session)
    assert lacking == set(range(4, back_after + 1))
    for frame in range(FRAMES):
        both = square(5 + frame) + square(30 + frame, number=2)
        np.testing.assert_array_equal(project.labels(frame)[0], both)


def test_an_object_that_was_deleted_before_tracking_can_come_back(
    session: StudioSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = session.project
    draw(project, 0, square(5) + square(30, number=2))
    project.set_objects([BLUE], "delete Red")
    step = ShiftingTracker.step

    def undone(tracker: ShiftingTracker, image: Any) -> Any:
        if image[0, 0, 0] == 3 and RED not in project.objects:
            project.move(-1)
        return step(tracker, image)

    monkeypatch.setattr(ShiftingTracker, "step", undone)
    session.track(0, "forward")
    finished(session)
    for frame in range(FRAMES):
        both = square(5 + frame) + square(30 + frame, number=2)
        np.testing.assert_array_equal(project.labels(frame)[0], both)
