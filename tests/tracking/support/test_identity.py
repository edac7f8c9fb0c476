"""Objects that touched get their own pieces back, whatever the scores say of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.tracking.support.identity import IdentityKeeper

SIZE = (60, 160)


def unknown(masks: Sequence[Any]) -> None:
    """No look is known."""


def discs(*places: tuple[int, float, float]) -> UInt8Array:
    """Label map of discs with radius 10: (slot, x, y), far to near."""
    labels = np.zeros(SIZE, np.uint8)
    for slot, x, y in places:
        cv2.circle(labels, (round(x), round(y)), 10, slot, -1)
    return labels


def as_scores(labels: UInt8Array, count: int = 2) -> FloatArray:
    """Scores of 0.8 inside, 0.1 outside."""
    return np.stack([np.where(labels == k, 0.8, 0.1) for k in range(1, count + 1)]).astype(
        np.float32
    )


def label_map(scores: FloatArray) -> UInt8Array:
    best: UInt8Array = (scores.argmax(0) + 1).astype(np.uint8)
    return np.where(scores.max(0) >= 0.5, best, 0).astype(np.uint8)


def follow(keeper: IdentityKeeper, shown: Sequence[UInt8Array], looks: Any = unknown) -> UInt8Array:
    """Track what a network shows; return the last label map."""
    labels = shown[0]
    for seen in shown[1:]:
        labels = label_map(keeper.keep(as_scores(seen), seen, looks))
        keeper.commit(labels)
    return labels


def crossing(turn: float | None = None, rise: float = 0.0) -> tuple[list[UInt8Array], UInt8Array]:
    """Two discs that pass each other, or turn back at x; after they touched, 2 takes both.

    Returns:
        What the network shows, and the true labels of the last frame.
    """
    shown, truth, taken = [], np.zeros(SIZE, np.uint8), False
    for t in range(26):
        x = 30 + 4.0 * t
        if turn is not None and x > turn:
            x = 2 * turn - x
        truth = discs((1, x, 30), (2, 160 - x, 30 + rise))
        apart = abs(160 - 2 * x) > 24
        taken |= not apart
        shown.append(np.where(truth > 0, 2, 0).astype(np.uint8) if taken else truth)
    return shown, truth


def test_objects_that_pass_each_other_are_told_apart_by_their_motion() -> None:
    shown, truth = crossing()
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    labels = follow(keeper, shown)
    assert set(np.unique(shown[-1])) == {0, 2}  # what the network says
    np.testing.assert_array_equal(labels, truth)


def test_objects_that_turn_back_keep_their_sides() -> None:
    shown, truth = crossing(turn=71)
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    np.testing.assert_array_equal(follow(keeper, shown), truth)


def test_labels_that_never_were_hidden_are_trusted() -> None:
    """Two discs touch and turn back slowly; the labels are right, a prediction would cross them."""
    shown = []
    for t in range(30):
        away = 8 + abs(t - 12) * (3 if t < 12 else 0.5)
        shown.append(discs((1, 80 - away, 30), (2, 80 + away, 30)))
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    np.testing.assert_array_equal(follow(keeper, shown), shown[-1])


@pytest.mark.parametrize("upper", [1, 2])
def test_looks_decide_where_motion_does_not(upper: int) -> None:
    """Two discs side by side come apart upwards and downwards, both labelled 2."""
    start = discs((1, 72, 30), (2, 88, 30))
    shown = [np.where(discs((2, 80, 30 - 2 * t), (2, 80, 30 + 2 * t)) > 0, 2, 0) for t in range(10)]
    keeper = IdentityKeeper()
    keeper.start(start, 2)

    def looks(masks: Sequence[Any]) -> FloatArray:
        is_upper = [np.nonzero(mask)[0].mean() < 30 for mask in masks]
        return np.array([[0.3, -0.3] if up else [-0.3, 0.3] for up in is_upper], np.float32) * (
            1 if upper == 1 else -1
        )

    labels = follow(keeper, [start, *(frame.astype(np.uint8) for frame in shown)], looks)
    np.testing.assert_array_equal(labels, discs((upper, 80, 12), (3 - upper, 80, 48)))


def test_nothing_changes_where_nothing_touches() -> None:
    keeper = IdentityKeeper()
    labels = discs((1, 30, 30), (2, 120, 30))
    keeper.start(labels, 2)
    assert not keeper.busy
    swapped = np.where(labels > 0, 3 - labels, 0).astype(np.uint8)
    scores = as_scores(swapped)
    assert keeper.keep(scores, swapped, unknown) is scores


def test_objects_that_stay_together_are_left_alone() -> None:
    """A rider on a horse: two objects, one piece."""
    keeper = IdentityKeeper()
    shown = [discs((1, 30 + 3 * t, 36), (2, 32 + 3 * t, 22)) for t in range(20)]
    keeper.start(shown[0], 2)
    assert keeper.busy
    np.testing.assert_array_equal(follow(keeper, shown), shown[-1])


def test_a_small_piece_elsewhere_is_no_object() -> None:
    """The second object is hidden; a speck with its label lies far off."""
    keeper = IdentityKeeper()
    shown = [discs((2, 40 + 4 * t, 30), (1, 80, 30)) for t in range(10)]
    keeper.start(shown[0], 2)
    speck = discs((1, 80, 30))
    speck[5:9, 140:144] = 2
    labels = follow(keeper, [*shown, speck, speck, speck])
    np.testing.assert_array_equal(labels, speck)


def test_a_saved_state_goes_on_the_same_way() -> None:
    shown, truth = crossing()
    keeper, other = IdentityKeeper(), IdentityKeeper()
    for each in (keeper, other):
        each.start(shown[0], 2)
    follow(keeper, shown[:14])
    other.load_state_dict(copy.deepcopy(keeper.state_dict()))
    np.testing.assert_array_equal(follow(other, shown[13:]), truth)


@pytest.mark.parametrize("forgets", [True, False])
def test_a_cut_ends_a_contact(forgets: bool) -> None:
    shown, truth = crossing()
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    follow(keeper, shown[:14])
    if forgets:
        keeper.forget_places()
    labels = follow(keeper, shown[13:])
    assert np.array_equal(labels, truth) != forgets


def test_objects_come_and_go() -> None:
    shown, truth = crossing()
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    third = shown[0].copy()
    third[50:58, 4:12] = 3
    keeper.change_objects(third, (1, 2, None))
    keeper.change_objects(shown[0], (1, 2))
    np.testing.assert_array_equal(follow(keeper, shown), truth)


def test_an_object_behind_a_pole_is_not_given_away() -> None:
    """A rider on a horse that a pole divides: the smaller half of the horse is not the rider."""
    shown = []
    for t in range(24):
        x = 40 + 3 * t
        labels = np.zeros(SIZE, np.uint8)
        labels[28:44, x - 24 : x + 24] = 2
        labels[14:28, x - 6 : x + 6] = 1
        labels[:, 84:88] = 0
        shown.append(labels)
    keeper = IdentityKeeper()
    keeper.start(shown[0], 2)
    for seen in shown[1:]:
        scores = as_scores(seen)
        assert keeper.keep(scores, seen, unknown) is scores
        keeper.commit(seen)
