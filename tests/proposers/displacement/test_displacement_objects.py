"""Objects of label maps with void outlines, and how scenes show them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vostrack.arrays import UInt8Array
from vostrack.proposers.displacement.losses import centre_loss, centre_targets
from vostrack.proposers.displacement.objects import (
    UNKNOWN,
    draw_outlines,
    fill_outlines,
    number_objects,
    soften,
)
from vostrack.proposers.displacement.scenes import SceneConfig, draw_scene


def outlined() -> UInt8Array:
    """Two touching objects of class 3 with a void line between, one of 5, and a crumb of 3."""
    labels = np.zeros((64, 64), np.uint8)
    labels[8:40, 8:28] = 3
    labels[8:40, 32:52] = 3
    labels[8:40, 28:32] = 255
    labels[44:60, 8:40] = 5
    labels[50:53, 50:53] = 3
    return labels


def test_outlined_objects_of_one_class_are_numbered_apart() -> None:
    labels = outlined()
    numbers = number_objects(labels)
    found = {int(numbers[place]) for place in ((20, 10), (20, 40), (50, 20))}
    assert len(found) == 3
    assert min(found) > 0
    assert numbers[51, 51] == UNKNOWN
    assert numbers[20, 30] == UNKNOWN
    assert numbers[0, 0] == 0
    for number in found:
        assert len(np.unique(labels[numbers == number])) == 1


def test_pieces_that_meet_at_a_corner_are_two() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:10, :10] = labels[10:, 10:] = 1
    numbers = number_objects(labels)
    assert numbers[0, 0] != numbers[19, 19]


def test_lines_are_filled_and_areas_stay_void() -> None:
    labels = outlined()
    labels[:, 60:] = 255
    labels[40:64, 44:60] = 255
    filled, known = fill_outlines(labels, number_objects(labels), 2.5)
    np.testing.assert_array_equal(filled[12:36, 8:52], 3)
    assert known[20, 29] == known[20, 10]
    assert known[20, 30] == known[20, 40]
    assert filled[55, 55] == 255
    assert known[55, 55] == UNKNOWN
    inside = labels != 255
    np.testing.assert_array_equal(filled[inside], labels[inside])


def test_small_objects_are_measured_by_the_largest_of_their_class_and_not_by_the_frame() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[10:15, 10:15] = labels[40:46, 40:46] = 1
    numbers = number_objects(labels)
    assert {int(numbers[12, 12]), int(numbers[42, 42])} == {1, 2}


def test_void_is_filled_up_to_the_reach_and_no_further() -> None:
    labels = np.full((6, 20), 255, np.uint8)
    labels[:, :8] = 1
    filled, known = fill_outlines(labels, number_objects(labels), 3)
    np.testing.assert_array_equal(filled, [[1] * 11 + [255] * 9] * 6)
    np.testing.assert_array_equal(known, [[1] * 11 + [UNKNOWN] * 9] * 6)


def test_filling_leaves_maps_without_void_alone() -> None:
    labels = np.ones((8, 8), np.uint8)
    filled, _ = fill_outlines(labels, np.ones((8, 8), np.int64), 4)
    np.testing.assert_array_equal(filled, labels)


@pytest.mark.parametrize("width", [1, 3])
def test_outlines_run_where_numbers_change(width: int) -> None:
    labels = np.ones((30, 30), np.uint8)
    numbers = np.ones((30, 30), np.int64)
    numbers[:, 15:] = 2
    drawn = draw_outlines(labels, numbers, width)
    expected = np.ones(30, np.uint8)
    expected[15 - width : 15 + width] = 255
    np.testing.assert_array_equal(drawn, np.tile(expected, (30, 1)))


def test_softening_moves_edges_only() -> None:
    labels = np.zeros((96, 96), np.uint8)
    labels[16:80, 16:80] = 7
    labels[:, 90:] = 255
    far = np.zeros((96, 96), bool)
    far[36:60, 36:60] = True
    far[:4, :80] = True
    different = 0
    for seed in range(20):
        soft = soften(labels, np.random.default_rng(seed))
        assert set(np.unique(soft)) <= {0, 7}
        clear = soft[far] == labels[far]
        assert clear.mean() > 0.9
        different += int((soft[:, :90] != labels[:, :90]).any())
    assert different >= 15


def test_touching_objects_of_a_scene_are_seen_as_one_and_known_as_two() -> None:
    config = SceneConfig(
        side=64, longest=(64, 64), pieces=0, outline=0, merge=0, permute=False, flip=0
    )
    scene = draw_scene([_Fixed(outlined())], config, np.random.default_rng(0))
    assert 255 not in scene.labels
    row = scene.truth[24, 12:50]
    assert len(np.unique(row)) == 2
    assert row.min() > 0


def test_an_outlined_scene_shows_void_between_objects() -> None:
    config = SceneConfig(
        side=64, longest=(64, 64), pieces=0, outline=1, merge=0, permute=False, flip=0
    )
    scene = draw_scene([_Fixed(outlined())], config, np.random.default_rng(0))
    assert scene.labels[24, 30] == 255
    assert scene.truth[24, 30] > 0


class _Fixed:
    def __init__(self, labels: UInt8Array) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> UInt8Array:
        return self.labels


def test_centres_are_means_of_regions_image_by_image() -> None:
    generator = torch.Generator().manual_seed(0)
    regions = torch.randint(-1, 4, (3, 6, 7), generator=generator)
    targets, weights = centre_targets(regions)
    for image in range(3):
        for y in range(6):
            for x in range(7):
                number = int(regions[image, y, x])
                if number < 1:
                    assert targets[image, :, y, x].tolist() == [0, 0]
                    assert weights[image, y, x] == 0
                    continue
                members = (regions[image] == number).nonzero().float()
                wanted = members.mean(0) - torch.tensor([y, x])
                torch.testing.assert_close(targets[image, :, y, x], wanted)
                assert float(weights[image, y, x]) == pytest.approx(len(members) ** -0.5)


def test_the_centre_loss_is_the_weighted_mean_error() -> None:
    regions = torch.zeros(1, 4, 8, dtype=torch.int64)
    regions[0, :, :4] = 1
    regions[0, 0, 6] = 2
    targets, _ = centre_targets(regions)
    assert float(centre_loss(targets, regions)) == 0
    wrong = targets.clone()
    wrong[0, 0, 0, 6] += 3
    # 16 cells with weight 1 / 4 and one with 1; one of its two components is off by 3.
    assert float(centre_loss(wrong, regions)) == pytest.approx(3 / (2 * (4 + 1)), rel=1e-4)
    outside = targets.clone()
    outside[0, :, 3, 7] = 9
    assert float(centre_loss(outside, regions)) == 0


def test_no_object_means_no_centre_loss() -> None:
    regions = torch.full((2, 4, 4), -1)
    assert float(centre_loss(torch.ones(2, 2, 4, 4), regions)) == 0
