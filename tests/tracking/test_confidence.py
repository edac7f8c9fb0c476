"""What a result says beside the masks: positions, movement, states, and what was left out."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.tracking.frame_input import Channels
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.object_history import ObjectHistory, follow_objects, new_history
from vostrack.tracking.shot_cuts import is_cut, thumbnail
from vostrack.tracking.tracker import Tracker

Clip = tuple[Any, Any]


def result_of(labels: Any, scores: Any = None, ids: tuple[int, ...] = (3, 7)) -> FrameResult:
    if scores is None:
        scores = np.stack([(labels == i).astype(np.float32) for i in ids])
    return FrameResult(labels, scores, ids, (1.0,) * len(ids), {})


def test_positions_are_in_pixels() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 5:35] = 7
    result = result_of(labels)
    assert result.boxes == (None, (5, 10, 35, 20))
    assert result.centers == (None, (20.0, 15.0))
    assert result.areas == (0, 300)


@pytest.mark.parametrize(("score", "wanted"), [(1.0, 0.0), (0.6, 0.5)])
def test_uncertainty_is_the_share_of_unsure_pixels_near_the_outline(
    score: float, wanted: float
) -> None:
    labels = np.zeros((80, 80), np.uint8)
    labels[20:60, 20:60] = 7
    scores = np.zeros((2, 80, 80), np.float32)
    scores[1][labels == 7] = score
    missing, found = result_of(labels, scores).uncertainty
    assert missing == 1
    # The band has 10 pixels in all across the outline, and those inside are unsure.
    assert found == pytest.approx(wanted, abs=0.08)


def test_velocity_converges_to_the_motion_and_survives_missing_frames(
    editable: Any, clip: Clip
) -> None:
    frames, labels = clip
    tracker = Tracker(editable)
    assert tracker.start(frames[0], labels[0]).velocities == ((0, 0), (0, 0))
    for t in range(1, 7):
        result = tracker.step(frames[t])
    np.testing.assert_allclose(result.velocities, [(5, 0), (-5, 0)], atol=0.3)
    before = copy.deepcopy(tracker.adapter.commits)  # type: ignore[attr-defined]
    for ahead in (1, 2):
        guess = tracker.step(None)
        assert guess.predicted
        assert not result.predicted
        np.testing.assert_array_equal(guess.labels, labels[6 + ahead])
    assert len(before) == len(tracker.adapter.commits)  # type: ignore[attr-defined]
    after = tracker.step(frames[9])
    np.testing.assert_array_equal(after.labels, labels[9])
    np.testing.assert_allclose(after.velocities, [(5, 0), (-5, 0)], atol=0.3)


def test_states_of_an_object_that_goes_and_comes() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[:20, :20] = 1
    small = np.zeros_like(labels)
    small[:8, :8] = 1
    history: tuple[ObjectHistory, ...] = (new_history(labels, 1, (1, 1)),)
    states = []
    for shown, presence in [
        (labels, 1.0),
        (small, 1.0),
        *[(small, 0.2)] * 15,
        (small, 0.2),
        (labels, 0.9),
        (labels, 0.9),
    ]:
        history = follow_objects(history, shown, [presence], (1, 1))
        states.append(history[0].state)
    assert states == ["tracked", "shrunk", *["occluded"] * 15, "lost", "found", "tracked"]


def test_areas_and_velocities_have_the_scale_of_the_frame() -> None:
    labels = np.zeros((20, 40), np.uint8)
    labels[:10, :10] = 1
    moved = np.roll(labels, 4, 1)
    history = follow_objects([new_history(labels, 1, (2, 3))], moved, [1.0], (2, 3))
    assert history[0].usual_area == pytest.approx(600)
    assert history[0].center == pytest.approx((18, 15))
    assert history[0].velocity == pytest.approx((0.4 * 8, 0))


def test_bgr_frames_by_an_explicit_flag(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(editable)
    tracker.start(frames[0], labels[0])
    other = copy.deepcopy(tracker)
    one = tracker.step(frames[1])
    two = other.step(frames[1][..., ::-1], channels="bgr")
    np.testing.assert_array_equal(one.scores, two.scores)
    with pytest.raises(InputError, match="expected rgb or bgr"):
        tracker.step(frames[2], channels="gbr")  # type: ignore[arg-type]


def test_bgr_frames_in_every_call_that_takes_a_frame(
    editable: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    first, second = np.where(labels == 3, 3, 0), np.where(labels == 7, 7, 0)
    seen: list[Any] = []
    for name in ("start", "add_objects", "correct_objects"):
        called = getattr(type(editable), name)

        def noted(self: Any, image: Tensor, *rest: Any, called: Any = called) -> None:
            seen.append(image)
            called(self, image, *rest)

        monkeypatch.setattr(type(editable), name, noted)
    orders: list[tuple[int, Channels]] = [(1, "rgb"), (-1, "bgr")]
    for order, channels in orders:
        tracker = Tracker(editable)
        tracker.start(frames[0][..., ::order], first[0].astype(np.uint8), channels=channels)
        tracker.add_objects(frames[0][..., ::order], second[0].astype(np.uint8), channels=channels)
        tracker.correct(frames[0][..., ::order], first[0].astype(np.uint8), channels=channels)
    assert len(seen) == 6
    for one, other in zip(seen[:3], seen[3:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_refiner_is_left_out_where_time_is_short(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    called = []

    def refiner(image: Tensor, scores: Tensor) -> Tensor:
        called.append(1)
        return scores

    tracker = Tracker(editable, refiner=refiner)
    tracker.start(frames[0], labels[0])
    assert tracker.step(frames[1], max_ms=1e-9).skipped == ()  # nothing is known yet
    assert tracker.step(frames[2], max_ms=1e9).skipped == ()
    assert len(called) == 2
    assert tracker.step(frames[3], max_ms=1e-9).skipped == ("refiner",)
    assert len(called) == 2
    assert tracker.step(frames[4]).skipped == ()
    assert len(called) == 3
    with pytest.raises(InputError, match="more than 0 milliseconds"):
        tracker.step(frames[5], max_ms=0)


def test_warming_up_changes_nothing(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    cold, warm = Tracker(copy.deepcopy(editable)), Tracker(editable)
    warm.warm_up((60, 90), objects=2)
    assert warm.ids == ()
    for tracker in (cold, warm):
        tracker.start(frames[0], labels[0])
    warm.warm_up((30, 30))
    for size, objects in (((60, 90), 0), ((60, 90), 255), ((4, 90), 4), ((0, 0), 1), ((-1, 9), 1)):
        with pytest.raises(InputError, match=r"(objects|size): expected"):
            warm.warm_up(size, objects)
    np.testing.assert_array_equal(cold.step(frames[1]).scores, warm.step(frames[1]).scores)
    assert warm.step(frames[2], max_ms=1e-9).skipped == ()


def test_cuts_are_told_from_motion_and_light() -> None:
    draw = np.random.default_rng(0)
    one = np.kron(draw.integers(0, 256, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    other = np.full_like(one, (30, 60, 200))
    assert is_cut(thumbnail(one), thumbnail(other))
    assert not is_cut(thumbnail(one), thumbnail(np.roll(one, 60, 1)))
    assert not is_cut(thumbnail(one), thumbnail((one * 0.9).astype(np.uint8)))
    # Halving a larger frame first makes no more difference than rounding.
    large = np.pad(one, ((0, 60), (0, 100), (0, 0)), "reflect")
    wanted = cv2.resize(large, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(thumbnail(large).astype(int) - wanted).mean() < 1


def test_centers_and_areas_are_those_of_all_pixels() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 3, (41, 57)).astype(np.uint8)
    labels[:, :30][labels[:, :30] == 2] = 0
    for slot in (1, 2):
        rows, columns = np.nonzero(labels == slot)
        history = new_history(labels, slot, (2.0, 0.5))
        assert history.usual_area == len(rows)
        assert history.center == (
            2 * (columns.sum() / len(rows) + 0.5),
            0.5 * (rows.sum() / len(rows) + 0.5),
        )
    assert new_history(labels, 3, (1.0, 1.0)).center is None


def test_a_cut_is_said_and_places_are_forgotten(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    told = []
    editable.forget_places = lambda: told.append(1)
    tracker = Tracker(editable)
    tracker.start(frames[0], labels[0])
    assert not tracker.step(frames[1]).cut
    assert not told
    other = np.where(labels[2][..., None] > 0, frames[2], (10, 10, 250)).astype(np.uint8)
    assert tracker.step(other).cut
    assert told == [1]
    assert not tracker.step(other).cut


def test_the_state_holds_movement(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(editable)
    tracker.start(frames[0], labels[0])
    for t in range(1, 4):
        tracker.step(frames[t])
    tracker.step(None)
    other = Tracker(type(editable)())
    other.load_state(tracker.start_state(), tracker.state())
    one, two = tracker.step(frames[5]), other.step(frames[5])
    assert one.velocities == two.velocities
    assert one.states == two.states
    np.testing.assert_array_equal(tracker.step(None).labels, other.step(None).labels)
    assert replace(one, timings={}).ids == two.ids
    assert torch.equal(
        torch.as_tensor(tracker.state()["thumbnail"]), torch.as_tensor(other.state()["thumbnail"])
    )
