"""Files of propagation networks, and what a refiner needs besides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig, build_network
from vostrack.models.weights import load_network, save_network, shipped_weights
from vostrack.refine.spn import (
    LightGuidanceHead,
    LightSpnConfig,
    LightSpnRefiner,
    SpatialPropagationNetwork,
    SpnConfig,
    SpnRefiner,
    frozen_features,
)
from vostrack.refine.spn.options import SpnOptions
from vostrack.refine.spn.weights import build_spn, load_refiner, load_spn, save_spn


def test_frozen_features_are_the_backbones() -> None:
    network = build_network(NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded")).train()
    features = frozen_features(network)
    image = torch.rand(2, 3, 32, 48, requires_grad=True)
    maps = features(image)
    assert [m.shape for m in maps] == [(2, 64, 16, 24), (2, 64, 8, 12)]
    expected = network.backbone((image - network.mean) / network.std)
    torch.testing.assert_close(list(maps), expected)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("half", [False, True])
def test_files_bring_the_network_back(tmp_path: Path, half: bool) -> None:
    torch.manual_seed(0)
    light = LightGuidanceHead(LightSpnConfig((5, 6, 7), stride=4, width=8))
    whole = SpatialPropagationNetwork(SpnConfig(channels=2, n_rounds=1, gate_mode="always"))
    for network in (light, whole):
        path = tmp_path / "deep" / "spn.safetensors"
        save_spn(network, path, half=half)
        back = load_spn(path)
        assert type(back) is type(network)
        assert back.config == network.config
        assert not back.training
        for name, value in network.state_dict().items():
            stored = value.half().float() if half else value
            assert torch.equal(back.state_dict()[name], stored), name
    assert [p.name for p in path.parent.iterdir()] == ["spn.safetensors"]


def test_a_file_becomes_a_refiner_with_the_backbone_it_needs(tmp_path: Path) -> None:
    base = build_network(NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded"))
    image, scores = torch.rand(3, 33, 46), torch.rand(2, 33, 46)
    torch.manual_seed(0)
    head = LightGuidanceHead(LightSpnConfig(base.backbone.channels))
    head.open_gates()
    whole = SpatialPropagationNetwork(SpnConfig(channels=2, n_rounds=1)).eval()
    light_file, whole_file = tmp_path / "light.safetensors", tmp_path / "whole.safetensors"
    save_spn(head, light_file, base=base)
    save_spn(whole, whole_file)
    light = load_refiner(light_file, base=base)
    assert isinstance(light, LightSpnRefiner)
    with torch.no_grad():
        features = base.backbone((image[None] - base.mean) / base.std)
        expected = head.refine(head(image[None], features), scores)
    assert (expected - scores).abs().max() > 0.05
    torch.testing.assert_close(light(image, scores), expected)
    refined = load_refiner(whole_file)(image, scores)
    torch.testing.assert_close(refined, SpnRefiner(whole)(image, scores))
    for wrong in (None, build_network(NetworkConfig("resnet18", (4, 8), "topdown", 4, "folded"))):
        with pytest.raises(InputError, match=r"channels \(64, 64\), got (none|\(64, 128\))"):
            load_refiner(light_file, base=wrong)


def test_a_light_head_refuses_a_backbone_that_it_was_not_trained_on(tmp_path: Path) -> None:
    """Backbones with the same channels, but other weights."""
    shipped = load_network(shipped_weights())
    torch.manual_seed(1)
    other = build_network(shipped.config)
    head = LightGuidanceHead(LightSpnConfig(shipped.backbone.channels))
    recorded, unnamed = tmp_path / "recorded.safetensors", tmp_path / "unnamed.safetensors"
    save_spn(head, recorded, base=other)
    save_spn(head, unnamed)
    load_refiner(recorded, base=other)
    load_refiner(unnamed, base=shipped)
    for path, base in ((recorded, shipped), (unnamed, other)):
        with pytest.raises(InputError, match=r"was trained on the backbone foreground-\w+, got "):
            load_refiner(path, base=base)
    other_file = tmp_path / "other.safetensors"
    save_network(other, other_file)
    options = {"weights": str(recorded), "backbone": str(other_file)}
    assert isinstance(build_spn(SpnOptions(**options), torch.device("cpu")), LightSpnRefiner)
    with pytest.raises(InputError, match="`backbone`"):
        build_spn(SpnOptions(weights=str(recorded)), torch.device("cpu"))


def test_a_bare_state_dict_is_a_whole_network_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "spn.pt"
    torch.save(LightGuidanceHead(LightSpnConfig((3, 3))).state_dict(), path)
    with pytest.raises(InputError, match="does not contain a propagation network"):
        load_spn(path)
    torch.save(SpatialPropagationNetwork().state_dict(), path)
    assert isinstance(load_spn(path), SpatialPropagationNetwork)
    with pytest.raises(InputError, match="no file"):
        load_spn(tmp_path / "absent.safetensors")
