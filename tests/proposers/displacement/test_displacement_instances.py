"""Following fields, centres, assignment, spreading and selection."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.displacement.centres import (
    CellInstances,
    CentreConfig,
    find_instances,
    follow_field,
)
from vostrack.proposers.displacement.selection import (
    Candidates,
    SelectionConfig,
    score_maps,
    select_instances,
    spread_scores,
)

HEIGHT, WIDTH = 40, 56


def discs(*circles: tuple[int, int, int], class_ids: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Label map and the field that points to the centre of each disc (y, x, radius)."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    labels = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    field = torch.zeros(2, HEIGHT, WIDTH)
    for index, (y, x, radius) in enumerate(circles):
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        labels[inside] = class_ids[index] if class_ids else 1
        field[0][inside] = (y - rows[inside]).float()
        field[1][inside] = (x - columns[inside]).float()
    return field, labels


TOUCHING = ((20, 16, 12), (20, 41, 12))


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_a_radial_field_gives_back_its_centres(strength: float) -> None:
    """Also where the network points only part of the way: that is what moving again is for."""
    field, labels = discs(*TOUCHING)
    instances = find_instances(field * strength, labels)
    assert instances.classes.tolist() == [1, 1]
    rests = follow_field(field * strength, labels > 0, 100)
    numbers = torch.from_numpy(instances.numbers)[labels > 0]
    for number in (1, 2):
        y, x, _ = TOUCHING[number - 1]
        mean = rests[numbers == number].mean(0)
        torch.testing.assert_close(mean, torch.tensor([float(y), float(x)]), atol=0.2, rtol=0)


def test_touching_discs_are_split_where_they_touch() -> None:
    field, labels = discs(*TOUCHING)
    instances = find_instances(field, labels)
    left = instances.numbers[:, : WIDTH // 2]
    right = instances.numbers[:, WIDTH // 2 + 2 :]
    assert set(np.unique(left)) == {0, 1}
    assert set(np.unique(right)) == {0, 2}
    np.testing.assert_array_equal(instances.numbers > 0, labels.numpy() > 0)


def test_one_field_of_two_classes_gives_an_instance_of_each() -> None:
    field, labels = discs((20, 28, 15))
    labels[:, 28:] *= 7
    instances = find_instances(field, labels)
    assert instances.classes.tolist() == [1, 7]
    np.testing.assert_array_equal(instances.numbers == 2, labels.numpy() == 7)


def test_background_and_void_are_no_instances() -> None:
    field, labels = discs((20, 28, 10))
    labels[:, :4] = 255
    instances = find_instances(field, labels)
    assert instances.classes.tolist() == [1]
    np.testing.assert_array_equal(instances.numbers > 0, labels.numpy() == 1)


def test_an_object_without_a_centre_of_its_own_is_found_where_its_cells_rest() -> None:
    """A ring points into its hole, where no cell is near a centre; a far disc must not take it."""
    field, labels = discs((20, 16, 14), (20, 46, 6))
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    labels[(rows - 20) ** 2 + (columns - 16) ** 2 < 81] = 0
    instances = find_instances(field, labels)
    assert sorted(np.bincount(instances.numbers.ravel())[1:].tolist()) == sorted(
        [int((labels[:, :33] > 0).sum()), int((labels[:, 33:] > 0).sum())]
    )


def test_moving_follows_equation_11_step_by_step() -> None:
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(2, 9, 11, generator=generator)
    inside = torch.ones(9, 11, dtype=torch.bool)
    rests = follow_field(field, inside, 3).reshape(9, 11, 2)
    for y, x in ((0, 0), (4, 5), (8, 10), (2, 9)):
        point = np.array([y, x], dtype=np.float64)
        for _ in range(3):
            low = np.floor(point).astype(int)
            high = np.minimum(low + 1, [8, 10])
            part = point - low
            step = np.zeros(2)
            for axis in range(2):
                values = field[axis].double().numpy()
                top = values[low[0], low[1]] * (1 - part[1]) + values[low[0], high[1]] * part[1]
                end = values[high[0], low[1]] * (1 - part[1]) + values[high[0], high[1]] * part[1]
                step[axis] = top * (1 - part[0]) + end * part[0]
            point = np.clip(point + step, 0, [8, 10])
        np.testing.assert_allclose(rests[y, x].numpy(), point, atol=1e-4)


def test_weak_centres_give_their_cells_to_a_strong_one() -> None:
    field, labels = discs((20, 20, 12))
    field[:, 20, 31] = torch.tensor([0.0, 0.0])
    field[:, 20, 30] = torch.tensor([0.0, 1.0])
    alone = find_instances(field, labels, CentreConfig(min_cells=0))
    merged = find_instances(field, labels, CentreConfig(min_cells=8))
    assert len(alone.classes) > 1
    assert merged.classes.tolist() == [1]


def cell_instances(field: Tensor, labels: Tensor) -> CellInstances:
    return find_instances(field, labels)


def enlarged(labels: Tensor) -> tuple[Tensor, Tensor]:
    full = labels.repeat_interleave(4, 0).repeat_interleave(4, 1)
    probabilities = torch.stack([(full == k).float() for k in range(8)])
    return full, probabilities


def only(maps: Tensor) -> Candidates:
    """Take one candidate of class 1, in piece 1."""
    return Candidates(maps, np.array([1]), np.array([1]), np.ones(1))


def each_its_own(maps: Tensor, instances: CellInstances) -> Candidates:
    """Take the classes as the pieces."""
    return Candidates(maps, instances.classes, instances.classes, np.ones(len(maps)))


def test_score_maps_are_class_probabilities_inside_the_instance() -> None:
    field, labels = discs(*TOUCHING, class_ids=(2, 5))
    instances = cell_instances(field, labels)
    probabilities = torch.rand(8, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    maps = score_maps(instances, probabilities)
    for index, class_id in enumerate(instances.classes.tolist()):
        own = torch.from_numpy(instances.numbers == index + 1)
        torch.testing.assert_close(maps[index], torch.where(own, probabilities[class_id], 0.0))


def test_every_pixel_of_the_mask_goes_to_one_instance() -> None:
    field, labels = discs(*TOUCHING)
    instances = cell_instances(field, labels)
    full, probabilities = enlarged(labels)
    maps = score_maps(instances, torch.stack([(labels == k).float() for k in range(8)]))
    result = select_instances(
        each_its_own(maps, instances),
        full,
        probabilities,
        SelectionConfig(),
    )
    assert len(result) == 2
    assert int(result.masks.sum(0).max()) == 1
    np.testing.assert_array_equal(result.masks.any(0), full.numpy() > 0)
    left = next(k for k in range(2) if result.masks[k, 80, 64])
    x0, y0, x1, y1 = result.boxes[left].tolist()
    assert (y0, y1) == (32, 132)
    assert x0 == 16
    assert 112 <= x1 <= 118


def test_the_walk_carries_scores_over_unassigned_cells_but_not_over_a_boundary() -> None:
    boundary = torch.zeros(HEIGHT, WIDTH)
    boundary[:, 28] = 1
    maps = torch.zeros(2, HEIGHT, WIDTH)
    maps[0, 10:30, 8:20] = 1
    maps[1, 10:30, 32:48] = 1
    spread = spread_scores(maps, boundary, SelectionConfig(margin=12))
    assert float(spread[0, 20, 24]) > 0.01
    assert float(spread[0, :, 29:].max()) < 1e-6
    assert float(spread[1, :, :28].max()) < 1e-6
    assert float(spread.min()) >= -1e-6
    assert float(spread.max()) <= 1 + 1e-5


def test_boundary_cells_score_nothing_at_the_start() -> None:
    from vostrack.refine.random_walk import RandomWalkConfig

    maps = torch.ones(1, 12, 12)
    boundary = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    still = SelectionConfig(walk=RandomWalkConfig(steps=0))
    torch.testing.assert_close(spread_scores(maps, boundary, still)[0], 1 - boundary)


@pytest.mark.parametrize("edges", ["mask", "walk"])
def test_scores_rank_by_probability_and_size(edges: str) -> None:
    field, labels = discs((20, 14, 12), (20, 45, 6), class_ids=(2, 3))
    instances = cell_instances(field, labels)
    full, probabilities = enlarged(labels)
    probabilities *= 0.8
    maps = score_maps(instances, torch.stack([(labels == k).float() for k in range(8)]))
    config = SelectionConfig(edges=edges, half_score=0.02)  # type: ignore[arg-type]  # its values
    result = select_instances(each_its_own(maps, instances), full, probabilities, config)
    assert result.labels.tolist() == [2, 3]
    share = result.masks[0].mean()
    mean = float(probabilities[2].numpy()[result.masks[0]].mean())
    assert float(result.scores[0]) == pytest.approx(mean * share / (share + 0.02), rel=1e-4)


def test_an_uncertain_candidate_scores_less_and_comes_later() -> None:
    maps = torch.zeros(2, 20, 20)
    maps[0, :, :12], maps[1, :, 12:] = 1, 1
    pieces = torch.ones(20, 20, dtype=torch.int64)
    pieces[:, 12:] = 2
    ids = np.array([1, 2])
    found = Candidates(maps, ids, ids, np.array([0.25, 1.0]))
    result = select_instances(found, pieces, torch.ones(3, 20, 20), SelectionConfig(half_score=0))
    assert result.labels.tolist() == [2, 1]
    assert result.scores.tolist() == [1.0, 0.25]


def test_small_instances_may_score_as_much_as_large_ones() -> None:
    pieces = torch.zeros(200, 200, dtype=torch.int64)
    pieces[:100, :100], pieces[150:162, 150:162] = 1, 2
    maps = F.adaptive_avg_pool2d(torch.stack([(pieces == k).float() for k in (1, 2)]), (20, 20))
    ids = np.array([1, 2])
    found = Candidates(maps, ids, ids, np.ones(2))
    even = select_instances(found, pieces, torch.ones(3, 200, 200), SelectionConfig(half_score=0))
    assert even.scores.tolist() == [1.0, 1.0]
    usual = select_instances(found, pieces, torch.ones(3, 200, 200), SelectionConfig())
    assert usual.scores[1] < 0.5 < usual.scores[0]


@pytest.mark.parametrize("edges", ["mask", "walk"])
def test_many_instances_need_little_memory(edges: str) -> None:
    """Whole masks of them all would be 119 MB, and enlarged maps four times that."""
    count, side = 1080, 332
    places = torch.arange(count)
    pieces = torch.zeros(side, side, dtype=torch.int64)
    maps = torch.zeros(count, side // 8, side // 8)
    maps[places, places // 40, places % 40] = 1.0
    for k in range(count):
        y, x = divmod(k, 40)
        pieces[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = k + 1
    ids = np.arange(1, count + 1)
    found = Candidates(maps, np.ones(count, np.int64), ids, np.ones(count))
    config = SelectionConfig(edges=edges, min_pixels=4)  # type: ignore[arg-type]  # its values
    tracemalloc.start()
    result = select_instances(found, pieces, torch.ones(2, side, side), config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(result.scores) == config.max_proposals
    print("PEAK", peak)
    assert peak < 30e6  # NumPy's arrays


def test_walk_edges_leave_out_what_scores_below_the_background() -> None:
    maps = torch.zeros(1, 10, 10)
    maps[0, :, :5], maps[0, :, 5:8] = 1.0, 0.2
    labels = torch.ones(10, 10, dtype=torch.int64)
    config = SelectionConfig(edges="walk", min_pixels=1)
    result = select_instances(only(maps), labels, torch.ones(2, 10, 10), config)
    np.testing.assert_array_equal(result.masks[0], (maps[0] > 0.25).numpy())


def test_split_makes_an_instance_of_every_connected_piece() -> None:
    maps = torch.zeros(1, 20, 20)
    labels = torch.zeros(20, 20, dtype=torch.int64)
    labels[2:8, 2:18] = 1
    labels[12:18, 2:10] = 1
    maps[0][labels > 0] = 1
    one_hot = torch.stack([(labels == k).float() for k in range(2)])
    whole = SelectionConfig(min_pixels=10)
    assert len(select_instances(only(maps), labels, one_hot, whole)) == 1
    split = SelectionConfig(min_pixels=10, split=True)
    assert len(select_instances(only(maps), labels, one_hot, split)) == 2
    large = SelectionConfig(min_pixels=60, split=True)
    assert len(select_instances(only(maps), labels, one_hot, large)) == 1
    first = SelectionConfig(min_pixels=10, split=True, max_proposals=1)
    result = select_instances(only(maps), labels, one_hot, first)
    assert int(result.masks.sum()) == 6 * 16


def test_an_instance_of_just_the_least_size_stays() -> None:
    maps = torch.ones(1, 10, 10)
    labels = torch.ones(10, 10, dtype=torch.int64)
    for least, count in ((100, 1), (101, 0)):
        config = SelectionConfig(min_pixels=least)
        assert len(select_instances(only(maps), labels, torch.ones(2, 10, 10), config)) == count


def test_thin_parts_that_the_cells_missed_go_to_the_nearest_instance() -> None:
    """Two instances of a piece, on cells of 4 pixels, and a line of it that no cell has seen."""
    maps = torch.zeros(2, 10, 16)
    maps[0, 6:9, 1:4], maps[1, 1:4, 8:15] = 1, 1
    pieces = torch.zeros(40, 64, dtype=torch.int64)
    pieces[24:36, 4:16] = pieces[4:16, 32:60] = 1
    pieces[38, :] = pieces[:2, 40] = 1
    ids = np.array([1, 1])
    found = Candidates(maps, np.array([1, 1]), ids, np.ones(2))
    result = select_instances(found, pieces, torch.ones(2, 40, 64), SelectionConfig(min_pixels=1))
    np.testing.assert_array_equal(result.masks.any(0), pieces.numpy() > 0)
    lower = next(mask for mask in result.masks if mask[30, 10])
    assert lower[38, :24].all()
    assert not lower[:2, 40].any()
    # Farther right the other instance is nearer.
    assert not lower[38, 63]


def test_an_edge_lies_between_the_cells_where_the_scores_cross() -> None:
    """And not where the nearest cell's winner changes, on cells of 16 pixels."""
    maps = torch.zeros(2, 1, 4)
    maps[0, 0, :2] = torch.tensor([1.0, 0.6])
    maps[1, 0, 1:] = torch.tensor([0.4, 1.0, 1.0])
    pieces = torch.ones(16, 64, dtype=torch.int64)
    found = Candidates(maps, np.array([1, 1]), np.array([1, 1]), np.ones(2))
    result = select_instances(found, pieces, torch.ones(2, 16, 64), SelectionConfig())
    (left,) = (mask for mask in result.masks if mask[0, 0])
    # 0.6 (1 - t) = 0.4 (1 - t) + t at t = 1/6 of the way from the middle of the second cell.
    np.testing.assert_array_equal(
        left, np.broadcast_to(np.arange(64) + 0.5 < 24 + 16 / 6, (16, 64))
    )
    assert (left ^ result.masks.any(0)).sum() == 16 * (64 - 27)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="field"):
        find_instances(torch.zeros(2, 4, 4), torch.zeros(4, 5, dtype=torch.int64))
    with pytest.raises(InputError, match="centre"):
        CentreConfig(centre=0)
    with pytest.raises(InputError, match="edges"):
        SelectionConfig(edges="round")  # type: ignore[arg-type]  # what a user may type
    with pytest.raises(InputError, match="min_pixels"):
        SelectionConfig(min_pixels=0)
    with pytest.raises(InputError, match="background"):
        SelectionConfig(background=2)
