"""The measures of MOSEv2 against slow definitions, hand-made cases and known limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vostrack.arrays import BoolArray
from vostrack.eval.frame_measures import frame_scores
from vostrack.eval.mose_v2 import ObjectTrack, adaptive_f, mose_figures, smoothed_j

NAN = float("nan")


def _blob(rng: np.random.Generator, height: int, width: int, largest: int) -> BoolArray:
    mask = np.zeros((height, width), bool)
    for _ in range(2):
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        mask[y : y + int(rng.integers(1, largest)), x : x + int(rng.integers(1, largest))] = True
    return mask


def _edge(mask: BoolArray) -> list[tuple[int, int]]:
    """Pixels that differ from the right, lower or lower right pixel inside the frame."""
    height, width = mask.shape
    found = []
    for y in range(height):
        for x in range(width):
            near = [(min(y + a, height - 1), min(x + b, width - 1)) for a in (0, 1) for b in (0, 1)]
            if len({bool(mask[place]) for place in near}) == 2:
                found.append((y, x))
    return found


def _slow_f(prediction: BoolArray, truth: BoolArray, radius: float) -> float:
    mine, theirs = _edge(prediction), _edge(truth)

    def share(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        if not some:
            return 1.0
        hits = [any((y - a) ** 2 + (x - b) ** 2 <= radius**2 for a, b in others) for y, x in some]
        return sum(hits) / len(some)

    precision, recall = share(mine, theirs), share(theirs, mine)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_tolerance_follows_the_size_of_the_object(seed: int) -> None:
    """The frame is so wide that the limit of DAVIS, over 3 pixels, is not reached."""
    rng = np.random.default_rng(seed)
    prediction, truth = (_blob(rng, 24, 400, 16) for _ in range(2))
    prediction[:, 60:], truth[:, 60:] = False, False
    truth[3:9, 5:9] = True
    prediction |= np.roll(truth, 1, axis=1)
    radius = math.ceil(0.1 * math.sqrt(np.count_nonzero(truth)))
    assert radius <= 3
    expected = _slow_f(prediction[:, :70], truth[:, :70], radius)
    assert adaptive_f(prediction, truth) == pytest.approx(expected)


def test_a_small_object_needs_a_closer_contour_than_in_davis() -> None:
    truth = np.zeros((480, 854), bool)
    truth[100:110, 100:110] = True
    off = np.roll(truth, 3, axis=1)
    davis = frame_scores(off.astype(np.uint8), truth.astype(np.uint8), 1).f[0]
    assert davis == 1
    assert adaptive_f(off, truth) < 0.7
    assert adaptive_f(truth, truth) == 1


def test_absent_objects() -> None:
    empty = np.zeros((20, 30), bool)
    some = empty.copy()
    some[3:6, 3:6] = True
    assert (adaptive_f(empty, empty), smoothed_j(empty, empty)) == (1, 1)
    for pair in ((some, empty), (empty, some)):
        assert adaptive_f(*pair) == 0
        assert smoothed_j(*pair) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("absent", "gone", "back"),
    [
        ("0000", NAN, NAN),
        ("0110", (2 + 3) / 2, 4),
        ("1100", NAN, (3 + 4) / 2),
        ("0011", (3 + 4) / 2, NAN),
        ("0101", (2 + 4) / 2, 3),
        ("1011", (3 + 4) / 2, 2),
        ("01011000", (2 + (4 + 5) / 2) / 2, (3 + (6 + 7 + 8) / 3) / 2),
    ],
)
def test_scores_around_absences(absent: str, gone: float, back: float) -> None:
    values = np.arange(1, len(absent) + 1, dtype=np.float64)
    track = ObjectTrack(values, 10 * values, np.array([mark == "1" for mark in absent]))
    found_gone, found_back = track.around_absences()
    assert found_gone == pytest.approx((gone, 10 * gone), nan_ok=True)
    assert found_back == pytest.approx((back, 10 * back), nan_ok=True)


def test_objects_that_never_vanish_do_not_count_around_absences() -> None:
    steady = ObjectTrack(np.full(4, 0.5), np.full(4, 0.7), np.zeros(4, bool))
    gone = ObjectTrack(np.array([1, 0, 0, 0.2]), np.ones(4), np.array([0, 1, 1, 0], bool))
    figures = mose_figures([steady, gone])
    assert figures["J (MOSEv2)"] == pytest.approx((0.5 + 0.3) / 2)
    assert figures["F-dot"] == pytest.approx(0.85)
    assert figures["J&F-dot"] == pytest.approx((0.4 + 0.85) / 2)
    assert figures["J&F-dot d"] == pytest.approx((0 + 1) / 2)
    assert figures["J&F-dot r"] == pytest.approx((0.2 + 1) / 2)
    assert math.isnan(mose_figures([steady])["J&F-dot d"])
