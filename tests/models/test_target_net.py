"""The target network: objects apart from one another, files, settings."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vostrack.errors import InputError
from vostrack.models.regions import Regions
from vostrack.models.target_decoder import NOWHERE
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
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
