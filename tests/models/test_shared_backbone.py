"""Backbones: which features belong to which, and what a localisation head records of it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig, build_network
from vostrack.models.localizer import (
    LocalizerConfig,
    LocalizerHead,
    localizer_fingerprint,
    save_localizer,
)
from vostrack.models.shared_backbone import (
    backbone_fingerprint,
    backbone_levels,
    load_backbone_network,
)
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import load_target_net, save_target_net, shipped_weights


@pytest.fixture(scope="module")
def network() -> TargetNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
        return build_target_net(small).eval()


def test_a_fingerprint_depends_on_backbone_weights_only(network: TargetNet, tmp_path: Path) -> None:
    name = backbone_fingerprint(network)
    assert name.startswith("target-")
    assert backbone_fingerprint(copy.deepcopy(network)) == name
    save_target_net(network, tmp_path / "half.safetensors", half=True)
    assert backbone_fingerprint(load_target_net(tmp_path / "half.safetensors")) == name
    other = copy.deepcopy(network)
    other.key.weight.data += 1
    assert backbone_fingerprint(other) == name
    next(iter(other.backbone.last_stage.parameters())).data += 0.1
    assert backbone_fingerprint(other) != name


def test_a_name_tells_the_kind() -> None:
    like = NetworkConfig("resnet18", (2, 4, 8, 16), "topdown", 8, "folded")
    foreground, target = build_network(like), build_target_net()
    target.backbone.load_state_dict(foreground.backbone.state_dict())
    one, other = backbone_fingerprint(foreground), backbone_fingerprint(target)
    assert one.split("-")[0] == "foreground"
    assert one.split("-")[1] == other.split("-")[1]
    assert one != other


def test_the_two_shipped_backbones_differ_and_load_from_files() -> None:
    target, foreground = load_backbone_network("target"), load_backbone_network("foreground")
    assert (
        backbone_fingerprint(target).split("-")[1] != backbone_fingerprint(foreground).split("-")[1]
    )
    assert not foreground.training
    assert backbone_fingerprint(
        load_backbone_network("target", shipped_weights("target"))
    ) == backbone_fingerprint(target)
    with pytest.raises(InputError, match="expected a target network"):
        load_backbone_network("target", shipped_weights("foreground"))


def test_maps_are_those_that_the_networks_see(network: TargetNet) -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.features(image).levels
    for found, level in zip(backbone_levels(network, image), expected, strict=True):
        torch.testing.assert_close(found, level)


def test_a_head_records_its_backbone(tmp_path: Path) -> None:
    head = LocalizerHead(LocalizerConfig((8, 16), 4, (1,), 4, (1,)))
    save_localizer(head, tmp_path / "a.safetensors", backbone="target-0123")
    assert localizer_fingerprint(tmp_path / "a.safetensors") == "target-0123"
    save_localizer(head, tmp_path / "b.safetensors")
    assert localizer_fingerprint(tmp_path / "b.safetensors") is None
