"""The second backbone of a target network: its directions, its cues, and adding it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vostrack.errors import InputError
from vostrack.models.add_semantic_backbone import add_semantic_backbone
from vostrack.models.byte_map import as_floats
from vostrack.models.deeplab_mobilenetv2 import DeepLabMobileNetV2
from vostrack.models.semantic_backbone import SemanticBackbone, SemanticCues, principal_directions
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import load_target_net, save_target_net

SMALL = TargetNetConfig(
    key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4), semantic_channels=5
)


@pytest.fixture(scope="module")
def deeplab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "deeplab.pt"
    torch.save(DeepLabMobileNetV2().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def plain() -> TargetNet:
    torch.manual_seed(0)
    return build_target_net(SMALL).eval()


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(1, 3, 48, side, generator=generator) for side in (64, 96)]


@pytest.fixture(scope="module")
def network(plain: TargetNet, deeplab: Path, images: list[torch.Tensor]) -> TargetNet:
    return add_semantic_backbone(plain, deeplab, images, channels=5)


def test_principal_directions_are_those_of_the_singular_value_decomposition() -> None:
    rng = np.random.default_rng(0)
    columns = (rng.normal(size=(7, 7)) @ rng.normal(size=(7, 200)) + 3).astype(np.float32)
    rows, mean = principal_directions(torch.from_numpy(columns), 3)
    np.testing.assert_allclose(mean, columns.mean(1), rtol=1e-5)
    left = np.linalg.svd(columns - columns.mean(1, keepdims=True), full_matrices=False)[0][:, :3]
    np.testing.assert_allclose(np.abs(rows.numpy() @ left), np.eye(3), atol=1e-4)
    assert bool((rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all())


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.7])
def test_features_are_unit_vectors_on_the_grid_that_is_asked_for(scale: float) -> None:
    torch.manual_seed(0)
    backbone = SemanticBackbone(scale)
    image = torch.rand(2, 3, 64, 96, requires_grad=True)
    maps = backbone(image, (4, 6))
    assert maps.shape == (2, 320, 4, 6)
    assert not maps.requires_grad
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(2, 4, 6))


def test_features_are_those_of_the_whole_network(deeplab: Path) -> None:
    backbone = SemanticBackbone()
    backbone.load_deeplab(deeplab)
    whole = DeepLabMobileNetV2()
    whole.load_state_dict(torch.load(deeplab, weights_only=True))
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(whole.features(image * 2 - 1), dim=1)
        torch.testing.assert_close(backbone(image, (4, 6)), expected)


def test_the_cosine_of_two_keys_is_the_mean_of_the_cosines_of_their_parts() -> None:
    torch.manual_seed(0)
    cues = SemanticCues(5, 1.0)
    keys = torch.nn.functional.normalize(torch.randn(2, 8, 1, 1), dim=1)
    features = torch.nn.functional.normalize(torch.randn(2, 320, 1, 1), dim=1)
    with torch.no_grad():
        longer = cues.with_key(keys, features)[..., 0, 0]
        own = torch.nn.functional.normalize(cues.key(features), dim=1)[..., 0, 0]
    torch.testing.assert_close(longer.norm(dim=1), torch.ones(2))
    expected = 0.6 * (keys[0] * keys[1]).sum() + 0.4 * (own[0] * own[1]).sum()
    torch.testing.assert_close((longer[0] * longer[1]).sum(), expected)


def test_adding_it_changes_cues_alone(
    plain: TargetNet, network: TargetNet, images: list[torch.Tensor]
) -> None:
    with torch.inference_mode():
        before, after = plain.features(images[0]), network.features(images[0])
        for old, new in zip(before.levels, after.levels, strict=True):
            assert torch.equal(as_floats(old), as_floats(new))
        assert after.key.shape[1] == 8 + 5
        assert after.embedding.shape[1] == 6 + 5 + 1
        torch.testing.assert_close(after.embedding[:, 6:11].norm(dim=1), 3 * torch.ones(1, 3, 4))
        torch.testing.assert_close(after.key[:, :8], 0.6**0.5 * before.key)
        # What sees the new features through weights of zero sees what it saw.
        half = torch.rand(1, 1, 24, 32)
        torch.testing.assert_close(
            plain.encoder(half, before.deep), network.encoder(half, after.deep)
        )
    assert backbone_fingerprint(plain) == backbone_fingerprint(network)
    assert plain.semantic is None


def test_every_part_that_sees_the_features_learns_and_they_do_not(
    network: TargetNet, images: list[torch.Tensor]
) -> None:
    features = network.features(images[0])
    positions = torch.zeros(1, 2, 3, 4)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 10:30, 10:40] = 1
    memory = network.remember(features, mask, positions)
    found = network(
        features, positions, ([memory], [memory]), memory.statistics, mask, torch.ones(1)
    )
    network.zero_grad()
    (found.logits.square().mean() + found.classified.square().mean()).backward()
    assert network.semantic is not None
    cues = network.semantic
    for name, parameter in [*cues.key.named_parameters(), *cues.embedding.named_parameters()]:
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name
    for single in (cues.key_share, cues.embedding_norm):
        assert single.grad is not None
        assert float(single.grad) != 0
    for weight in (network.encoder.context.weight, network.decoder.lateral[3].weight):
        assert isinstance(weight, torch.Tensor)
        assert weight.grad is not None
        assert bool(weight.grad[:, 256:].abs().sum() > 0)
    assert all(p.grad is None for p in cues.backbone.parameters())
    network.zero_grad()


def test_files_bring_it(network: TargetNet, images: list[torch.Tensor], tmp_path: Path) -> None:
    save_target_net(network, tmp_path / "net.safetensors")
    again = load_target_net(tmp_path / "net.safetensors")
    assert again.config == replace(SMALL, semantic="deeplab")
    with torch.inference_mode():
        assert torch.equal(again.features(images[1]).key, network.features(images[1]).key)


def test_what_does_not_fit_is_named(network: TargetNet, plain: TargetNet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a second backbone already"):
        add_semantic_backbone(network, tmp_path / "none.pt", [])
    with pytest.raises(InputError, match="no file"):
        add_semantic_backbone(plain, tmp_path / "none.pt", [])
    for change in ({"semantic": "other"}, {"semantic_scale": 0.0}, {"semantic_channels": 0}):
        with pytest.raises(InputError, match=next(iter(change))):
            replace(SMALL, **change)
