"""Masks on several frames: late objects, corrections, and both directions between two masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import FirstMask
from vostrack.refine.craf import Craf
from vostrack.tracking.edited_video import EditedVideo
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import Position, TrackedFrame, track_video
from vostrack.video import open_source

Clip = tuple[Any, Any]


def only(labels: Any, *ids: int) -> Any:
    return np.where(np.isin(labels, ids), labels, 0).astype(np.uint8)


def swapped(labels: Any) -> Any:
    return np.select([labels == 3, labels == 7], [7, 3], 0).astype(np.uint8)


def track(adapter: Any, frames: Any, masks: Any, **options: Any) -> dict[int, TrackedFrame]:
    steps = list(track_video(Tracker(adapter), open_source(frames), masks, **options))
    found = {step.position.index: step for step in steps}
    assert len(found) == len(steps), "a frame came twice"
    return found


def test_an_object_begins_at_its_first_mask(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    found = track(editable, frames, {2: only(labels[2], 7), 5: only(labels[5], 3)})
    assert [step.position for step in found.values()] == [
        *(Position(t, "forward") for t in range(2, 12)),
        *(Position(t, "backward") for t in (1, 0)),
    ]
    for t, step in found.items():
        wanted = labels[t] if t >= 5 else only(labels[t], 7)
        np.testing.assert_array_equal(step.result.labels, wanted)
        assert step.result.ids == ((7, 3) if t >= 5 else (7,))


def test_between_two_masks_the_nearer_one_decides(editable: Any, clip: Clip) -> None:
    """The second mask has the names of the objects swapped: the change is half way."""
    frames, labels = clip
    found = track(editable, frames, {0: labels[0], 10: swapped(labels[10])})
    for t in range(12):
        if t == 5:
            continue  # both weigh the same
        wanted = labels[t] if t < 5 else swapped(labels[t])
        np.testing.assert_array_equal(found[t].result.labels, wanted, str(t))
    np.testing.assert_allclose(found[2].result.scores[0][labels[2] == 3], 0.8, atol=0.01)
    np.testing.assert_allclose(found[2].result.scores[0][labels[2] == 7], 0.2, atol=0.01)


def test_a_given_mask_is_the_result_of_its_frame(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    odd = np.zeros_like(labels[6])
    odd[50:58, 3:9] = 3
    found = track(editable, frames, {0: labels[0], 6: odd})
    np.testing.assert_array_equal(found[6].result.labels == 3, odd == 3)
    np.testing.assert_array_equal(found[6].result.labels == 7, labels[6] == 7)
    np.testing.assert_array_equal(found[6].result.scores[0], odd == 3)


def test_masks_that_were_read_agree_by_the_names_of_their_objects(
    editable: Any, clip: Clip
) -> None:
    frames, labels = clip
    first = np.select([labels[0] == 3, labels[0] == 7], [1, 2], 0).astype(np.uint8)
    later = (labels[6] == 7).astype(np.uint8)
    masks = {
        0: FirstMask(first, (1, 2), ("red", "blue"), known_by="names"),
        6: FirstMask(later, (1,), ("blue",), known_by="names"),
    }
    found = track(editable, frames, masks)
    for t, step in found.items():
        wanted = np.select([labels[t] == 3, labels[t] == 7], [1, 2], 0)
        np.testing.assert_array_equal(step.result.labels, wanted, str(t))
    # Masks without names keep their ids.
    found = track(editable, frames, {0: labels[0], 6: masks[6]})
    assert found[6].result.ids == (3, 7, 1)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((60, 90)), "expected integer object ids, got float64"),
        (None, r"expected an array \(H, W\) of object ids, got None; check that the mask was read"),
        (np.zeros((60, 90, 1), np.uint8), r"got \(60, 90, 1\); drop the last axis"),
        (np.full((60, 90), 300), "got values 300..300"),
    ],
)
def test_masks_without_ids_are_refused_at_once(
    mask: Any, message: str, editable: Any, clip: Clip
) -> None:
    frames, labels = clip
    with pytest.raises(InputError, match=message):
        track(editable, frames, {0: labels[0], 6: mask})
    video = EditedVideo(Tracker(editable), open_source(frames))
    with pytest.raises(InputError, match=message):
        video.give(0, mask)
    assert not video.masks


def test_objects_of_one_mask_only_are_not_tracked_backwards(editable: Any, clip: Clip) -> None:
    """Of a mask that corrects 3, no result comes for 7."""
    frames, labels = clip
    found = track(editable, frames, {0: labels[0], 10: only(swapped(labels[10]), 3)})
    np.testing.assert_allclose(found[8].result.scores[1][labels[8] == 7], 1, atol=0.01)
    np.testing.assert_allclose(found[8].result.scores[0][labels[8] == 7], 0.8, atol=0.01)


@pytest.mark.parametrize("stop", [0, 2, 3, 6, 8, 10])
def test_going_on_behind_any_frame_gives_the_same(editable: Any, clip: Clip, stop: int) -> None:
    frames, labels = clip
    masks = {1: only(labels[1], 7), 3: labels[3], 7: swapped(labels[7]), 9: only(labels[9], 3)}
    source = open_source(frames)
    tracker = Tracker(editable, temporal_filter=Craf())
    whole, saved = [], {}
    for k, step in enumerate(track_video(tracker, source, masks)):
        whole.append(step)
        if k == stop:
            saved = {"start": tracker.start_state(), "running": tracker.state()}
    other = Tracker(type(editable)(), temporal_filter=Craf())
    other.load_state(saved["start"], saved["running"])
    rest = list(track_video(other, source, masks, after=whole[stop].position))
    assert [s.position for s in rest] == [s.position for s in whole[stop + 1 :]]
    for one, two in zip(rest, whole[stop + 1 :], strict=True):
        np.testing.assert_array_equal(one.result.scores, two.result.scores)
        np.testing.assert_array_equal(one.result.labels, two.result.labels)
        assert one.result.presence == two.result.presence


def test_frames_in_advance_are_told_and_can_be_stopped(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    masks = {0: labels[0], 8: labels[8]}
    seen: list[int] = []
    track(editable, frames, masks, on_advance=seen.append)
    assert seen == [7, 6, 5, 4, 3, 2, 1]

    def stop(index: int) -> None:
        if index == 5:
            raise KeyboardInterrupt

    tracker = Tracker(editable)
    steps = track_video(tracker, open_source(frames), masks, on_advance=stop)
    next(steps)
    before = tracker.state()
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert str(before) == str(tracker.state())


def test_a_source_of_one_pass_is_tracked_forwards(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    masks = {0: only(labels[0], 7), 4: labels[4], 8: swapped(labels[8])}
    source = open_source(iter(frames))
    for step in track_video(Tracker(editable), source, masks):
        t = step.frame.index
        wanted = only(labels[t], 7) if t < 4 else labels[t] if t < 8 else swapped(labels[t])
        np.testing.assert_array_equal(step.result.labels, wanted)


@pytest.mark.parametrize(
    ("masks", "options", "match"),
    [
        ({}, {}, "masks by the number of their frame"),
        ({"a": 1}, {}, "masks by the number of their frame"),
        ({0: 1, 99: 1}, {}, "first_mask: expected one of the frames 0 to 11"),
        ({0: 1}, {"first_mask_frame": 0}, "leave `first_mask_frame` out"),
    ],
)
def test_masks_that_fit_no_frame_are_refused(
    editable: Any, clip: Clip, masks: Any, options: Any, match: str
) -> None:
    frames, labels = clip
    given = dict.fromkeys(masks, labels[0])
    with pytest.raises(InputError, match=match):
        track(editable, frames, given, **options)


def test_a_cut_is_said_in_a_frame_with_a_mask(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    other = np.full_like(frames, 20)
    other[labels > 0] = 240
    shots = np.concatenate([frames[:4], other[4:]])
    for masks in ({0: labels[0]}, {0: labels[0], 4: labels[4]}):
        found = track(editable, shots, masks)
        assert [t for t, step in found.items() if step.result.cut] == [4], list(masks)


def test_a_cut_is_said_without_objects(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(editable)
    tracker.start(frames[0], labels[0])
    tracker.remove_objects([3, 7])
    assert not tracker.step(frames[1]).cut
    assert tracker.step(np.full_like(frames[2], 240)).cut
