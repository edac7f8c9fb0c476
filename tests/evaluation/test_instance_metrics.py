"""AP^r in its modes, COCO AP, and the semantic scores, against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.eval import (
    CocoAP,
    ConfusionMatrix,
    InstanceAP,
    Instances,
    average_precision,
    instances_from_voc,
)
from vostrack.eval.instance_ap import Integration, Matching, match
from vostrack.eval.instances import overlaps


def _bar(start: int, stop: int, width: int = 20) -> BoolArray:
    mask = np.zeros((4, width), np.bool_)
    mask[:, start:stop] = True
    return mask


def _instances(
    bars: list[tuple[int, int]], scores: list[float] | None = None, label: int = 1
) -> Instances:
    masks = np.stack([_bar(*bar) for bar in bars]) if bars else np.zeros((0, 4, 20), np.bool_)
    return Instances(
        masks,
        np.full(len(bars), label),
        None if scores is None else np.array(scores, dtype=np.float64),
    )


# Four true instances; detections right, wrong, right, right, wrong:
# precision 1, 1/2, 2/3, 3/4, 3/5 at recall 1/4, 1/4, 2/4, 3/4, 3/4.
# Envelope: 1 up to recall 1/4, then 3/4 up to recall 3/4, then nothing.
@pytest.mark.parametrize(
    ("integration", "expected"),
    [
        ("area", (1 + 0.75 + 0.75) / 4),
        ("11pt", (3 * 1.0 + 5 * 0.75) / 11),
        ("nonint", (1 + 2 / 3 + 3 / 4) / 4),
    ],
)
def test_a_curve_by_hand(integration: Integration, expected: float) -> None:
    true = np.array([True, False, True, True, False])
    assert average_precision(true, 4, integration) == pytest.approx(expected)


@pytest.mark.parametrize("integration", ["area", "11pt", "nonint"])
def test_curves_at_the_limits(integration: Integration) -> None:
    assert math.isnan(average_precision(np.zeros(3, np.bool_), 0, integration))
    assert average_precision(np.zeros(0, np.bool_), 2, integration) == 0
    assert average_precision(np.zeros(3, np.bool_), 2, integration) == 0
    assert average_precision(np.ones(10, np.bool_), 10, integration) == pytest.approx(1)


def test_eleven_points_count_recall_in_whole_numbers() -> None:
    # Three of ten reach recall 0.3, though 3 / 10 < 3 * 0.1 in floating point.
    assert average_precision(np.ones(3, np.bool_), 10, "11pt") == pytest.approx(4 / 11)


def test_sds_takes_the_best_free_instance_and_voc_the_best_of_all() -> None:
    overlap = np.array([[0.9, 0.6], [0.8, 0.6], [0.4, 0.3]])
    assert match(overlap, 0.5, "sds").tolist() == [True, True, False]
    assert match(overlap, 0.5, "voc").tolist() == [True, False, False]


@pytest.mark.parametrize(("matching", "expected"), [("sds", False), ("voc", True)])
def test_an_overlap_of_just_the_threshold(matching: Matching, expected: bool) -> None:
    assert match(np.array([[0.5]]), 0.5, matching).tolist() == [expected]


def test_detections_are_pooled_over_images_by_score() -> None:
    judge = InstanceAP([0.5])
    judge.update(_instances([(0, 4), (10, 14)], [0.2, 0.9]), _instances([(0, 4)]))
    judge.update(_instances([(5, 10)], [0.5]), _instances([(5, 10)]))
    # By score: wrong, right, right. Envelope 2/3 at both instances.
    assert judge.compute().mean_ap(0.5) == pytest.approx(2 / 3)


def test_ap_by_overlap_class_and_volume() -> None:
    judge = InstanceAP()
    # Overlap 6/10 in class 1, perfect in class 2, a detection of class 3 that has no truth.
    truth = Instances(np.stack([_bar(0, 10), _bar(10, 20)]), np.array([1, 2]))
    masks = np.stack([_bar(0, 6), _bar(10, 20), _bar(3, 5)])
    judge.update(Instances(masks, np.array([1, 2, 3]), np.array([0.5, 0.5, 0.9])), truth)
    scores = judge.compute()
    assert scores.classes == (1, 2, 3)
    assert scores.mean_ap(0.5) == 1.0
    assert scores.mean_ap(0.6) == 0.5
    assert np.isnan(scores.ap[:, 2]).all()
    assert scores.volume == pytest.approx((5 * 1.0 + 4 * 0.5) / 9)
    with pytest.raises(InputError, match=r"threshold: expected one of .*got 0\.55"):
        scores.mean_ap(0.55)


def test_void_counts_for_neither() -> None:
    truth, guess = _instances([(0, 5)]), _instances([(0, 10)], [1.0])
    void = _bar(5, 10)
    assert overlaps(guess.masks, truth.masks).tolist() == [[0.5]]
    judge = InstanceAP([0.9])
    judge.update(guess, truth, void)
    assert judge.compute().mean_ap(0.9) == 1.0
    coco = CocoAP()
    coco.update(guess, truth, void)
    assert coco.compute().ap == pytest.approx(1.0)


def test_images_without_instances_or_detections() -> None:
    nothing = _instances([], [])
    judge, coco = InstanceAP([0.5]), CocoAP()
    with pytest.raises(InputError, match="expected a true instance"):
        judge.compute()
    with pytest.raises(InputError, match="expected a true instance"):
        coco.compute()
    for one in (judge, coco):
        one.update(nothing, _instances([(0, 4)]))
        one.update(nothing, _instances([]))
    assert judge.compute().mean_ap(0.5) == 0.0
    assert coco.compute().ap == 0.0


def _crowded(rng: np.random.Generator) -> tuple[Instances, Instances]:
    """Some bars, and detections of them that are off by a little, far off, or doubled."""
    starts = rng.choice(12, 4, replace=False) * 16
    truth = np.stack([_bar(start, start + 12, 200) for start in starts])
    shifts = rng.integers(-5, 6, (3, 4))
    guesses = np.stack(
        [_bar(max(left, 0), left + 12, 200) for row in shifts for left in starts + row]
    )
    kept = rng.random(len(guesses)) < 0.7
    labels = rng.integers(1, 3, 4)
    guess_labels = np.tile(labels, 3)[kept]
    scores = rng.permutation(len(guesses))[kept] / len(guesses)
    return Instances(guesses[kept], guess_labels, scores), Instances(truth, labels)


def test_pycocotools_agrees_within_its_grid_of_recalls() -> None:
    rng = np.random.default_rng(0)
    # COCO takes overlaps of the threshold or more, the SDS rule only more.
    ours, coco = InstanceAP([0.5 - 1e-9, 0.75 - 1e-9]), CocoAP()
    for _ in range(60):
        guess, truth = _crowded(rng)
        ours.update(guess, truth)
        coco.update(guess, truth)
    area, grid = ours.compute(), coco.compute()
    assert 0.1 < grid.ap < grid.ap50 < 0.9
    # 101 recall points against the exact area under the same envelope.
    assert area.mean_ap(ours.thresholds[0]) == pytest.approx(grid.ap50, abs=0.01)
    assert area.mean_ap(ours.thresholds[1]) == pytest.approx(grid.ap75, abs=0.01)
    assert np.mean(list(grid.per_class.values())) == pytest.approx(grid.ap)


def test_coco_by_hand() -> None:
    coco = CocoAP()
    # Overlap 7/9: found at 0.50 ... 0.75, which is 6 of the 10 overlaps.
    coco.update(_instances([(0, 7)], [0.3]), _instances([(0, 9)]))
    scores = coco.compute()
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx((0.6, 1.0, 1.0))
    assert scores.per_class == pytest.approx({1: 0.6})


def test_what_cannot_be_judged_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="integration: expected area, 11pt or nonint"):
        InstanceAP(integration="12pt")  # type: ignore[arg-type]  # a wrong choice on purpose
    with pytest.raises(InputError, match="matching: expected sds or voc"):
        InstanceAP(matching="best")  # type: ignore[arg-type]  # a wrong choice on purpose
    with pytest.raises(InputError, match="thresholds"):
        InstanceAP([50.0])
    for judge in (InstanceAP(), CocoAP()):
        with pytest.raises(InputError, match="one score for each"):
            judge.update(_instances([(0, 4)]), _instances([(0, 4)]))
        with pytest.raises(InputError, match="the same size"):
            judge.update(_instances([(0, 4)], [1.0]), _instances([(0, 4)]), np.zeros((4, 21), bool))
    with pytest.raises(InputError, match="labels"):
        Instances(_bar(0, 4)[None], np.array([1, 2]))
    with pytest.raises(InputError, match="NaN"):
        _instances([(0, 4)], [math.nan])
    assert capsys.readouterr().out == ""


def test_voc_pair_becomes_instances() -> None:
    object_map = np.array([[0, 1, 1, 255, 3, 3, 3]])
    class_map = np.array([[0, 15, 15, 255, 255, 255, 7]])
    truth, void = instances_from_voc(class_map, object_map)
    assert truth.labels.tolist() == [15, 7]
    assert truth.masks[1].tolist() == [[False, False, False, False, True, True, True]]
    assert void.tolist() == [[False, False, False, True, False, False, False]]
    assert len(instances_from_voc(np.zeros((2, 3), int), np.zeros((2, 3), int))[0]) == 0
    with pytest.raises(InputError, match="instance 1 has no class"):
        instances_from_voc(np.zeros((1, 7), int), object_map)
    with pytest.raises(InputError, match="class map against object map"):
        instances_from_voc(class_map[:, 1:], object_map)


def test_semantic_scores_by_hand_and_streaming() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])
    guess = np.array([[0, 1, 1, 1], [0, 2, 1, 9]])
    matrix = ConfusionMatrix(4)
    matrix.update(guess[:1], truth[:1])
    matrix.update(guess[1:], truth[1:])
    assert matrix.counts.tolist() == [[2, 1, 1, 0], [0, 3, 0, 0], [0] * 4, [0] * 4]
    scores = matrix.compute()
    assert scores.pixel_accuracy == pytest.approx(5 / 7)
    assert scores.mean_accuracy == pytest.approx((2 / 4 + 3 / 3) / 2)
    assert scores.iou == pytest.approx([2 / 4, 3 / 4, 0, math.nan], nan_ok=True)
    assert scores.mean_iou == pytest.approx((2 / 4 + 3 / 4 + 0) / 3)
    assert scores.accuracy == pytest.approx([0.5, 1, math.nan, math.nan], nan_ok=True)


def test_semantic_labels_out_of_range() -> None:
    matrix = ConfusionMatrix(2)
    with pytest.raises(InputError, match="a pixel that is not void"):
        matrix.compute()
    with pytest.raises(InputError, match=r"still \(prediction\): expected labels 0\.\.1, got 2"):
        matrix.update(np.array([[2]]), np.array([[1]]), name="still")
    with pytest.raises(InputError, match=r"still \(truth\): expected labels 0\.\.1, got 255"):
        ConfusionMatrix(2, void=None).update(np.array([[1]]), np.array([[255]]), name="still")
    with pytest.raises(InputError, match="classes"):
        ConfusionMatrix(0)
