"""J and F of one frame against loops over pixels that share nothing with the packed masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.eval import bitmaps, contour_tolerance, frame_scores, pair_scores

SIZES = [
    (1, 1),
    (1, 9),
    (9, 1),
    (2, 2),
    (13, 64),
    (7, 65),
    (31, 63),
    (40, 128),
    (33, 129),
    (60, 107),
    (3, 1500),
    (1200, 3),
    (2, 8200),  # a tolerance of 66 pixels: more than one word
]


def slow_contour(mask: BoolArray) -> IntArray:
    """The contour pixels (n, 2) by the rule of the benchmark, one pixel at a time."""
    height, width = mask.shape
    rows, found = mask.tolist(), []
    for y in range(height):
        for x in range(width):
            south, east = min(y + 1, height - 1), min(x + 1, width - 1)
            square = {rows[y][x], rows[y][east], rows[south][x], rows[south][east]}
            if len(square) == 2:
                found.append((y, x))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def slow_scores(prediction: BoolArray, truth: BoolArray) -> tuple[float, float]:
    """J and F of one pair of masks, from the definitions."""
    union = int((prediction | truth).sum())
    j = int((prediction & truth).sum()) / union if union else 1.0
    reach = math.ceil(0.008 * math.hypot(*truth.shape))
    mine, theirs = slow_contour(prediction), slow_contour(truth)
    if not len(mine) or not len(theirs):
        return j, float(len(mine) == len(theirs))
    distance = cdist(mine, theirs, "sqeuclidean")
    precision = float((distance.min(axis=1) <= reach**2).mean())
    recall = float((distance.min(axis=0) <= reach**2).mean())
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def random_map(rng: np.random.Generator, size: tuple[int, int], objects: int) -> UInt8Array:
    """Blocks of random ids, from single pixels to whole frames, often empty."""
    block = int(rng.integers(1, 12))
    rows, columns = -(-size[0] // block), -(-size[1] // block)
    ids = rng.integers(1, objects + 1, (rows, columns))
    ids[rng.random(ids.shape) > rng.choice([0.0, 0.02, 0.5, 1.0])] = 0
    whole: UInt8Array = np.kron(ids, np.ones((block, block))).astype(np.uint8)
    return np.ascontiguousarray(whole[: size[0], : size[1]])


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("objects", [1, 3, 12])
def test_random_masks_score_as_the_definitions_say(size: tuple[int, int], objects: int) -> None:
    rng = np.random.default_rng([*size, objects])
    for _ in range(1 if size[0] * size[1] > 4000 else 4):
        prediction, truth = random_map(rng, size, objects), random_map(rng, size, objects)
        scores = frame_scores(prediction, truth, objects)
        for number in range(1, objects + 1):
            expected = slow_scores(prediction == number, truth == number)
            assert (scores.j[number - 1], scores.f[number - 1]) == pytest.approx(
                expected, abs=1e-12
            )


@pytest.mark.parametrize("size", [(48, 150), (150, 48)])
def test_single_pixels_at_every_border_and_word_edge(size: tuple[int, int]) -> None:
    height, width = size
    truth = np.zeros(size, np.uint8)
    truth[height // 2, width // 2] = 1
    for y in (0, 1, height // 2, height - 2, height - 1):
        for x in (0, 1, 47, width // 2 + 1, width - 2, width - 1):
            prediction = np.zeros(size, np.uint8)
            prediction[y, x] = 1
            scores = frame_scores(prediction, truth, 1)
            expected = slow_scores(prediction > 0, truth > 0)
            assert (scores.j[0], scores.f[0]) == pytest.approx(expected, abs=1e-12), (y, x)


def test_nothing_reaches_around_the_end_of_a_row() -> None:
    # Rows of exactly 128 words, and a tolerance of more than one.
    prediction, truth = np.zeros((2, 2, 8192), np.uint8)
    truth[0, -1] = prediction[1, 0] = 1
    assert contour_tolerance(2, 8192) == 66
    assert frame_scores(prediction, truth, 1).f.tolist() == [0.0]
    assert frame_scores(truth, prediction, 1).f.tolist() == [0.0]


def test_rows_with_too_few_free_bits_between_them_are_kept_apart() -> None:
    # Within one word: a contour ends at its last bit, the other's begins at the first bit below.
    prediction, truth = np.zeros((2, 5, 70), np.uint8)
    truth[0, 63] = prediction[2, 1] = 1
    assert contour_tolerance(5, 70) == 1
    assert frame_scores(prediction, truth, 1).f.tolist() == [0.0]
    assert frame_scores(truth, prediction, 1).f.tolist() == [0.0]


def test_tolerance_of_the_benchmark_size_is_eight_pixels() -> None:
    assert contour_tolerance(480, 854) == 8
    truth, near, far = np.zeros((3, 480, 854), np.uint8)
    truth[100:200, 400:500] = 1
    near[100:200, 408:508] = 1
    far[100:200, 409:509] = 1
    assert frame_scores(near, truth, 1).f[0] == 1.0
    assert frame_scores(far, truth, 1).f[0] < 1.0


def test_absent_objects() -> None:
    nothing, something = np.zeros((20, 30), np.uint8), np.full((20, 30), 0, np.uint8)
    something[4:8, 5:9] = 2
    both = frame_scores(something, something, 3)
    assert both.j.tolist() == both.f.tolist() == [1.0, 1.0, 1.0]
    for pair in ((something, nothing), (nothing, something)):
        scores = frame_scores(*pair, 3)
        assert scores.j.tolist() == scores.f.tolist() == [1.0, 0.0, 1.0]


def test_void_and_later_objects_of_the_truth_are_background() -> None:
    truth = np.array([[0, 1, 255, 3]], np.uint8)
    assert frame_scores(np.array([[0, 1, 0, 0]]), truth, 2).j.tolist() == [1.0, 1.0]
    assert frame_scores(np.array([[0, 1, 1, 1]]), truth, 2).j.tolist() == [
        pytest.approx(1 / 3),
        1.0,
    ]


@pytest.mark.parametrize("size", [(24, 70), (40, 129)])
def test_pairs_score_as_the_definitions_say_without_void(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    for _ in range(4):
        prediction, truth = random_map(rng, size, 4), random_map(rng, size, 3)
        truth[rng.random(size) < 0.1] = 255
        judged = truth != 255
        scores = pair_scores(prediction, truth, 6, 3)
        assert scores.j.shape == scores.f.shape == (6, 3)
        for row in range(6):
            for column in range(3):
                mine = (prediction == row + 1) & judged
                expected = slow_scores(mine, truth == column + 1)
                found = scores.j[row, column], scores.f[row, column]
                assert found == pytest.approx(expected, abs=1e-12), (row, column)


def test_relabelling_and_flipping_in_both_maps() -> None:
    rng = np.random.default_rng(3)
    prediction, truth = random_map(rng, (50, 90), 3), random_map(rng, (50, 90), 3)
    scores = frame_scores(prediction, truth, 3)
    order = np.array([0, 3, 1, 2], np.uint8)
    moved = frame_scores(order[prediction], order[truth], 3)
    assert moved.j[[2, 0, 1]].tolist() == scores.j.tolist()
    assert moved.f[[2, 0, 1]].tolist() == scores.f.tolist()
    assert frame_scores(prediction.T, truth.T, 3).f == pytest.approx(scores.f, abs=1e-12)
    assert frame_scores(truth, prediction, 3).f == pytest.approx(scores.f, abs=1e-12)


def test_both_ways_of_counting_agree() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, (3, 5, 4), dtype=np.uint64)
    expected = [sum(bin(int(word)).count("1") for word in mask.ravel()) for mask in words]
    assert bitmaps.count(words).tolist() == expected
    by_table = bitmaps._count_by_table(words.reshape(3, -1))
    assert by_table.sum(axis=1, dtype=np.int64).tolist() == expected


@pytest.mark.parametrize(
    ("prediction", "truth", "words"),
    [
        (np.zeros((4, 5)), np.zeros((4, 5), np.uint8), "float64"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8), "without converting"),
        (np.full((4, 5), 300), np.zeros((4, 5), np.uint8), "300"),
        (
            np.zeros((4, 6), np.uint8),
            np.zeros((4, 5), np.uint8),
            "5x4 pixels like the truth, got 6x4",
        ),
        (
            np.full((4, 5), 3, np.uint8),
            np.zeros((4, 5), np.uint8),
            "got id 3",
        ),
    ],
)
def test_what_cannot_be_scored_is_named(
    prediction: UInt8Array, truth: UInt8Array, words: str
) -> None:
    with pytest.raises(InputError, match="goat/00007") as single:
        frame_scores(prediction, truth, 2, name="goat/00007")
    with pytest.raises(InputError, match="goat/00007") as pairs:
        pair_scores(prediction, truth, 2, 2, name="goat/00007")
    assert words in str(single.value)
    assert words in str(pairs.value)
