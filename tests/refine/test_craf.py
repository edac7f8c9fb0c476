"""The connected region-aware filter, case by case on small maps."""

from __future__ import annotations

import numpy as np
import pytest

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.refine.craf import Craf, CrafConfig

SIZE = (60, 80)
Box = tuple[int, int, int, int]
A: Box = (5, 5, 25, 25)
B: Box = (30, 40, 55, 70)


def paint(*boxes: Box, value: float = 0.9) -> FloatArray:
    score = np.zeros(SIZE, np.float32)
    for y0, x0, y1, x1 in boxes:
        score[y0:y1, x0:x1] = value
    return score


def labels(*boxes: Box | None) -> UInt8Array:
    result = np.zeros(SIZE, np.uint8)
    for slot, box in enumerate(boxes, start=1):
        if box is not None:
            result[box[0] : box[2], box[1] : box[3]] = slot
    return result


def started(*boxes: Box, **config: object) -> Craf:
    craf = Craf(CrafConfig(**config))  # type: ignore[arg-type]
    craf.start(labels(*boxes))
    return craf


def regions(filtered: FloatArray) -> list[set[tuple[int, int]]]:
    return [set(zip(*np.nonzero(f), strict=True)) for f in filtered]


def pixels(box: Box) -> set[tuple[int, int]]:
    return {(y, x) for y in range(box[0], box[2]) for x in range(box[1], box[3])}


def test_step_1_keeps_the_region_that_overlaps_the_previous_one() -> None:
    craf = started(A)
    filtered = craf(np.stack([paint((6, 6, 26, 26), B)]))
    assert regions(filtered) == [pixels((6, 6, 26, 26))]
    assert filtered.max() == np.float32(0.9)


def test_step_1_passes_over_a_region_that_is_too_small() -> None:
    small, large = (5, 5, 12, 12), (20, 20, 55, 70)
    scores = np.stack([paint(small, large)])
    assert regions(started(A)(scores)) == [pixels(large)]
    assert regions(started(A, alpha=0.01)(scores)) == [pixels(small)]


def test_step_1_gives_nothing_without_overlap() -> None:
    assert regions(started(A)(np.stack([paint(B)]))) == [set()]


def test_of_equal_overlaps_the_larger_region_is_taken() -> None:
    previous = (0, 0, 10, 10)  # 100 pixels
    inside = (0, 0, 2, 10)  # J = 20 / 100
    across = (5, 5, 10, 15)  # 25 of its 50 pixels inside: J = 25 / 125
    filtered = started(previous)(np.stack([paint(inside, across)]))
    assert regions(filtered) == [pixels(across)]


def test_kept_fragments_get_full_score() -> None:
    small, large = (5, 5, 12, 12), (20, 20, 55, 70)
    scores = np.stack([paint(small, large)])
    filtered = started(A, keep_fragments=True)(scores)
    assert regions(filtered) == [pixels(small) | pixels(large)]
    assert filtered[0, 6, 6] == 1.0
    assert filtered[0, 30, 30] == np.float32(0.9)


def test_companions_of_the_chosen_region() -> None:
    """An object behind a post: both parts lie where it was; a third region hardly does."""
    whole = (5, 5, 25, 45)
    left, right, beside = (5, 5, 25, 22), (5, 26, 25, 48), (24, 60, 40, 70)
    astride = (23, 30, 45, 40)
    scores = np.stack([paint(left, right, beside)])
    assert regions(started(whole)(scores)) == [pixels(right)]
    kept = started(whole, companions=0.5)(scores)
    assert regions(kept) == [pixels(left) | pixels(right)]
    assert kept.max() == np.float32(0.9)
    scores = np.stack([paint(left, astride)])
    assert regions(started(whole, companions=0.5)(scores)) == [pixels(left)]
    assert regions(started(whole, companions=0.05)(scores)) == [pixels(left) | pixels(astride)]


def test_binarisation_threshold() -> None:
    weak = paint(A, value=0.1)
    assert regions(started(A)(np.stack([weak]))) == [set()]
    assert regions(started(A, binarize=0.05)(np.stack([weak]))) == [pixels(A)]


def test_connectivity() -> None:
    diagonal = paint((5, 5, 15, 15), (15, 15, 25, 25))
    both = pixels((5, 5, 15, 15)) | pixels((15, 15, 25, 25))
    assert regions(started(A)(np.stack([diagonal]))) == [both]
    four = regions(started(A, connectivity=4)(np.stack([diagonal])))
    assert len(four[0]) == 100


def test_step_2_takes_a_covered_region_from_the_larger_object() -> None:
    inner, outer = (10, 10, 20, 20), (5, 5, 40, 40)
    craf = started(outer, inner)
    filtered = craf(np.stack([paint(outer), paint(inner, value=0.6)]))
    assert regions(filtered) == [pixels(outer) - pixels(inner), pixels(inner)]


def test_step_2_leaves_a_partial_overlap() -> None:
    left, right = (5, 5, 25, 25), (5, 15, 25, 40)
    filtered = started(left, right)(np.stack([paint(left), paint(right)]))
    assert regions(filtered) == [pixels(left), pixels(right)]


def test_near_duplicates_stay_with_the_better_fit() -> None:
    twice = (30, 41, 55, 70)
    scores = np.stack([paint(twice), paint(B)])
    # Object 2 was at B; object 1 somewhere that touches it only a little.
    craf = started((30, 60, 58, 79), B)
    filtered = craf(scores)
    assert regions(filtered)[1] == pixels(B)
    assert regions(filtered)[0] == set()


