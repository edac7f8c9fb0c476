"""Correcting a video step by step gives what tracking it whole with all masks gives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.refine.craf import Craf
from vostrack.tracking.edited_video import EditedVideo
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import track_video
from vostrack.video import open_source

Clip = tuple[Any, Any]


class Editor:
    """Keeps the newest result of each frame, as a page does."""

    def __init__(self, adapter: Any, frames: Any) -> None:
        self.kind = type(adapter)
        self.source = open_source(frames)
        self.video = EditedVideo(self.make(), self.source)
        self.shown: dict[int, Any] = {}

    def make(self) -> Tracker:
        return Tracker(self.kind(), temporal_filter=Craf())

    def track(self, most: int = 99, on_advance: Callable[[int], None] | None = None) -> list[int]:
        seen = []
        for step in self.video.track(on_advance):
            self.shown[step.position.index] = step.result.scores
            seen.append(step.position.index)
            if len(seen) == most:
                break
        return seen

    def check(self) -> None:
        whole = track_video(self.make(), self.source, self.video.masks)
        for step in whole:
            np.testing.assert_array_equal(step.result.scores, self.shown[step.position.index])


def only(labels: Any, *ids: int) -> Any:
    return np.where(np.isin(labels, ids), labels, 0).astype(np.uint8)


def test_only_what_may_have_changed_is_tracked(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(2, only(labels[2], 7))
    assert editor.track() == [*range(2, 12), 1, 0]
    assert editor.track() == []
    editor.video.give(8, labels[8])
    assert editor.video.stale == 3
    assert editor.track() == list(range(3, 12))
    editor.check()
    swapped = np.select([labels[10] == 3, labels[10] == 7], [7, 3], 0).astype(np.uint8)
    editor.video.give(10, swapped)
    assert editor.track() == [9, 10, 11]
    editor.check()
    editor.video.withdraw(8)
    assert editor.track() == list(range(3, 12))
    editor.check()
    editor.video.give(0, only(labels[0], 7))
    assert editor.track() == list(range(12))
    editor.check()


@pytest.mark.parametrize("most", [1, 3, 6])
def test_a_cancelled_run_goes_on(editable: Any, clip: Clip, most: int) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(0, labels[0])
    editor.track()
    editor.video.give(4, labels[5])
    editor.video.give(6, labels[6])
    editor.track(most)
    assert editor.video.stale is not None
    editor.track()
    assert editor.video.stale is None
    editor.check()


def test_what_cannot_be_edited_is_refused(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    with pytest.raises(InputError, match="read once only"):
        EditedVideo(Tracker(editable), open_source(iter(frames)))
    video = EditedVideo(Tracker(editable), open_source(frames))
    with pytest.raises(InputError, match="no frame 12"):
        video.give(12, labels[0])
    with pytest.raises(InputError, match="frame 3 has no mask"):
        video.withdraw(3)
    with pytest.raises(InputError, match="first_mask"):
        next(video.track())


@pytest.mark.parametrize("read", [False, True])
def test_a_given_mask_is_copied(read: bool, editable: Any, clip: Clip) -> None:
    frames, labels = clip
    editor, canvas = Editor(editable, frames), labels[0].copy()
    editor.video.give(0, FirstMask(canvas, (3, 7), ("3", "7")) if read else canvas)
    canvas[:] = 0
    editor.track()
    np.testing.assert_array_equal(editor.shown[0][0], labels[0] == 3)


def test_read_masks_and_arrays_mean_the_same_objects_in_any_order(
    editable: Any, clip: Clip
) -> None:
    frames, labels = clip

    def read(index: int, *objects: int) -> FirstMask:
        """As from a file with a colour for each object: numbered by itself."""
        mask = np.zeros_like(labels[index])
        for k, number in enumerate(objects, start=1):
            mask[labels[index] == number] = k
        ids = tuple(range(1, len(objects) + 1))
        return FirstMask(mask, ids, tuple(f"#{n}" for n in objects), known_by="names")

    wanted = np.select([labels == 3, labels == 7], [1, 2], 0)
    editor = Editor(editable, frames)
    editor.video.give(0, read(0, 3, 7))
    editor.track()
    # An array means what results show; a mask that is read is known by its colours.
    for index, mask in ((6, wanted[6].astype(np.uint8)), (9, read(9, 7)), (0, read(0, 3, 7))):
        editor.video.give(index, mask)
        editor.track()
        editor.check()
        for t, scores in editor.shown.items():
            assert scores.shape[0] == 2
            for k in (0, 1):
                np.testing.assert_array_equal(scores[k] >= 0.5, wanted[t] == k + 1)


def test_a_mask_that_is_given_while_tracking_is_not_lost(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(0, labels[0])
    seen = []
    for step in editor.video.track():
        seen.append(step.position.index)
        editor.shown[seen[-1]] = step.result.scores
        if seen[-1] == 4:
            editor.video.give(4, labels[5])
    assert seen == [0, 1, 2, 3, 4]
    assert editor.video.stale is not None
    assert editor.track() == list(range(12))
    assert editor.video.stale is None
    editor.check()


def test_an_older_iteration_ends_when_another_begins(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(0, labels[0])
    older = editor.video.track()
    next(older)
    newer = editor.video.track()
    next(newer)
    assert list(older) == []
    for step in newer:
        editor.shown[step.position.index] = step.result.scores
    assert editor.video.stale is None


@pytest.mark.parametrize("given", [4, 6, 9])
def test_a_mask_that_is_given_in_a_callback_is_not_lost(
    given: int, editable: Any, clip: Clip
) -> None:
    """The callback runs while the result of frame 4 is computed."""
    frames, labels = clip
    editor = Editor(editable, frames)
    for index in (0, 3, 8):
        editor.video.give(index, labels[index])
    editor.track()
    editor.video.give(8, labels[8])
    calls = []

    def paint(index: int) -> None:
        calls.append(index)
        if len(calls) == 2:
            editor.video.give(given, np.roll(labels[given], 2, 1))

    assert editor.track(on_advance=paint) == []
    assert editor.video.stale == 4
    editor.track()
    assert editor.video.stale is None
    editor.check()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_mask_that_another_thread_gives_during_the_last_step_is_not_lost(
    resumed: bool, editable: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(3, labels[3])
    editor.video.give(8, labels[8])
    if resumed:
        editor.track()
        editor.video.give(8, labels[8])
    step, last = editor.video.tracker.step, 11 if resumed else 0
    other = threading.Thread(target=editor.video.give, args=(10, np.roll(labels[10], 2, 1)))

    def paint_meanwhile(frame: Any) -> Any:
        result = step(frame)
        if np.array_equal(frame, frames[last]):
            other.start()
            other.join()
        return result

    with monkeypatch.context() as patched:
        patched.setattr(editor.video.tracker, "step", paint_meanwhile)
        assert last not in editor.track()
    assert editor.video.stale is not None
    editor.track()
    assert editor.video.stale is None
    editor.check()


def test_frames_before_the_first_mask_are_not_tracked_for_nothing(
    editable: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    editor = Editor(editable, frames)
    editor.video.give(3, labels[3])
    editor.video.give(8, labels[8])
    editor.track()
    editor.video.give(11, labels[11])
    step, tracked = editor.video.tracker.step, []

    def count(frame: Any) -> Any:
        tracked.append(next(i for i, other in enumerate(frames) if np.array_equal(frame, other)))
        return step(frame)

    monkeypatch.setattr(editor.video.tracker, "step", count)
    editor.track()
    assert min(tracked) >= 9
    editor.check()
