"""Objects that come, go and are corrected while a video is tracked."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch

from vostrack.errors import InputError
from vostrack.refine.craf import Craf
from vostrack.tracking.tracker import FrameResult, Tracker

Clip = tuple[Any, Any]


@pytest.fixture(params=[False, True], ids=["plain", "craf"])
def tracker(request: pytest.FixtureRequest, editable: Any) -> Tracker:
    return Tracker(editable, temporal_filter=Craf() if request.param else None)


def only(labels: Any, *ids: int) -> Any:
    return np.where(np.isin(labels, ids), labels, 0).astype(np.uint8)


def same(a: FrameResult, b: FrameResult) -> None:
    assert a.ids == b.ids
    assert a.presence == b.presence
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.scores, b.scores)


def test_an_added_object_is_tracked_beside_the_first(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], only(labels[0], 7))
    tracker.step(frames[1])
    result = tracker.add_objects(frames[1], only(labels[1], 3))
    assert tracker.ids == result.ids == (7, 3)
    np.testing.assert_array_equal(result.labels, labels[1])
    np.testing.assert_array_equal(result.scores[1], labels[1] == 3)
    assert result.presence[1] == 1
    for t in range(2, 12):
        found = tracker.step(frames[t])
        np.testing.assert_array_equal(found.labels, labels[t])
        assert found.scores.shape == (2, 60, 90)


def test_added_pixels_are_taken_from_others(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    both = np.where(labels[0] > 0, 7, 0).astype(np.uint8)
    tracker.start(frames[0], both)
    result = tracker.add_objects(frames[0], only(labels[0], 3))
    np.testing.assert_array_equal(result.labels, labels[0])
    np.testing.assert_array_equal(result.scores[0], labels[0] == 7)


def test_a_removed_object_is_background_and_its_id_stays_taken(
    tracker: Tracker, clip: Clip
) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    tracker.remove_objects([3])
    assert tracker.ids == (7,)
    np.testing.assert_array_equal(tracker.step(frames[2]).labels, only(labels[2], 7))
    with pytest.raises(InputError, match=r"id 3 belonged .* `reuse_ids=True`"):
        tracker.add_objects(frames[2], only(labels[2], 3))
    with pytest.raises(InputError, match="object 3: unknown"):
        tracker.remove_objects([3])
    tracker.add_objects(frames[2], only(labels[2], 3), reuse_ids=True)
    np.testing.assert_array_equal(tracker.step(frames[3]).labels, labels[3])


def test_all_objects_may_go_and_others_come(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    tracker.remove_objects([3, 7])
    empty = tracker.step(frames[1])
    assert empty.ids == ()
    assert not empty.labels.any()
    assert empty.scores.shape == (0, 60, 90)
    other = np.where(labels[1] == 3, 200, 0).astype(np.uint8)
    tracker.add_objects(frames[1], other)
    found = tracker.step(frames[2])
    np.testing.assert_array_equal(found.labels == 200, labels[2] == 3)


def test_a_correction_is_followed(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    swapped = np.select([labels[0] == 3, labels[0] == 7], [7, 3], 0).astype(np.uint8)
    tracker.start(frames[0], swapped)
    assert (tracker.step(frames[1]).labels[labels[1] == 3] == 7).all()
    result = tracker.correct(frames[1], labels[1])
    np.testing.assert_array_equal(result.labels, labels[1])
    for t in range(2, 8):
        np.testing.assert_array_equal(tracker.step(frames[t]).labels, labels[t])


def test_ids_say_what_a_mask_is_about(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    wrong = labels[0].copy()
    wrong[labels[0] == 3] = 0
    wrong[:4, :4] = 3
    result = tracker.correct(frames[0], wrong, ids=[7])
    np.testing.assert_array_equal(result.labels, labels[0])
    absent = tracker.correct(frames[0], np.zeros_like(wrong), ids=[7])
    np.testing.assert_array_equal(absent.labels, only(labels[0], 3))
    assert absent.presence == (1.0, 0.0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda t, f, m: t.add_objects(f, m), "object 7 is tracked already.*`correct`"),
        (lambda t, f, m: t.correct(f, m + (m > 0)), "object 8 is not tracked.*`add_objects`"),
        (lambda t, f, m: t.correct(f, m * 0), "at least one object"),
        (lambda t, f, m: t.correct(f, m, ids=[]), "no object; name an object"),
        (lambda t, f, m: t.correct(f[:30], m[:30]), "90 x 60 pixels like the first"),
        (lambda t, f, m: t.remove_objects([1]), "object 1: unknown"),
    ],
)
def test_a_refused_change_changes_nothing(
    tracker: Tracker, clip: Clip, call: Any, match: str
) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    other = copy.deepcopy(tracker)
    with pytest.raises(InputError, match=match):
        call(tracker, frames[1], only(labels[1], 7))
    same(tracker.step(frames[2]), other.step(frames[2]))


def test_a_change_that_breaks_off_changes_nothing(
    tracker: Tracker, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    tracker.start(frames[0], only(labels[0], 7))
    other = copy.deepcopy(tracker)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vostrack.tracking.edits.check_pixels_left", stop)
        with pytest.raises(KeyboardInterrupt):
            tracker.add_objects(frames[0], only(labels[0], 3))
    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "_given_result", stop)
        with pytest.raises(KeyboardInterrupt):
            tracker.add_objects(frames[0], only(labels[0], 3))
    assert tracker.ids == (7,)
    same(tracker.step(frames[1]), other.step(frames[1]))


def test_the_state_holds_every_change(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    tracker.remove_objects([3])
    third = np.where(labels[1] == 3, 9, 0).astype(np.uint8)
    tracker.add_objects(frames[1], third)
    tracker.step(frames[2])
    file = io.BytesIO()
    torch.save({"start": tracker.start_state(), "now": tracker.state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = Tracker(type(tracker.adapter)(), temporal_filter=copy.deepcopy(tracker.temporal_filter))
    other.load_state(saved["start"], saved["now"])
    assert other.ids == (7, 9)
    with pytest.raises(InputError, match="id 3 belonged"):
        other.add_objects(frames[2], only(labels[2], 3))
    for one, two in ((tracker, other), (copy.deepcopy(tracker), tracker)):
        same(one.correct(frames[2], third, ids=[9]), two.correct(frames[2], third, ids=[9]))
    for t in range(3, 6):
        same(tracker.step(frames[t]), other.step(frames[t]))
    other.seek_start()
    assert other.ids == (3, 7)
    np.testing.assert_array_equal(other.step(frames[1]).labels, labels[1])


def test_results_belong_to_the_caller(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0]).labels[:] = 0
    tracker.step(frames[1]).labels[:] = 0
    result = tracker.correct(frames[1], only(labels[1], 7))
    np.testing.assert_array_equal(result.labels, labels[1])


def test_an_adapter_that_cannot_change_is_refused(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], only(labels[0], 7))
    with pytest.raises(InputError, match=r"objects of ColourAdapter cannot change after start"):
        tracker.add_objects(frames[0], only(labels[0], 3))


def test_nothing_changes_before_start(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(editable)
    for call in (tracker.add_objects, tracker.correct):
        with pytest.raises(RuntimeError, match=r"before Tracker\.start"):
            call(frames[0], labels[0])
    with pytest.raises(RuntimeError, match=r"before Tracker\.start"):
        tracker.remove_objects([3])


def test_edits_fine_tune_within_the_time_limit(clip: Clip, refitting: Any) -> None:
    frames, labels = clip
    tracker = Tracker(refitting())
    tracker.start(frames[0], only(labels[0], 7))
    added = tracker.add_objects(frames[0], only(labels[0], 3))
    assert (tracker.adapter.refits, added.skipped) == (1, ())  # type: ignore[attr-defined]
    assert {"learning", "fine-tuning"} <= set(added.timings)
    brief = tracker.correct(frames[0], labels[0], max_ms=0)
    assert (tracker.adapter.refits, brief.skipped) == (1, ("fine-tuning",))  # type: ignore[attr-defined]
    tracker.correct(frames[0], labels[0], max_ms=60_000)
    assert tracker.adapter.refits == 2  # type: ignore[attr-defined]
    other = Tracker(refitting())
    other.load_state(tracker.start_state(), tracker.state())
    # How long it takes here is not known yet.
    assert other.correct(frames[0], labels[0], max_ms=60_000).skipped == ("fine-tuning",)
    without = Tracker(refitting(steps=False))
    without.start(frames[0], labels[0])
    assert without.correct(frames[0], labels[0], max_ms=0).skipped == ()
    assert without.adapter.refits == 0  # type: ignore[attr-defined]


def test_a_time_limit_is_refused_where_nothing_can_be_left_out(
    tracker: Tracker, clip: Clip
) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    with pytest.raises(InputError, match="max_ms: with EditableAdapter, correct cannot do without"):
        tracker.correct(frames[0], labels[0], max_ms=50)
    with pytest.raises(InputError, match="max_ms: expected 0 milliseconds or more, got -1"):
        tracker.correct(frames[0], labels[0], max_ms=-1)


def test_ids_may_be_those_of_numpy(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    tracker.remove_objects(np.unique(labels[0])[1:2])
    file = io.BytesIO()
    torch.save({"start": tracker.start_state(), "now": tracker.state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    assert saved["now"]["removed"] == [3]
    for call in (tracker.remove_objects, lambda ids: tracker.correct(frames[0], labels[0], ids)):
        with pytest.raises(
            InputError, match=r"expected a list of object ids such as \[1, 2\], got 7"
        ):
            call(7)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="expected a list of object ids"):
            call(["7"])  # type: ignore[list-item]


def test_a_correction_does_not_stop_an_object(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], labels[0])
    for t in range(1, 7):
        result = tracker.step(frames[t])
    velocity = result.velocities
    smaller = np.where(labels[6] == 3, 3, 0).astype(np.uint8)
    smaller[:8] = 0
    assert tracker.correct(frames[6], smaller).velocities == velocity
    # One further frame is missing: each moves by one step, whatever was given last.
    predicted = tracker.step(None).labels
    ahead = round(velocity[0][0])
    assert ahead > 2
    np.testing.assert_array_equal(predicted == 3, np.roll(smaller == 3, ahead, 1))
    # A mask elsewhere says nothing of how the object moved.
    away = np.zeros_like(labels[6])
    away[:10, 70:80] = 3
    assert tracker.correct(frames[6], away).velocities == ((0.0, 0.0), velocity[1])


def test_a_mask_behind_missing_frames_is_of_the_present(editable: Any, clip: Clip) -> None:
    tracker, (frames, labels) = Tracker(editable), clip
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    tracker.step(None)
    tracker.step(None)
    result = tracker.correct(frames[3], only(labels[3], 3))
    before = result.velocities[0][0]
    still = tracker.state()
    predicted = tracker.step(None).labels
    moved = np.roll(labels[3] == 3, round(before), 1)
    np.testing.assert_array_equal(predicted == 3, moved)
    tracker.load_state(tracker.start_state(), still)
    found = tracker.step(frames[4])
    # It moved by 5 pixels since its mask, and the other one by 15 since frame 1.
    assert found.velocities[0][0] == pytest.approx(before + 0.4 * (5 - before))
    assert found.velocities[1][0] == pytest.approx(-2 + 0.4 * (-5 + 2))
    assert found.states == ("tracked", "tracked")


def test_an_object_that_is_covered_by_another_is_not_in_sight(tracker: Tracker, clip: Clip) -> None:
    frames, labels = clip
    tracker.start(frames[0], only(labels[0], 7))
    tracker.step(frames[1])
    cover = np.where(labels[1] == 7, 9, 0).astype(np.uint8)
    result = tracker.add_objects(frames[1], cover)
    assert result.areas == (0, result.areas[1])
    assert result.presence == (0.0, 1.0)
    assert result.states == ("occluded", "tracked")
