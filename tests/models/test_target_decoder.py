"""The decoder: regions, what is drawn of them, and levels that stay in bytes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vostrack.models.byte_map import ByteMap, as_floats
from vostrack.models.lateral_map import LateralMap
from vostrack.models.near_places import span_of
from vostrack.models.regions import Regions
from vostrack.models.target_decoder import NOWHERE, TargetDecoder, _beside
from vostrack.models.target_net import Features, TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net

SMALL = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))


@pytest.fixture(scope="module")
def network() -> TargetNet:
    torch.manual_seed(0)
    return build_target_net(SMALL).eval()


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
        wanted = everywhere(decoder, x, fine, None if size == (4, 6) else regions)
    computed = found != NOWHERE
    torch.testing.assert_close(found[computed], wanted[computed], atol=1e-5, rtol=1e-5)
    possible = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest") > -3
    assert computed[possible].all()
    assert possible[:2].flatten(1).any(1).all()
    assert not computed[2].any()
    assert not computed.flatten(1).all(1).any()


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_the_finest_layers_learn_where_an_object_can_be(
    size: tuple[int, int], network: TargetNet
) -> None:
    decoder, (rows, columns) = copy.deepcopy(network.decoder), (4 * side for side in size)
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(3, 8, rows, columns, generator=generator)
    x[0, :, 5:, :], x[1, :, :, 7:], x[2] = 0, 0, 0
    fine = torch.rand(1, 64, 32, 48, generator=generator)
    regions = None
    if size != (4, 6):
        regions = Regions(((0, 0), (4 - size[0], 6 - size[1]), (0, 0)), size)
    with torch.no_grad():
        decoder.coarse.weight.abs_().mul_(100)
        nn.init.constant_(decoder.coarse.bias, -6.0)  # type: ignore[arg-type]  # there is one
        near = decoder._finest(x, fine, regions) != NOWHERE
    weights = torch.randn(near.shape, generator=generator)
    found = []
    for learned in (True, False):
        leaf = x.clone().requires_grad_()
        decoder.zero_grad(set_to_none=True)
        coarse = F.interpolate(decoder.coarse(leaf), scale_factor=2, mode="bilinear")
        if learned:
            logits = decoder._finest(leaf, LateralMap(decoder.lateral[0](fine)), regions)
        else:
            logits = torch.where(near, everywhere(decoder, leaf, fine, regions), coarse)
        (logits * weights).sum().backward()  # type: ignore[no-untyped-call]
        layers = decoder.reduce[2], decoder.lateral[0], decoder.smooth[2], decoder.fine
        weighed = [next(layer.parameters()) for layer in (*layers, decoder.coarse)]
        changed = [weight.grad for weight in weighed]
        found.append([logits.detach(), leaf.grad, *changed])
    assert near.any()
    assert not near.all()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)
    # Where the lateral layers learn as well, in training, all of them learn everywhere.
    wanted = everywhere(decoder, x, fine, regions)
    torch.testing.assert_close(decoder._finest(x, fine, regions), wanted, atol=1e-4, rtol=1e-4)


def everywhere(
    decoder: TargetDecoder, x: torch.Tensor, fine: torch.Tensor, regions: Regions | None
) -> torch.Tensor:
    """Compute all logits at stride 2, whether an object can be there or not."""
    details = decoder.reduce[2](x)
    details = F.interpolate(details, scale_factor=2, mode="bilinear")
    skip = decoder.lateral[0](fine)
    details = F.relu(details + (skip if regions is None else regions.cut(skip, 8)))
    details = decoder.fine(F.relu(decoder.smooth[2](details)))
    coarse = F.interpolate(decoder.coarse(x), scale_factor=2, mode="bilinear")
    logits: torch.Tensor = details + coarse
    return logits


def test_one_more_channel_keeps_the_layout() -> None:
    x, cover = torch.rand(2, 5, 6, 7), torch.rand(2, 1, 6, 7)
    wanted = torch.cat([x, cover], dim=1)
    last = x.contiguous(memory_format=torch.channels_last)
    for one, kept in ((x, torch.contiguous_format), (last, torch.channels_last)):
        found = _beside(one, cover)
        assert torch.equal(found, wanted)
        assert found.is_contiguous(memory_format=kept)


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
