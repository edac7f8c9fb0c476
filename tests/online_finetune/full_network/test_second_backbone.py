"""Fitted networks that see a second backbone, and backbones that several of them share."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from vostrack.models.add_semantic_backbone import with_semantic_backbone
from vostrack.models.foreground import NetworkConfig, SegmentationNet, build_network
from vostrack.models.semantic_backbone import SemanticBackbone
from vostrack.models.weights import load_semantic_backbone, load_target_net
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter, FullNetworkConfig
from vostrack.online_finetune.full_network.finetune import FinetuneConfig
from vostrack.online_finetune.full_network.networks import probabilities

HEAD_ONLY = FinetuneConfig(
    steps=3, optimizer="adamw", learning_rate=0.0, head_learning_rate=3e-3, original_every=1
)
CONFIG = FullNetworkConfig(HEAD_ONLY, HEAD_ONLY, precision="fp32")
Pair = tuple[Tensor, Tensor]


@pytest.fixture
def longer(network: SegmentationNet) -> SegmentationNet:
    return with_semantic_backbone(network, SemanticBackbone(0.75))


@pytest.mark.parametrize("head", ["topdown", "fusion"])
def test_it_changes_nothing_at_first(first_frame: Pair, head: Literal["topdown", "fusion"]) -> None:
    config = NetworkConfig("resnet18", (4, 8), "topdown", 8)
    plain = build_network(replace(config, head=head)).eval()
    longer = with_semantic_backbone(plain, SemanticBackbone(0.75))
    assert longer.config.semantic_scale == 0.75
    with torch.inference_mode():
        torch.testing.assert_close(longer(first_frame[0][None]), plain(first_frame[0][None]))


def test_fine_tuning_uses_it_and_leaves_it_as_it_is(
    longer: SegmentationNet, first_frame: Pair
) -> None:
    assert longer.semantic is not None
    before = copy.deepcopy(longer)
    adapter = FullNetworkAdapter(longer, CONFIG)
    adapter.start(*first_frame)
    new = adapter.state_dict()["objects"][0]["head.lateral.1.weight"][:, -320:]
    assert float(new.abs().amax()) > 0
    after = dict(longer.state_dict())
    assert all(torch.equal(after[name], value) for name, value in before.state_dict().items())


@pytest.mark.parametrize("per_video", [False, True])
def test_features_of_a_fixed_backbone_are_computed_once(
    longer: SegmentationNet, first_frame: Pair, per_video: bool
) -> None:
    config = replace(CONFIG, per_video=per_video)
    adapter = FullNetworkAdapter(longer, config)
    adapter.start(*first_frame)
    again = FullNetworkAdapter(longer, config)
    again.load_state_dict(adapter.state_dict())
    passes: list[int] = []
    longer.backbone.register_forward_hook(lambda *_: passes.append(1))
    found = adapter.scores(first_frame[0])
    assert len(passes) == 1
    restored = again.scores(first_frame[0])
    assert len(passes) == 2
    assert torch.equal(found.objects, restored.objects)


def test_networks_with_backbones_of_their_own_keep_them(
    longer: SegmentationNet, first_frame: Pair
) -> None:
    other = copy.deepcopy(longer)
    with torch.no_grad():
        for parameter in other.backbone.parameters():
            parameter.mul_(1.1)
    together = probabilities([longer, other], first_frame[0], "fp32")
    for network, seen in zip([longer, other], together, strict=True):
        assert torch.equal(seen, probabilities([network], first_frame[0], "fp32")[0])
    assert not torch.equal(*together)


def test_state_leaves_the_second_backbone_out(longer: SegmentationNet, first_frame: Pair) -> None:
    rate = replace(HEAD_ONLY, learning_rate=1e-3)
    config = FullNetworkConfig(rate, rate, precision="fp32")
    adapter = FullNetworkAdapter(longer, config)
    adapter.start(*first_frame)
    state = adapter.state_dict()
    assert not [name for name in state["foreground"] if "semantic" in name]
    again = FullNetworkAdapter(longer, config)
    again.load_state_dict(state)
    for one, other in zip(
        adapter.scores(first_frame[0]), again.scores(first_frame[0]), strict=True
    ):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_the_shipped_one_is_that_of_the_target_network() -> None:
    network = load_target_net()
    assert network.semantic is not None
    backbone, expected = load_semantic_backbone(), network.semantic.backbone
    assert backbone.scale == expected.scale
    assert all(
        torch.equal(a, b)
        for a, b in zip(backbone.state_dict().values(), expected.state_dict().values(), strict=True)
    )
