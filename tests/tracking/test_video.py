"""The order in which frames are visited, and going on behind one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.refine.craf import Craf
from vostrack.tracking import frame_order
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, TrackedFrame, track_video
from vostrack.video import open_source

Clip = tuple[Any, Any]


def tracker_of(adapter: Any) -> Tracker:
    return Tracker(adapter, temporal_filter=Craf())


def test_forward(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    steps = list(track_video(tracker_of(adapter), open_source(frames), labels[0]))
    assert [step.position.index for step in steps] == list(range(12))
    for step in steps:
        assert isinstance(step, TrackedFrame)
        assert step.frame.index == step.position.index
        np.testing.assert_array_equal(step.result.labels, labels[step.frame.index])


@pytest.mark.parametrize("run_bytes", [1, 60 * 90 * 3 * 2, 10**9])
def test_both_ways_from_a_frame_in_the_middle(
    adapter: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch, run_bytes: int
) -> None:
    monkeypatch.setattr(frame_order, "_RUN_BYTES", run_bytes)
    frames, labels = clip
    source = open_source(frames)
    steps = list(track_video(tracker_of(adapter), source, labels[5], first_mask_frame=5))
    assert [step.position.index for step in steps] == [*range(5, 12), *range(4, -1, -1)]
    assert [step.position.direction for step in steps] == ["forward"] * 7 + ["backward"] * 5
    for step in steps:
        index = step.frame.index
        np.testing.assert_array_equal(step.frame.image, frames[index])
        np.testing.assert_array_equal(step.result.labels, labels[index])
    assert adapter.starts == 1


def test_with_start_and_stride(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    source = open_source(frames, start=1, end=11, stride=3)
    steps = list(track_video(tracker_of(adapter), source, labels[7], first_mask_frame=7))
    assert [step.position.index for step in steps] == [7, 10, 4, 1]


@pytest.mark.parametrize("stop", range(12))
def test_going_on_behind_any_frame_gives_the_same(adapter: Any, clip: Clip, stop: int) -> None:
    frames, labels = clip
    source = open_source(frames)
    tracker = tracker_of(adapter)
    whole = []
    saved: dict[str, Any] = {}
    for k, step in enumerate(track_video(tracker, source, labels[4], first_mask_frame=4)):
        whole.append(step)
        if k == stop:
            start, running = tracker.start_state(), tracker.state()
            saved = {"start": start, "running": running, "after": step.position}
    other = tracker_of(type(adapter)())
    other.load_state(saved["start"], saved["running"])
    rest = list(track_video(other, source, labels[4], first_mask_frame=4, after=saved["after"]))
    expected = whole[stop + 1 :]
    assert [step.position for step in rest] == [step.position for step in expected]
    for one, two in zip(rest, expected, strict=True):
        np.testing.assert_array_equal(one.result.scores, two.result.scores)


def test_a_generator_is_read_once(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    steps = list(track_video(tracker_of(adapter), open_source(iter(frames)), labels[0]))
    assert [step.position for step in steps] == [Position(k, "forward") for k in range(12)]


def test_a_source_of_one_pass_is_not_read_ahead(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    taken: list[str] = []

    def noted() -> Iterator[Any]:
        for frame in frames:
            taken.append(threading.current_thread().name)
            yield frame

    source = open_source(noted())
    begun = len(taken)  # its size is that of the first frame
    for done, _ in enumerate(track_video(tracker_of(adapter), source, labels[0]), start=1):
        assert len(taken) == max(begun, done)
    assert set(taken) == {threading.current_thread().name}


def test_a_mask_frame_that_is_not_there(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    with pytest.raises(InputError, match=r"0 to 11.*got 12"):
        next(track_video(tracker_of(adapter), open_source(frames), labels[0], first_mask_frame=12))
    strided = open_source(frames, stride=2)
    with pytest.raises(InputError, match=r"steps of 2.*got 3"):
        next(track_video(tracker_of(adapter), strided, labels[0], first_mask_frame=3))
    once = open_source(iter(frames))
    with pytest.raises(InputError, match="once only"):
        next(track_video(tracker_of(adapter), once, labels[0], first_mask_frame=3))


def test_a_tracker_that_follows_another_video_is_not_followed_on(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = tracker_of(adapter)
    older = track_video(tracker, open_source(frames), labels[0])
    next(older)
    assert next(older).position.index == 1
    newer = track_video(tracker, open_source(frames[3:]), labels[3])
    next(newer)
    with pytest.raises(RuntimeError, match=r"started anew after frame 1 .* a second tracker"):
        next(older)
    assert [step.position.index for step in newer] == list(range(1, 9))
    again = track_video(tracker, open_source(frames), labels[0])
    next(again)
    tracker.start(frames[2], labels[2])
    with pytest.raises(RuntimeError, match="started anew"):
        next(again)