def test_step_3_finds_a_lost_object_in_anothers_map() -> None:
    craf = started(A, B)
    # Object 1's own map is empty; the map of object 2 holds it as a second region.
    filtered = craf(np.stack([paint(), paint(A, B)]))
    assert regions(filtered) == [pixels(A), pixels(B)]
    assert filtered[0, 10, 10] == np.float32(0.9)


@pytest.mark.parametrize(("presence", "found"), [(0.4, False), (0.6, True)])
def test_an_object_that_is_probably_gone_is_not_searched(presence: float, found: bool) -> None:
    filtered = started(A, B)(np.stack([paint(), paint(A, B)]), None, [presence, 0.0])
    assert regions(filtered) == [pixels(A) if found else set(), pixels(B)]


@pytest.mark.parametrize(("gamma", "found"), [(0.1, False), (0.3, True)])
def test_gamma_is_a_share_of_the_previous_area(gamma: float, found: bool) -> None:
    rest = (5, 5, 9, 25)  # 80 of 400 pixels are left: more than 10 %, less than 30 %
    craf = started(A, B, gamma=gamma)
    filtered = craf(np.stack([paint(rest), paint((10, 5, 25, 25), B)]))
    # Found again, the object is the region in the other's map.
    assert regions(filtered)[0] == (pixels((10, 5, 25, 25)) if found else pixels(rest))


def test_small_objects_are_not_searched() -> None:
    tiny = (5, 5, 14, 14)  # 81 pixels
    scores = np.stack([paint(), paint(tiny, B)])
    assert regions(started(tiny, B)(scores))[0] == set()
    assert regions(started(tiny, B, min_previous=81)(scores))[0] == pixels(tiny)


def test_candidates_are_asked_for_only_when_an_object_is_lost() -> None:
    calls = []

    def candidates() -> FloatArray:
        calls.append(1)
        return np.stack([paint(A, value=0.7)])

    craf = started(A, B)
    craf(np.stack([paint(A), paint(B)]), candidates)
    assert not calls
    filtered = craf(np.stack([paint(), paint(B)]), candidates)
    assert calls
    assert regions(filtered) == [pixels(A), pixels(B)]
    assert filtered[0].max() == np.float32(0.7)


def test_a_candidate_owned_by_another_is_not_taken() -> None:
    craf = started(A, B)
    craf.commit(labels(B, A))  # they changed places
    filtered = craf(np.stack([paint(), paint(A)]), lambda: np.stack([paint(A)]))
    assert regions(filtered) == [set(), pixels(A)]


def test_a_lost_object_is_found_where_it_was_last_seen_then_anywhere() -> None:
    craf = started(A, max_age=2)
    gone = np.stack([paint()])
    for _ in range(2):
        assert regions(craf(gone)) == [set()]
        craf.commit(labels(None))
    assert regions(craf(np.stack([paint(A, B)]))) == [pixels(A)]
    assert regions(craf(np.stack([paint(B)]))) == [set()]
    craf.commit(labels(None))
    # Older than max_age: the strongest region, wherever it is.
    assert regions(craf(np.stack([paint((0, 0, 5, 5), B)]))) == [pixels(B)]


def test_order_of_the_objects_has_no_effect() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        boxes = []
        for _ in range(3):
            y, x = (int(v) for v in generator.integers(0, (30, 50)))
            height, width = (int(v) for v in generator.integers(12, 25, size=2))
            boxes.append((y, x, y + height, x + width))
        previous = np.zeros(SIZE, np.uint8)
        for slot, box in enumerate(boxes, 1):
            previous[box[0] : box[2], box[1] : box[3]] = slot
        scores = np.stack([paint(b, value=float(generator.uniform(0.3, 1))) for b in boxes])
        # Steps 1 and 2 are simultaneous; step 3 goes by slots, so it is switched off here.
        one, other = (Craf(CrafConfig(gamma=0.0)) for _ in range(2))
        one.start(previous)
        lut = np.array([0, 3, 1, 2], np.uint8)
        other.start(lut[previous])
        if len(np.unique(previous)) < 4:
            continue
        order = [1, 2, 0]  # slot k of the second is slot order[k] + 1 of the first
        np.testing.assert_array_equal(one(scores)[order], other(scores[order]))


def test_the_input_is_left_alone() -> None:
    scores = np.stack([paint((5, 5, 12, 12), B)])
    before = scores.copy()
    started(A, keep_fragments=True)(scores)
    np.testing.assert_array_equal(scores, before)


def test_state_goes_round() -> None:
    craf = started(A, B)
    craf.commit(labels(None, (31, 41, 56, 71)))
    again = Craf(craf.config)
    again.load_state_dict(craf.state_dict())
    scores = np.stack([paint((6, 6, 26, 26)), paint(A, B)])
    np.testing.assert_array_equal(again(scores), craf(scores))
    assert again.state_dict()["ages"] == [1, 0]


def test_wrong_number_of_objects() -> None:
    with pytest.raises(InputError, match=r"2 objects.*got 1"):
        started(A, B)(np.stack([paint(A)]))


@pytest.mark.parametrize("config", [{"alpha": 1.5}, {"connectivity": 6}])
def test_bad_parameters(config: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(config))):
        CrafConfig(**config)  # type: ignore[arg-type]
