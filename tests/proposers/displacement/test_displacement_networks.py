from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from vostrack.errors import InputError
from vostrack.proposers.displacement.backbones import (
    build_displacement_backbone,
    fill_displacement_backbone,
)
from vostrack.proposers.displacement.encoding import encode_labels, encoding_table
from vostrack.proposers.displacement.networks import (
    BoundaryHead,
    DisplacementHead,
    DisplacementNet,
    NetworkConfig,
    load_displacement_net,
    save_displacement_net,
)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def labels(height: int = 48, width: int = 64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 4, (2, height // 16, width // 16), generator=generator)
    return blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)


def test_heads_have_the_parameters_of_the_paper() -> None:
    """Table I: 1.27 and 0.13 million on top of the 23.45 million of the backbone's convolutions."""
    backbone, channels = build_displacement_backbone("resnet50")
    config = NetworkConfig.paper()
    assert parameters(DisplacementHead(channels, config.widths, 1.0)) == 1_269_120
    assert parameters(BoundaryHead(channels, config.boundary_width)) == 125_409
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.weight.numel() for m in convolutions) == 23_454_912


def test_light_network_is_small() -> None:
    assert parameters(DisplacementNet()) < 1_000_000


@pytest.mark.parametrize("config", [NetworkConfig(), NetworkConfig.paper()], ids=["light", "paper"])
def test_maps_are_a_quarter_of_the_label_map(config: NetworkConfig) -> None:
    network = DisplacementNet(config).eval()
    with torch.no_grad():
        field, boundary = network(labels())
    assert field.shape == (2, 2, 12, 16)
    assert boundary.shape == (2, 1, 12, 16)
    assert float(boundary.min()) >= 0
    assert float(boundary.max()) <= 1


def test_the_deepest_resnet_level_keeps_stride_16() -> None:
    backbone, channels = build_displacement_backbone("resnet50")
    with torch.no_grad():
        levels = backbone.eval()(torch.zeros(1, 3, 64, 64))
    assert [level.shape[-1] for level in levels] == [32, 16, 8, 4, 4]
    assert channels == (64, 256, 512, 1024, 2048)


def test_a_resnet_trunk_is_frozen_and_the_light_one_learns() -> None:
    paper = DisplacementNet(NetworkConfig.paper()).train()
    assert not any(p.requires_grad for p in paper.backbone.parameters())
    assert not any(m.training for m in paper.backbone.modules())
    light = DisplacementNet().train()
    (light(labels()).field.sum() + light(labels()).boundary.sum()).backward()
    assert all(p.grad is not None for p in light.parameters())


def test_mean_shift_is_taken_off_at_inference_only() -> None:
    network = DisplacementNet().eval()
    network.mean_shift.copy_(torch.tensor([3.0, -5.0]))
    with torch.no_grad():
        raw = network(labels()).field
    shifted = network.field_and_boundary(labels()).field
    torch.testing.assert_close(raw - shifted, torch.tensor([3.0, -5.0]).view(1, 2, 1, 1) + 0 * raw)


def test_gain_is_a_factor_on_the_field() -> None:
    network = DisplacementNet().eval()
    with torch.no_grad():
        before = network(labels()).field
        network.displacement.gain *= 2
        after = network(labels()).field
    torch.testing.assert_close(after, 2 * before)


@pytest.mark.parametrize("encoding", ["palette", "phase"])
def test_codes_tell_classes_apart(encoding: str) -> None:
    table = encoding_table(encoding)  # type: ignore[arg-type]  # parametrised by its values
    # Palette colours are what ImageNet backbones know; the light backbone is told where void is.
    assert torch.equal(table[255], table[0]) == (encoding == "palette")
    distances = torch.cdist(table[:21], table[:21]) + 10 * torch.eye(21)
    assert float(distances.min()) > 0.1
    encoded = encode_labels(torch.tensor([[[0, 3], [255, 7]]]), table)
    assert torch.equal(encoded[0, :, 0, 1], table[3])
    assert torch.equal(encoded[0, :, 1, 0], table[255])


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_network_comes_back(tmp_path: Path, half: bool) -> None:
    network = DisplacementNet(NetworkConfig(widths=(8, 16, 32), gain=3.0)).eval()
    network.mean_shift.copy_(torch.tensor([1.5, -0.25]))
    save_displacement_net(network, tmp_path / "net.safetensors", half=half)
    loaded = load_displacement_net(tmp_path / "net.safetensors")
    assert loaded.config == network.config
    assert not loaded.training
    expected = network.field_and_boundary(labels())
    result = loaded.field_and_boundary(labels())
    tolerance = 2e-1 if half else 0.0
    torch.testing.assert_close(result.field, expected.field, atol=tolerance, rtol=0.02)
    torch.testing.assert_close(loaded.mean_shift, network.mean_shift)


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        DisplacementNet()(torch.zeros(1, 40, 64, dtype=torch.int64))
    with pytest.raises(InputError, match="backbone: expected one of light"):
        NetworkConfig(backbone="vgg")  # type: ignore[arg-type]  # what a config file may hold
    with pytest.raises(InputError, match="widths"):
        dataclasses.replace(NetworkConfig(), boundary_width=6)
    with pytest.raises(InputError, match="from scratch"):
        fill_displacement_backbone(build_displacement_backbone("light")[0], "light", "imagenet")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected displacement network weights"):
        load_displacement_net(tmp_path / "other.pt")
    with pytest.raises(InputError, match="no file"):
        load_displacement_net(tmp_path / "absent.safetensors")


def test_a_resnet_takes_the_weights_of_a_file(tmp_path: Path) -> None:
    import torchvision

    donor = torchvision.models.resnet50(weights=None)
    torch.save(donor.state_dict(), tmp_path / "resnet50.pth")
    backbone, _ = build_displacement_backbone("resnet50")
    fill_displacement_backbone(backbone, "resnet50", str(tmp_path / "resnet50.pth"))
    weights = backbone.state_dict()["layers.layer4.2.conv3.weight"]
    torch.testing.assert_close(weights, donor.layer4[2].conv3.weight.detach())
