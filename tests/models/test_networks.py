"""The networks compute what the paper and torchvision say they do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from vostrack.errors import InputError
from vostrack.models.backbones import build_backbone
from vostrack.models.foreground import FusionHead, NetworkConfig, TopDownHead, build_network
from vostrack.models.normalization import FrozenBatchNorm2d, fold_batch_norm


def randomise_batch_norm(module: nn.Module) -> None:
    """Give every normalisation statistics and scales that a mistake would show in."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn_like(layer.bias) * 0.2
            layer.running_var = torch.rand_like(layer.bias) + 0.5
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("resnet18", {"relu": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}),
        ("resnet50", {"relu": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}),
        (
            "mobilenet_v2",
            {f"features.{k}": s for k, s in ((1, 2), (3, 4), (6, 8), (13, 16), (17, 32))},
        ),
    ],
)
def test_backbone_gives_torchvisions_features(name: str, nodes: dict[str, int]) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, (2, 4, 8, 16, 32)).eval()
    randomise_batch_norm(backbone)
    reference = torchvision.models.get_model(name, weights=None).eval()
    reference.load_state_dict(backbone.layers.state_dict(), strict=False)
    extract = create_feature_extractor(
        reference, {node: str(stride) for node, stride in nodes.items()}
    )
    image = torch.randn(1, 3, 65, 97)
    features, expected = backbone(image), extract(image)
    for feature, stride, channels in zip(
        features, backbone.strides, backbone.channels, strict=True
    ):
        torch.testing.assert_close(feature, expected[str(stride)], atol=1e-5, rtol=1e-4)
        assert feature.shape == (1, channels, -(-65 // stride), -(-97 // stride))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_folding_keeps_the_function(name: str) -> None:
    torch.manual_seed(1)
    backbone = build_backbone(name, (4, 8)).eval()
    randomise_batch_norm(backbone)
    image = torch.randn(2, 3, 33, 47)
    expected = [f.clone() for f in backbone(image)]
    fold_batch_norm(backbone.layers)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
    for actual, wanted in zip(backbone(image), expected, strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-3)


def test_frozen_batch_norm_keeps_its_statistics_in_training() -> None:
    layer = FrozenBatchNorm2d(4).train()
    before = layer.running_mean.clone()  # type: ignore[union-attr]
    layer(torch.randn(2, 4, 5, 5) + 3).sum().backward()
    torch.testing.assert_close(layer.running_mean, before)
    assert layer.weight.grad is not None


def test_deeper_layers_are_left_out() -> None:
    assert not hasattr(build_backbone("resnet18", (4, 8)).layers, "layer3")


def test_fusion_head_equals_concatenation() -> None:
    """Figure 2 of Cheng et al. (2017): upsample, concatenate, upsample, concatenate, 1x1, 1x1."""
    torch.manual_seed(2)
    channels, width = (5, 7, 9), 6
    head = FusionHead(channels, width, 2)
    for conv in [*head.reduce, head.classify]:
        nn.init.normal_(conv.weight)
    shallow, middle, deep = (
        torch.randn(1, c, *s) for c, s in zip(channels, [(13, 17), (7, 9), (4, 5)], strict=True)
    )

    def up(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)

    stacked = torch.cat([up(deep, middle), 0.2 * middle], dim=1)
    stacked = torch.cat([up(stacked, shallow), 0.2 * shallow], dim=1)
    convs = [conv for conv in head.reduce if isinstance(conv, nn.Conv2d)]
    weight = torch.cat([convs[k].weight for k in (2, 1, 0)], dim=1)
    # The one bias of the concatenated map sits at the shallowest level.
    fused = F.conv2d(stacked, weight, convs[0].bias)
    expected = head.classify(fused)
    torch.testing.assert_close(head([shallow, middle, deep]), expected, atol=1e-4, rtol=1e-4)


def test_top_down_head_has_the_shallowest_size() -> None:
    head = TopDownHead((4, 6, 8), 5, 3)
    features = [torch.randn(2, c, s, s + 2) for c, s in ((4, 21), (6, 11), (8, 6))]
    assert head(features).shape == (2, 3, 21, 23)


@pytest.mark.parametrize("head", ["fusion", "topdown"])
@pytest.mark.parametrize(("backbone", "strides"), [("resnet18", (4, 8)), ("mobilenet_v2", (8, 16))])
@pytest.mark.parametrize("size", [(37, 53), (64, 96)])
def test_logits_have_the_image_size(
    head: str, backbone: str, strides: tuple[int, ...], size: tuple[int, int]
) -> None:
    config = NetworkConfig(backbone, strides, head, 8)  # type: ignore[arg-type]
    network = build_network(config, outputs=3).eval()
    logits = network(torch.rand(2, 3, *size))
    assert logits.shape == (2, 3, *size)
    assert torch.isfinite(logits).all()


def test_the_papers_network() -> None:
    network = build_network(NetworkConfig()).eval()
    assert network.backbone.channels == (512, 1024, 2048)
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 65, 97)).shape == (1, 2, 65, 97)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"backbone": "resnet19"}, "resnet18"),
        ({"strides": (16, 8)}, "ascending"),
        ({"strides": (3,)}, "2, 4, 8, 16, 32"),
        ({"norm": "batch"}, "folded"),
        ({"head": "unet"}, "topdown"),
        ({"width": 0}, "at least 1"),
    ],
)
def test_unknown_parts_are_named(kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_network(NetworkConfig(**kwargs))  # type: ignore[arg-type]
