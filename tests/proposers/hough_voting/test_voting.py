"""Votes to instances: what the masks hold, perfect input, confidence, the accumulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.errors import InputError
from vostrack.eval import InstanceAP, Instances, instances_from_voc
from vostrack.masks.palette import read_label_map
from vostrack.proposers.hough_voting.casting import _adopt, _support, cast_votes
from vostrack.proposers.hough_voting.fullsize import instance_proposals
from vostrack.proposers.hough_voting.targets import instance_boxes
from vostrack.proposers.hough_voting.votes import ClassVotes, VotingConfig, accumulate
from vostrack.proposers.hough_voting.voting import _suppress_regions, find_instances, top_masks


def perfect_input(classes: UInt8Array, ids: UInt8Array) -> tuple[FloatArray, ...]:
    """One-hot probabilities (21, H, W) and the true boxes (1, 4, H, W) of the pixels."""
    valid = (ids > 0) & (ids < 255)
    labels = np.where(valid, classes, 0)
    probabilities = np.eye(21, dtype=np.float32)[labels].transpose(2, 0, 1)
    boxes = instance_boxes(torch.from_numpy(ids.astype(np.int64)))[ids.astype(np.int64)]
    return np.ascontiguousarray(probabilities), boxes.permute(2, 0, 1)[None].numpy()


def boxes_differ(truth: Instances, limit: float) -> bool:
    """Whether no two instances of a class have boxes that overlap by more than ``limit``."""
    from torchvision.ops import box_iou, masks_to_boxes

    boxes = masks_to_boxes(torch.from_numpy(truth.masks)) + torch.tensor([0, 0, 1, 1])
    same = truth.labels[:, None] == truth.labels[None]
    overlap = box_iou(boxes, boxes).numpy() * same
    np.fill_diagonal(overlap, 0)
    return bool((overlap <= limit).all())


@pytest.mark.shared_data
def test_perfect_scores_and_boxes_recover_every_instance(shared_dir: Path) -> None:
    stills = shared_dir / "data" / "stills" / "VOC2007"
    config = VotingConfig(min_cells=1)
    seen = 0
    for path in sorted((stills / "SegmentationObject").glob("*.png"))[::3]:
        ids = read_label_map(path)
        classes = read_label_map(stills / "SegmentationClass" / path.name)
        truth, void = instances_from_voc(classes, ids)
        if not boxes_differ(truth, config.overlap):
            continue
        seen += 1
        probabilities, boxes = perfect_input(classes, ids)
        shape = (ids.shape[0], ids.shape[1])
        _, found = find_instances(probabilities, boxes, config)
        proposals = instance_proposals(found, probabilities, shape, 1, config, with_labels=True)
        ap = InstanceAP([0.5, 0.9])
        ap.update(
            Instances(proposals.masks, proposals.labels, proposals.scores.astype(float)),
            truth,
            void,
        )
        assert len(proposals) == len(truth)
        assert ap.compute().mean_ap(0.5) == 1
        assert ap.compute().mean_ap(0.9) == 1
    assert seen >= 10


def two_squares() -> tuple[FloatArray, FloatArray]:
    """Two touching squares of one class on a grid of 20 x 30 cells, 8 pixels each."""
    scores = np.zeros((20, 30), np.float32)
    boxes = np.zeros((1, 4, 20, 30), np.float32)
    for x0, x1, score in ((5, 12, 0.9), (12, 25, 0.6)):
        scores[4:14, x0:x1] = score
        boxes[0, :, 4:14, x0:x1] = np.array([x0, 4, x1, 14])[:, None, None] * 8
    return np.stack([1 - scores, scores]), boxes


def test_touching_objects_come_apart_and_confidence_is_the_mean_score() -> None:
    probabilities, boxes = two_squares()
    cast, found = find_instances(probabilities, boxes, VotingConfig(top=1))
    assert len(cast) == 1
    assert [votes.cells(k, (20, 30)).sum() for votes, k in found] == [70, 130]
    np.testing.assert_allclose([votes.confidences[k] for votes, k in found], [0.9, 0.6], rtol=1e-6)
    owners = np.full((20, 30), -1)
    owners[cast[0].rows, cast[0].columns] = cast[0].owners
    np.testing.assert_array_equal(owners >= 0, probabilities[1] > 0)


def test_an_instance_grows_from_the_box_that_most_of_its_cells_vote_for() -> None:
    probabilities, boxes = two_squares()
    # The surest cell of the left square votes for both squares as one.
    probabilities[1, 4, 5] = 0.95
    boxes[0, :, 4, 5] = np.array([5, 4, 19, 14]) * 8
    config = VotingConfig(top=1, overlap=0.4, regroup=False)
    for by_support, first in ((True, [40, 32, 96, 112]), (False, [40, 32, 152, 112])):
        (cast,), found = find_instances(
            probabilities, boxes, replace(config, by_support=by_support)
        )
        assert first in cast.boxes[cast.modes].tolist()
        assert len(found) == 2
    far = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [400, 400, 410, 410]], np.float32)
    np.testing.assert_array_equal(_support(far, np.array([1, 2, 4], np.float32)), [3, 3, 4])


def test_clusters_with_like_means_become_one_and_cells_go_to_the_nearest_mean() -> None:
    scores = np.ones((1, 20), np.float32)
    boxes = np.zeros((4, 1, 20), np.float32)
    # Two votes for one object, too far apart to suppress one another, and all between them.
    boxes[0, 0, :16] = np.linspace(0, 60, 16)
    boxes[2] = boxes[0] + 100
    boxes[3] = 100
    boxes[:, 0, 16:] = np.array([300, 0, 400, 100])[:, None]
    mask = np.ones((1, 20), np.bool_)
    config = VotingConfig(overlap=0.5, min_cells=1, by_support=False, adopt=1.0)
    apart = cast_votes(scores, boxes, mask, 1, 1, replace(config, regroup=False))
    assert np.bincount(apart.owners).tolist() == [9, 7, 4]
    joined = cast_votes(scores, boxes, mask, 1, 1, config)
    # Means 16 and 48 overlap by 68 / 132: more than a half.
    assert np.bincount(joined.owners).tolist() == [16, 4]
    near = cast_votes(scores, boxes, mask, 1, 1, replace(config, overlap=0.55))
    distance = np.abs(boxes[0, 0, :16, None] - np.array([12.0, 46.0]))
    assert (near.owners[:16] == near.owners[0]).tolist() == (distance.argmin(1) == 0).tolist()


def test_a_vote_that_a_cluster_took_first_goes_to_the_nearer_mean() -> None:
    # The best vote lies at 0 and takes the one at 32, which is nearer to those at 58.
    lefts = np.array([0] * 10 + [32] + [58] * 10, np.float32)
    scores = np.where(lefts == 0, 1, 0.9).astype(np.float32)[None]
    boxes = np.stack([lefts, 0 * lefts, lefts + 100, 0 * lefts + 100])[:, None]
    mask = np.ones((1, 21), np.bool_)
    config = VotingConfig(overlap=0.5, min_cells=1, by_support=False, adopt=1.0)
    first = cast_votes(scores, boxes, mask, 1, 1, replace(config, regroup=False))
    assert first.owners[10] == first.owners[0] != first.owners[11]
    nearer = cast_votes(scores, boxes, mask, 1, 1, config)
    assert nearer.owners[10] == nearer.owners[11] != nearer.owners[0]


def test_flips_commute() -> None:
    rng = np.random.default_rng(0)
    probabilities, boxes = two_squares()
    boxes = boxes + np.rint(rng.normal(0, 6, boxes.shape)).astype(np.float32)
    probabilities[1] *= rng.uniform(0.8, 1, probabilities[1].shape).astype(np.float32)
    mirrored = boxes[:, [2, 1, 0, 3], :, ::-1].copy()
    mirrored[:, [0, 2]] = 30 * 8 - mirrored[:, [0, 2]]
    _, plain = find_instances(probabilities, boxes)
    _, other = find_instances(probabilities[:, :, ::-1].copy(), mirrored)
    assert len(plain) == len(other) > 1
    for (votes, k), (mirror, m) in zip(plain, other, strict=True):
        np.testing.assert_array_equal(votes.cells(k, (20, 30)), mirror.cells(m, (20, 30))[:, ::-1])


def test_top_masks_hold_the_cells_where_the_class_is_among_the_best() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(4, 0.3), (5, 6)).transpose(2, 0, 1).astype(np.float32)
    masks = top_masks(probabilities, 2, 2, 0.05)
    for row in range(5):
        for column in range(6):
            ranking = sorted(range(4), key=lambda c: -probabilities[c, row, column])
            enough = probabilities[2, row, column] >= 0.05
            for n in (1, 2):
                assert masks[n - 1, row, column] == (2 in ranking[:n] and enough)
    assert len(top_masks(probabilities[:2], 1, 2, 0.05)) == 1
    weak = np.array([0.9, 0.04, 0.06], np.float32)[:, None, None]
    assert [top_masks(weak, k, 2, 0.05)[1].item() for k in (1, 2)] == [False, True]


def test_a_second_best_class_is_found_by_the_second_mask_only() -> None:
    probabilities, boxes = two_squares()
    other = np.where(probabilities[1:] > 0.5, 0.3, 0).astype(np.float32)
    both = np.concatenate([probabilities * 0.7, other])
    both[0] = np.where(probabilities[1] > 0, 0, 1)
    assert {v.label for v, _ in find_instances(both, boxes, VotingConfig(top=1))[1]} == {1}
    found = find_instances(both, boxes, VotingConfig(top=2))[1]
    assert [(v.label, v.rank) for v, _ in found] == [(1, 1), (1, 1), (2, 2), (2, 2)]


@pytest.mark.parametrize("limit", [0.0, 0.25, 0.5, 1.0])
def test_regions_are_suppressed_as_their_masks_would_be(limit: float) -> None:
    rows, columns = (grid.ravel() for grid in np.mgrid[:6, :8])
    nothing = np.zeros((48, 4), np.float32)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cast = []
        for rank, share in ((1, 0.6), (2, 1.0)):
            cells = np.flatnonzero(rng.random(48) < share)
            # Few cells in many clusters: shares of just the limit are common.
            owners = rng.integers(-1, 12, len(cells))
            sure = rng.random(12).astype(np.float32)
            boxes, scores = nothing[cells], nothing[cells, 0]
            at = rows[cells], columns[cells]
            cast.append(ClassVotes(1, rank, *at, boxes, scores, owners, sure, np.arange(12)))
        expected = _kept_by_masks(cast, (6, 8), limit)
        found = _suppress_regions(cast, (6, 8), limit)
        assert [(v.rank, k) for v, k in found] == [(v.rank, k) for v, k in expected]


def test_a_vote_far_from_every_mean_stays_with_its_owner_and_a_stray_needs_less() -> None:
    modes = np.array([[0, 0, 100, 100], [200, 0, 300, 100]], np.float32)
    # Overlaps with the first mode: 0.6, 0.3, 0.3, 0.1; none with the second.
    boxes = np.array([[0, 0, 100, s] for s in (60, 30, 30, 10)], np.float32)
    owners = np.array([1, 1, -1, -1])
    config = VotingConfig(overlap=0.5, adopt=0.2)
    np.testing.assert_array_equal(_adopt(boxes, owners, modes, config), [0, 1, 0, -1])
    alone = replace(config, regroup=False)
    np.testing.assert_array_equal(_adopt(boxes, owners, modes, alone), [1, 1, 0, -1])


def _kept_by_masks(
    cast: list[ClassVotes], shape: tuple[int, int], limit: float
) -> list[tuple[ClassVotes, int]]:
    """Do the same on masks: the best first, each against all that stay so far."""
    everything = [(v, k) for v in cast for k in range(len(v.modes))]
    everything.sort(key=lambda one: -float(one[0].confidences[one[1]]))
    kept: list[tuple[ClassVotes, int]] = []
    for votes, cluster in everything:
        mask = votes.cells(cluster, shape)
        rivals = (v.cells(k, shape) for v, k in kept if v is not votes)
        if all((mask & rival).sum() <= limit * mask.sum() for rival in rivals):
            kept.append((votes, cluster))
    return kept


def test_votes_that_are_not_numbers_are_refused() -> None:
    probabilities, boxes = two_squares()
    boxes[0, 2, 6, 7] = np.nan
    with pytest.raises(InputError, match="finite"):
        find_instances(probabilities, boxes)


def test_strays_are_adopted_or_dropped() -> None:
    probabilities, boxes = two_squares()
    # Three cells of the left square vote for a box of half its width, one for a box elsewhere.
    boxes[0, 2, 5:8, 6] = (boxes[0, 0, 5:8, 6] + boxes[0, 2, 5:8, 6]) / 2 - 4
    boxes[0, :, 10, 6] = [0, 0, 8, 8]
    mask = probabilities[1] > 0
    config = VotingConfig(overlap=0.5, by_support=False, regroup=False)
    votes = cast_votes(probabilities[1], boxes[0], mask, 1, 1, config)
    assert votes.cells(0, (20, 30)).sum() == 69
    assert (votes.owners < 0).sum() == 1
    votes = cast_votes(probabilities[1], boxes[0], mask, 1, 1, replace(config, adopt=1.0))
    assert votes.cells(0, (20, 30)).sum() == 66


def test_the_accumulator_gathers_the_scores_at_the_voted_centres() -> None:
    probabilities, boxes = two_squares()
    mask = probabilities[1] > 0
    votes = cast_votes(probabilities[1], boxes[0], mask, 1, 1, VotingConfig())
    heap = accumulate(votes, (20, 30), 8)
    assert heap[9, 8] == pytest.approx(70 * 0.9, rel=1e-5)
    assert heap[9, 18] == pytest.approx(130 * 0.6, rel=1e-5)
    assert heap.sum() == pytest.approx(votes.scores.sum(), rel=1e-5)


def test_boxes_of_another_number_of_classes_are_refused() -> None:
    probabilities, boxes = two_squares()
    with pytest.raises(InputError, match="expected boxes"):
        find_instances(np.concatenate([probabilities] * 2), np.concatenate([boxes] * 2))
    with pytest.raises(InputError, match="floor"):
        VotingConfig(floor=2)
