"""Suppression with owners: the fast paths against the slow one, and what must hold of owners."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vostrack.arrays import DoubleArray, FloatArray
from vostrack.errors import InputError
from vostrack.proposers.hough_voting import reference, suppression
from vostrack.proposers.hough_voting.suppression import best_first, most_overlapping, suppress

Votes = tuple[DoubleArray, FloatArray]


def draw_votes(seed: int, count: int, places: int) -> Votes:
    """Boxes around a few places, with equal scores and equal boxes among them."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 200, (places, 2))[rng.integers(places, size=count)]
    middle = middle + rng.integers(-12, 13, (count, 2))
    size = rng.integers(0, 80, (count, 2))
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    return boxes, np.round(rng.random(count), 1).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 60), st.sampled_from([0.0, 0.3, 0.5, 0.8]))
def test_fast_paths_equal_the_reference(seed: int, count: int, overlap: float) -> None:
    boxes, scores = draw_votes(seed, count, 4)
    kept, owners = reference.suppress(boxes, scores, overlap)
    clusters = suppress(boxes, scores, overlap)
    np.testing.assert_array_equal(clusters.kept, kept)
    np.testing.assert_array_equal(clusters.owners, owners)


def test_the_path_without_numba_equals_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(suppression, "find_spec", lambda n: None if n == "numba" else find(n))
    for seed in range(20):
        boxes, scores = draw_votes(seed, 50, 4)
        kept, owners = reference.suppress(boxes, scores, 0.5)
        clusters = suppress(boxes, scores, 0.5)
        np.testing.assert_array_equal(clusters.kept, kept)
        np.testing.assert_array_equal(clusters.owners, owners)


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small parts on two threads, and rounds that begin after 16 votes."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(suppression, "_PART", 8)
    monkeypatch.setattr(suppression, "_FIRST_ROUND", 16)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("count", "places"), [(600, 4), (700, 300)])
def test_rounds_and_threads_change_nothing(count: int, places: int) -> None:
    # More than a block of votes a part, and more picks than are tried at once.
    boxes, scores = draw_votes(count, count, places)
    kept, owners = reference.suppress(boxes, scores, 0.3)
    clusters = suppress(boxes, scores, 0.3)
    np.testing.assert_array_equal(clusters.kept, kept)
    np.testing.assert_array_equal(clusters.owners, owners)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_order_is_that_of_a_stable_sort(dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, 500).round(1).astype(dtype)
    scores[::7], scores[::11] = -0.0, 0.0
    expected = sorted(range(500), key=lambda i: (-scores[i], i))
    np.testing.assert_array_equal(best_first(scores), expected)


def test_kept_boxes_equal_those_of_torchvision() -> None:
    torch = pytest.importorskip("torch")
    from torchvision.ops import nms

    rng = np.random.default_rng(3)
    boxes, _ = draw_votes(3, 400, 10)
    scores = rng.permutation(400).astype(np.float32) / 400
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores).double(), 0.5)
    np.testing.assert_array_equal(suppress(boxes, scores, 0.5).kept, expected.numpy())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_owners_partition_the_votes(seed: int) -> None:
    boxes, scores = draw_votes(seed, 200, 6)
    clusters = suppress(boxes, scores, 0.5)
    assert sorted(set(clusters.owners.tolist())) == list(range(len(clusters)))
    np.testing.assert_array_equal(clusters.owners[clusters.kept], np.arange(len(clusters)))
    # The vote that a cluster grew from is the best of it, and clusters come best first.
    for k, kept in enumerate(clusters.kept):
        assert scores[clusters.owners == k].max() == scores[kept]
    assert (np.diff(scores[clusters.kept]) <= 0).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.25, 2.0, 8.0]))
def test_flips_scales_and_shifts_commute(seed: int, scale: float) -> None:
    boxes, scores = draw_votes(seed, 150, 5)
    boxes = np.round(boxes)  # whole numbers, so that nothing is rounded on the way
    owners = suppress(boxes, scores, 0.5).owners
    flipped = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
    np.testing.assert_array_equal(suppress(flipped, scores, 0.5).owners, owners)
    np.testing.assert_array_equal(suppress(boxes * scale + 64, scores, 0.5).owners, owners)
    np.testing.assert_array_equal(suppress(boxes[:, [1, 0, 3, 2]], scores, 0.5).owners, owners)


def test_no_votes_make_no_clusters() -> None:
    clusters = suppress(np.zeros((0, 4)), np.zeros(0), 0.5)
    assert len(clusters) == 0
    assert len(clusters.owners) == 0


@pytest.mark.parametrize(
    ("boxes", "scores", "overlap", "said"),
    [
        (np.zeros((2, 4)), np.zeros(3), 0.5, "3 scores"),
        (np.zeros((2, 4)), np.zeros(2), 1.0, "overlap"),
        (np.full((1, 4), np.nan), np.zeros(1), 0.5, "finite"),
        (np.array([[0.0, 0, 2, np.inf]]), np.zeros(1), 0.5, "finite"),
        (np.zeros((2, 4)), np.array([1.0, np.nan]), 0.5, "finite"),
        (np.array([[4.0, 0, 2, 3]]), np.zeros(1), 0.5, "ends before it begins"),
        (np.array([[0.0, 4, 2, 3]]), np.zeros(1), 0.5, "ends before it begins"),
    ],
)
def test_what_cannot_be_suppressed_is_refused(
    boxes: DoubleArray, scores: DoubleArray, overlap: float, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        suppress(boxes, scores, overlap)


def test_the_mode_that_a_box_overlaps_most_is_torchvisions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = pytest.importorskip("torch")
    from torchvision.ops import box_iou

    boxes, _ = draw_votes(5, 200, 6)
    modes = boxes[::9]
    # Empty boxes overlap nothing; torchvision divides nought by nought there.
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(modes)).nan_to_num().numpy()
    find = importlib.util.find_spec
    for numba in (True, False):
        monkeypatch.setattr(
            suppression,
            "find_spec",
            lambda name, numba=numba: find(name) if numba else None,
        )
        best, most = most_overlapping(boxes, modes)
        np.testing.assert_array_equal(best, expected.argmax(axis=1))
        np.testing.assert_allclose(most, expected.max(axis=1), atol=1e-12)
