"""The target network: cues against direct sums, objects apart from one another, files."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vostrack.errors import InputError
from vostrack.models.byte_map import ByteMap, as_floats
from vostrack.models.memory_cues import (
    Memory,
    RidgeRegression,
    Statistics,
    confident_cells,
    cover,
)
from vostrack.models.memory_reader import MemoryReader
from vostrack.models.regions import Regions
from vostrack.models.target_decoder import NOWHERE, span_of
from vostrack.models.target_net import Features, TargetNet, TargetNetConfig, build_target_net
from vostrack.models.weights import (
    holds_target_net,
    initialise_target_net,
    load_network,
    load_target_net,
    save_target_net,
)

SMALL = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))


@pytest.fixture(scope="module")
def network() -> TargetNet:
    torch.manual_seed(0)
    return build_target_net(SMALL).eval()


def draw_memory(objects: int, cells: int, seed: int = 0) -> Memory:
    generator = torch.Generator().manual_seed(seed)

    def draw(channels: int) -> torch.Tensor:
        return torch.randn(objects, channels, cells, generator=generator)

    zeros = torch.zeros(objects, 2, 2)
    return Memory(
        keys=torch.nn.functional.normalize(draw(5), dim=1),
        values=draw(3),
        mask=torch.rand(objects, 1, cells, generator=generator),
        positions=draw(2),
        statistics=Statistics(zeros, zeros),
    )


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_reading_is_the_softmax_of_similarity_and_distance(near: float) -> None:
    reader = MemoryReader(scale=7.0, nearness=3.0)
    first, second = draw_memory(1, 4), draw_memory(1, 6, seed=1)
    query = torch.nn.functional.normalize(torch.randn(1, 5, 2, 3), dim=1)
    places = torch.randn(1, 2, 2, 3)
    with torch.no_grad():
        read = reader(query, places, [first, second], torch.tensor([near]))
    for y in range(2):
        for x in range(3):
            logits, values, cover = [], [], []
            for memory in (first, second):
                for cell in range(memory.keys.shape[2]):
                    cosine = float(query[0, :, y, x] @ memory.keys[0, :, cell])
                    gap = places[0, :, y, x] - memory.positions[0, :, cell]
                    logits.append(7 * cosine - near * 3 * float(gap @ gap))
                    values.append(memory.values[0, :, cell].numpy())
                    cover.append(float(memory.mask[0, 0, cell]))
            weights = np.exp(logits) / np.exp(logits).sum()
            expected = (weights[:, None] * np.stack(values)).sum(0)
            np.testing.assert_allclose(read[0, :3, y, x], expected, atol=1e-5)
            scores = np.array(logits) / 7
            inside = (scores + 0.3 * np.log(np.clip(cover, 1e-4, 1))).max()
            outside = (scores + 0.3 * np.log(np.clip(1 - np.array(cover), 1e-4, 1))).max()
            wanted = np.maximum([inside - outside, inside], -3)
            np.testing.assert_allclose(read[0, 3:, y, x], wanted, atol=1e-5)


@pytest.mark.parametrize("nearness", [None, 4.0])
@pytest.mark.parametrize("masks", ["soft", "one empty", "all empty", "all full"])
def test_what_objects_share_is_read_as_if_each_had_its_own(
    nearness: float | None, masks: str
) -> None:
    reader = MemoryReader(nearness=nearness)
    memory = draw_memory(3, 40)
    mask = (2 * memory.mask - 0.8).clamp(0, 1)
    if masks == "one empty":
        mask[1] = 0
    elif masks != "soft":
        mask.fill_(masks == "all full")
    own = replace(memory, mask=mask, keys=memory.keys[:1], positions=memory.positions[:1])
    each = replace(own, keys=own.keys.expand(3, -1, -1), positions=own.positions.expand(3, -1, -1))
    query = torch.nn.functional.normalize(torch.randn(1, 5, 3, 4), dim=1)
    places, near = torch.randn(3, 2, 3, 4), torch.tensor([1.0, 0.0, 1.0])
    with torch.no_grad():
        shared = reader(query, places, [own, own], near)
        apart = reader(query.expand(3, -1, -1, -1), places, [each, each], near)
    # Cells covered to less than 0.0001 count as empty: 0.3 times that.
    torch.testing.assert_close(shared, apart, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(6, 8), (3, 4), (5, 7)])
def test_cover_is_the_mean_under_each_cell(size: tuple[int, int]) -> None:
    mask = torch.rand(2, 1, 12, 16)
    found = cover(mask, size)
    rows = [(12 * k // size[0], -(-12 * (k + 1) // size[0])) for k in range(size[0])]
    columns = [(16 * k // size[1], -(-16 * (k + 1) // size[1])) for k in range(size[1])]
    for y, (top, bottom) in enumerate(rows):
        for x, (left, right) in enumerate(columns):
            expected = mask[:, 0, top:bottom, left:right].mean((1, 2))
            torch.testing.assert_close(found[:, 0, y, x], expected)


def test_the_classifier_is_weighted_ridge_regression() -> None:
    torch.manual_seed(1)
    regression = RidgeRegression(penalty=0.2).double()
    x, y = torch.randn(1, 4, 3, 5).double(), torch.randn(1, 2, 3, 5).double()
    mask = torch.zeros(1, 1, 3, 5).double()
    mask[..., :1, :2] = 1
    with torch.no_grad():
        found = regression(x, regression.statistics(x, y, mask))
    # 2 of 15 cells are object: their share is raised to a quarter, the others' is 3 quarters.
    weight = np.where(mask.numpy().ravel() > 0, 0.25 / 2, 0.75 / 13)
    rows, targets = x.flatten(2)[0].T.numpy(), y.flatten(2)[0].T.numpy()
    gram = (rows * weight[:, None]).T @ rows + 0.2 * np.eye(4)
    solution = np.linalg.solve(gram, (rows * weight[:, None]).T @ targets)
    np.testing.assert_allclose(found.flatten(2)[0].T.numpy(), rows @ solution, rtol=1e-6)


def test_only_certain_cells_count_where_asked() -> None:
    cells = torch.zeros(1, 1, 5, 6)
    cells[..., 1:4, 1:4] = 1
    cells[..., 2, 3] = 0.5
    certain = confident_cells(cells)[0, 0]
    # Cells beside the object are void, the half covered one too.
    expected = torch.zeros(5, 6)
    expected[1:4, 1:4] = 1
    expected[2, 3] = 0
    expected[:, 5] = 1
    assert torch.equal(certain, expected)
    regression = RidgeRegression()
    x, y = torch.randn(1, 3, 5, 6), torch.randn(1, 2, 5, 6)
    counted = expected[None, None]
    one = regression.statistics(x, y, cells, counted)
    wild = torch.where(counted > 0, x, 100 * torch.ones(()))
    other = regression.statistics(wild, y, cells, counted)
    torch.testing.assert_close(one.gram, other.gram)
    assert not torch.allclose(one.gram, regression.statistics(x, y, cells).gram)


def segment(network: TargetNet, masks: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(2)
    images, places = torch.rand(2, 3, 48, 64), torch.rand(1, 2, 3, 4)
    with torch.no_grad():
        before, now = network.features(images[:1]), network.features(images[1:])
        memory = network.remember(before, masks, places)
        found = network(now, places, ([memory], [memory]), memory.statistics, masks, near)
    return found.logits  # type: ignore[no-any-return]


def test_objects_do_not_see_one_another(network: TargetNet) -> None:
    masks = torch.zeros(3, 1, 48, 64)
    masks[0, :, 5:30, 5:30], masks[1, :, 10:40, 30:60], masks[2, :, 1:9, 40:50] = 1, 1, 1
    near = torch.tensor([1.0, 0.0, 1.0])
    together = segment(network, masks, near)
    assert together.shape == (3, 1, 24, 32)
    for index in range(3):
        alone = segment(network, masks[index : index + 1], near[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_regions_are_cut_and_put_back() -> None:
    regions = Regions(((0, 2), (1, 0)), (2, 3))
    maps = torch.rand(2, 5, 6, 10)
    parts = regions.cut(maps, 2)
    assert torch.equal(parts[0], maps[0, :, 0:4, 4:10])
    assert torch.equal(parts[1], maps[1, :, 2:6, 0:6])
    assert torch.equal(regions.cut(maps[:1], 2)[1], maps[0, :, 2:6, 0:6])
    whole = regions.put(parts, (6, 10), 2, -1.0)
    assert torch.equal(whole[1, :, 2:6, 0:6], maps[1, :, 2:6, 0:6])
    whole[0, :, 0:4, 4:10], whole[1, :, 2:6, 0:6] = -1, -1
    assert (whole == -1).all()
    flipped = regions.mirrored(5).cut(maps.flip(-1), 2)
    assert torch.equal(flipped.flip(-1), parts)


def test_a_region_is_all_that_is_decoded(network: TargetNet) -> None:
    torch.manual_seed(4)
    image, masks = torch.rand(1, 3, 64, 96), torch.zeros(2, 1, 64, 96)
    masks[0, :, 5:30, 5:30], masks[1, :, 30:60, 60:90] = 1, 1
    near, places = torch.ones(2), torch.rand(1, 2, 4, 6)
    noted: list[Any] = []
    hook = network.decoder.register_forward_pre_hook(lambda _, given: noted.append(given))
    with torch.no_grad():
        features = network.features(image)
        memory = network.remember(features, masks, places)
        rest = ([memory], [memory]), memory.statistics, masks, near
        everywhere = network(features, places, *rest)
        all_of_it = network(features, places, *rest, Regions(((0, 0), (0, 0)), (4, 6)))
        found = network(features, places, *rest, Regions(((0, 0), (1, 3)), (3, 3)))
    hook.remove()
    torch.testing.assert_close(all_of_it.logits, everywhere.logits, atol=1e-5, rtol=1e-4)
    # What is decoded are the cues of the whole window, cut.
    cues = [given[1][1] for given in noted]
    cut = Regions(((0, 0), (1, 3)), (3, 3)).cut(cues[0], 1)
    torch.testing.assert_close(cues[2], cut, atol=1e-5, rtol=1e-4)
    assert (found.logits[0, :, 24:] == -10).all()
    assert (found.logits[0, :, :, 24:] == -10).all()
    assert (found.logits[1, :, :8] == -10).all()
    assert (found.logits[1, :, :, :24] == -10).all()
    assert (found.logits[1, :, 8:, 24:] > -10).all()


def test_only_objects_in_sight_are_drawn_where_asked(network: TargetNet) -> None:
    torch.manual_seed(5)
    masks = torch.zeros(2, 1, 64, 96)
    masks[0, :, 5:30, 5:30], masks[1, :, 30:60, 60:90] = 1, 1
    places = torch.rand(1, 2, 4, 6)
    changed = copy.deepcopy(network)
    with torch.no_grad():
        features = changed.features(torch.rand(1, 3, 64, 96))
        memory = changed.remember(features, masks, places)
        given = features, places, ([memory], [memory]), memory.statistics, masks, None
        nn.init.normal_(changed.decoder.presence.weight, generator=torch.Generator().manual_seed(1))
        whole = changed(*given)
        # One of the two is in sight, by as much as the other is not.
        changed.decoder.presence.bias.sub_(whole.presence.mean())
        whole, found = changed(*given), changed(*given, only_present=True)
        known = (
            changed.presence(features, places, [memory], memory.statistics, None, found.read),
            changed.presence(features, places, [memory], memory.statistics),
        )
    torch.testing.assert_close(*known)
    torch.testing.assert_close(found.presence, whole.presence)
    away, there = whole.presence.argsort().tolist()
    assert whole.presence[away] < 0 < whole.presence[there]
    torch.testing.assert_close(found.logits[there], whole.logits[there])
    assert (found.logits[away] == NOWHERE).all()
    assert (whole.logits[away] != NOWHERE).any()


@pytest.mark.parametrize("count", [1, 3])
def test_matches_are_a_part_of_what_is_read(count: int) -> None:
    reader = MemoryReader(scale=7.0)
    drawn = draw_memory(count, 30)
    memory = replace(drawn, keys=drawn.keys[:1], mask=(2 * drawn.mask - 0.8).clamp(0, 1))
    query = torch.nn.functional.normalize(torch.randn(1, 5, 3, 4), dim=1)
    with torch.no_grad():
        read = reader(query, torch.zeros(1, 2, 3, 4), [memory], None)
        assert torch.equal(reader.matches(query, [memory]), read[:, -2].flatten(1))
    # With gradients, weights are a softmax in place of exponentials below a bound.
    torch.testing.assert_close(reader(query, torch.zeros(1, 2, 3, 4), [memory], None), read)


@pytest.mark.parametrize("nearness", [None, 3.0])
def test_objects_that_share_a_frame_are_read_as_alone(nearness: float | None) -> None:
    """Cells that no object covers, one covers, several cover, and an object without a cell."""
    reader = MemoryReader(scale=7.0, nearness=nearness)
    memories = [draw_memory(3, 9), draw_memory(3, 5, seed=1)]
    share = memories[0].mask * 0
    share[0, 0, 1:4], share[1, 0, 3:6], share[0, 0, 7] = 0.4, 1, 5e-5
    memories = [
        replace(m, keys=m.keys[:1].clone().requires_grad_(), mask=mask)
        for m, mask in zip(memories, (share, share[..., :5].roll(2, -1)), strict=True)
    ]
    query = torch.nn.functional.normalize(torch.randn(1, 5, 2, 3), dim=1).requires_grad_()
    places, near = torch.randn(3, 2, 2, 3), torch.tensor([1.0, 0.0, 1.0])
    given = [query, *(m.keys for m in memories), *reader.parameters()]
    together = reader(query, places, memories, near)
    alone = torch.cat(
        [
            reader(query, places[k : k + 1], [m.part(one) for m in memories], near[one])
            for k, one in enumerate(torch.tensor([[0], [1], [2]]))
        ]
    )
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(together[2], alone[2], atol=1e-5, rtol=1e-5)
    factors = torch.randn_like(alone)
    for found, wanted in zip(
        torch.autograd.grad((together * factors).sum(), given),
        torch.autograd.grad((alone * factors).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_the_finest_logits_are_the_same_where_an_object_can_be(
    size: tuple[int, int], network: TargetNet
) -> None:
    decoder, (rows, columns) = copy.deepcopy(network.decoder), (4 * side for side in size)
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(3, 8, rows, columns, generator=generator)
    # The third object is nowhere, and the others have less than all of the window.
    x[0, :, 5:, :], x[1, :, :, 7:], x[2] = 0, 0, 0
    fine = torch.rand(1, 64, 32, 48, generator=generator)
    regions = Regions(((0, 0), (4 - size[0], 6 - size[1]), (0, 0)), size)
    with torch.no_grad():
        decoder.coarse.weight.abs_().mul_(100)
        nn.init.constant_(decoder.coarse.bias, -6.0)  # type: ignore[arg-type]  # there is one
        coarse = decoder.coarse(x)
        found = decoder._finest(x, fine, None if size == (4, 6) else regions)
    wanted = decoder._finest(x, fine, None if size == (4, 6) else regions)
    assert wanted.requires_grad
    computed = found != NOWHERE
    torch.testing.assert_close(found[computed], wanted[computed], atol=1e-5, rtol=1e-5)
    possible = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest") > -3
    assert computed[possible].all()
    assert possible[:2].flatten(1).any(1).all()
    assert not computed[2].any()
    assert not computed.flatten(1).all(1).any()


@pytest.mark.parametrize("gradients", [False, True])
def test_logits_from_bytes_are_those_of_the_floats_they_stand_for(
    gradients: bool, network: TargetNet
) -> None:
    generator = torch.Generator().manual_seed(7)
    values = torch.randint(256, (2, 64, 32, 48), generator=generator, dtype=torch.uint8)
    fine = ByteMap(values, 0.01)
    assert fine.shape == values.shape
    x = torch.rand(2, 8, 16, 24, generator=generator)
    with torch.set_grad_enabled(gradients):
        found, wanted = (
            network.decoder._finest(x, level, None) for level in (fine, values.float() * 0.01)
        )
    assert found.requires_grad == gradients
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_features_stay_in_bytes_as_floats_and_as_parts() -> None:
    fine = ByteMap(torch.arange(2 * 3 * 16).view(2, 3, 4, 4).to(torch.uint8), 0.5)
    other = torch.full((2, 1, 2, 2), 0.25, dtype=torch.float16)
    features = Features((fine, other, other, other), other, other).float()
    assert features.levels[0] is fine
    assert features.levels[1].dtype == torch.float32
    second = features.part(1, 2).levels[0]
    assert torch.equal(as_floats(second), fine.floats()[1:])


def test_a_place_is_a_multiple_of_eight_cells_inside_the_map() -> None:
    filled = np.zeros(21, np.uint8)
    for first, last in ((0, 0), (20, 20), (3, 9), (1, 19), (11, 18)):
        filled[:] = 0
        filled[[first, last]] = 1
        start, stop = span_of(filled)
        assert 0 <= start <= max(0, first - 1)
        assert min(21, last + 2) <= stop <= 21
        assert stop - start in (8, 16, 21)


def test_a_lost_object_has_no_place(network: TargetNet) -> None:
    torch.manual_seed(3)
    images, masks = torch.rand(2, 3, 48, 64), torch.ones(1, 1, 48, 64)
    masks[..., :20] = 0
    with torch.no_grad():
        before, now = network.features(images[:1]), network.features(images[1:])
        results = []
        for places, previous in (
            (torch.zeros(1, 2, 3, 4), masks),
            (torch.rand(1, 2, 3, 4), 1 - masks),
        ):
            memory = network.remember(before, masks, places)
            lost = torch.zeros(1)
            results.append(
                network(now, places, ([memory], [memory]), memory.statistics, previous, lost).logits
            )
    torch.testing.assert_close(*results)


def test_files_bring_their_configuration(network: TargetNet, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_target_net(network, path)
    assert holds_target_net(str(path))
    again = load_target_net(path)
    assert again.config == SMALL
    masks, near = torch.ones(1, 1, 48, 64), torch.ones(1)
    torch.testing.assert_close(segment(again, masks, near), segment(network, masks, near))
    with pytest.raises(InputError, match="expected a foreground network, got"):
        load_network(path)
    with pytest.raises(InputError, match="expected a target network"):
        load_target_net(
            Path(__file__).parents[2] / "vostrack/models/weights/foreground.safetensors"
        )
    resumed = initialise_target_net("resnet18", str(path))
    assert resumed.config == SMALL


def test_only_the_last_backbone_stage_is_trained() -> None:
    network = build_target_net(SMALL)
    network.freeze_early_stages()
    trained = {
        name.split(".")[2]
        for name, p in network.named_parameters()
        if p.requires_grad and name.startswith("backbone.")
    }
    assert trained == {"layer3"}
    assert all(p.requires_grad for n, p in network.named_parameters() if "backbone" not in n)


@pytest.mark.parametrize(
    "change", [{"labels": 1}, {"key": 0}, {"widths": (1, 2, 3)}, {"backbone": "vgg"}]
)
def test_bad_settings_are_named(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        build_target_net(TargetNetConfig(**change))  # type: ignore[arg-type]


def test_other_backbones_fit() -> None:
    network = build_target_net(TargetNetConfig(backbone="mobilenet_v2"))
    features = network.features(torch.rand(1, 3, 32, 48))
    assert [tuple(level.shape[1:]) for level in features.levels] == [
        (16, 16, 24),
        (24, 8, 12),
        (32, 4, 6),
        (96, 2, 3),
    ]


def test_a_part_of_a_memory_is_of_those_objects() -> None:
    memory, index = draw_memory(3, 4), torch.tensor([2, 0])
    part = memory.part(index)
    for name in ("keys", "values", "mask", "positions"):
        assert torch.equal(getattr(part, name), getattr(memory, name)[index])
    shared = replace(memory, keys=memory.keys[:1]).part(index)
    assert torch.equal(shared.keys, memory.keys[:1])
