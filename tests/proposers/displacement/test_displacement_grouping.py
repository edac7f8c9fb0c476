"""Pieces that instances are searched in, and neighbours that are one after all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vostrack.arrays import DoubleArray
from vostrack.errors import InputError
from vostrack.proposers.displacement.centres import CellInstances
from vostrack.proposers.displacement.grouping import (
    GroupingConfig,
    connected_pieces,
    merge_neighbours,
)


def strips(*rests: float, classes: tuple[int, ...] = ()) -> CellInstances:
    """Strips of 10 x 10 cells side by side, resting at these columns of row 5."""
    numbers = np.repeat(np.arange(1, len(rests) + 1), 10)[None].repeat(10, axis=0)
    ids = classes or (1,) * len(rests)
    points = np.array([(5.0, x) for x in rests])
    return CellInstances(numbers, np.array(ids), np.zeros(numbers.shape, np.bool_), points)


def line(instances: CellInstances, *strengths: float) -> DoubleArray:
    """Boundaries of these strengths between the strips."""
    boundary = np.zeros(instances.numbers.shape)
    for index, strength in enumerate(strengths, start=1):
        boundary[:, 10 * index] = strength
    return boundary


RULE = GroupingConfig(boundary=0.4, distance=0.3, contact=0)


@pytest.mark.parametrize(
    ("strength", "gap", "count"),
    [(0.39, 10, 1), (0.41, 10, 2), (0.41, 2.9, 1), (0.41, 3.1, 2), (1.0, 2.9, 1)],
)
def test_a_cut_needs_a_boundary_and_two_centres(strength: float, gap: float, count: int) -> None:
    instances = strips(10 - gap / 2, 10 + gap / 2)
    merged = merge_neighbours(instances, line(instances, strength), RULE)
    assert len(merged.classes) == count
    assert int(merged.numbers.max()) == count


@pytest.mark.parametrize(("strength", "count"), [(0.54, 1), (0.56, 2)])
def test_a_long_contact_needs_a_stronger_boundary(strength: float, count: int) -> None:
    """The strips meet along a whole side: 0.3 more than 0.7."""
    instances = strips(5, 15)
    rule = GroupingConfig(boundary=0.4, distance=0.3, contact=0.5)
    assert len(merge_neighbours(instances, line(instances, strength), rule).classes) == count


@pytest.mark.parametrize(("gap", "count"), [(2.9, 1), (3.1, 2)])
def test_without_a_boundary_map_the_centres_decide(gap: float, count: int) -> None:
    merged = merge_neighbours(strips(5, 5 + gap), None, RULE)
    assert len(merged.classes) == count


def test_the_weakest_cut_goes_first_and_counts_for_the_next() -> None:
    """Alone, each pair is too near; with the first two one, what is left is far enough."""
    instances = strips(5, 6.9, 8.8)
    rule = GroupingConfig(boundary=0.4, distance=0.2, contact=0)
    merged = merge_neighbours(instances, line(instances, 0.1, 0.45), rule)
    np.testing.assert_array_equal(merged.numbers[0], np.repeat([1, 2], [20, 10]))
    np.testing.assert_allclose(merged.rests, [(5, 5.95), (5, 8.8)])


def test_a_joined_instance_has_the_contacts_of_both() -> None:
    """The upper left is nearly open to the right, the lower left is not; together they are not."""
    numbers = np.repeat([[1], [2]], 10, axis=0).repeat(20, axis=1)
    numbers[:, 10:] = 3
    boundary = np.zeros(numbers.shape)
    boundary[:10, 10], boundary[10:, 10] = 0.3, 0.9
    rests = np.array([(5.0, 5.0), (15.0, 5.0), (10.0, 15.0)])
    corner = CellInstances(numbers, np.ones(3, np.int64), np.zeros(numbers.shape, bool), rests)
    merged = merge_neighbours(corner, boundary, RULE)
    np.testing.assert_array_equal(merged.numbers, np.where(numbers == 3, 2, 1))


def test_strips_that_do_not_touch_or_differ_in_class_stay() -> None:
    apart = strips(5, 5, 5)
    apart.numbers[apart.numbers == 2] = 0
    hollow = CellInstances(
        np.where(apart.numbers == 3, 2, apart.numbers),
        apart.classes[:2],
        apart.centres,
        apart.rests[:2],
    )
    assert len(merge_neighbours(hollow, None, RULE).classes) == 2
    other = merge_neighbours(strips(5, 5, 5, classes=(1, 2, 2)), None, RULE)
    assert other.classes.tolist() == [1, 2]
    np.testing.assert_array_equal(other.numbers[0], np.repeat([1, 2, 2], 10))


def test_larger_boundary_of_both_sides_counts() -> None:
    instances = strips(5, 15)
    before = np.zeros(instances.numbers.shape)
    before[:, 9] = 0.5
    assert len(merge_neighbours(instances, before, RULE).classes) == 2


def test_nothing_stays_nothing() -> None:
    empty = CellInstances(
        np.zeros((4, 4), np.int64), np.zeros(0, np.int64), np.zeros((4, 4), bool), np.zeros((0, 2))
    )
    assert len(merge_neighbours(empty, None, RULE).classes) == 0


def test_pieces_are_the_large_components_of_each_class() -> None:
    chance = np.random.default_rng(0)
    noise = ndimage.zoom(chance.normal(size=(12, 16)), 5, order=1)
    labels = np.select([noise > 0.6, noise < -0.6], [3, 7], 0).astype(np.int64)
    labels[:5] = 255
    pieces = connected_pieces(labels, 20)
    seen = np.zeros(labels.shape, dtype=bool)
    for class_id in (3, 7):
        found, count = ndimage.label(labels == class_id, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            mask = found == number
            own = np.unique(pieces.numbers[mask])
            assert len(own) == 1
            assert (own[0] > 0) == (mask.sum() >= 20)
            if own[0]:
                assert pieces.classes[own[0] - 1] == class_id
                np.testing.assert_array_equal(pieces.numbers == own[0], mask)
                seen |= mask
    assert not pieces.numbers[~seen].any()
    assert len(pieces.classes) == pieces.numbers.max() > 2


def test_whole_classes_are_one_piece_each() -> None:
    labels = np.array([[3, 0, 3], [0, 255, 0], [9, 0, 3]])
    pieces = connected_pieces(labels, 100, whole=True)
    assert pieces.classes.tolist() == [3, 9]
    np.testing.assert_array_equal(pieces.numbers, [[1, 0, 1], [0, 0, 0], [2, 0, 1]])


def test_negative_limits_are_refused() -> None:
    with pytest.raises(InputError, match="grouping"):
        GroupingConfig(boundary=-1)
