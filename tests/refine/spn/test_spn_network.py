"""The networks: shapes, sizes, sharing of the guidance, and no harm before training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.protocols import Refiner
from vostrack.refine.spn import (
    LightGuidanceHead,
    LightSpnConfig,
    LightSpnRefiner,
    SpatialPropagationNetwork,
    SpnConfig,
    SpnRefiner,
    network,
    propagate,
    refine_scores,
)

Features = Callable[[Tensor], list[Tensor]]
BuildHead = Callable[..., LightGuidanceHead]
CHANNELS = (6, 10)  # of the features


@pytest.fixture(scope="module")
def spn() -> SpatialPropagationNetwork:
    torch.manual_seed(0)
    return SpatialPropagationNetwork(SpnConfig(channels=4)).eval()


def test_default_sizes_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        whole = SpatialPropagationNetwork()
        gates = whole.guidance(torch.zeros(3, 480, 854, device="meta"))
    assert gates.shape == (1, 32, 4, 3, 240, 432)
    encoder = sum(p.numel() for p in whole.guide.stages.parameters())
    assert encoder == 14_714_688  # VGG-16 without its classifier
    assert whole.guide.gates.out_channels == 384


@torch.no_grad()
def test_any_size_and_number_of_objects(
    spn: SpatialPropagationNetwork, image: Tensor, scores: Tensor
) -> None:
    gates = spn.guidance(image)
    assert gates.shape == (1, 4, 4, 3, 32, 48)
    assert (gates.abs().sum(dim=3) <= 1 + 1e-6).all()
    refined = spn.refine(gates, scores)
    assert refined.shape == scores.shape
    assert 0 <= refined.min() <= refined.max() <= 1
    one_by_one = torch.cat([spn.refine(gates, scores[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(refined, one_by_one)
    assert spn.refine(gates, scores[:0]).shape == (0, 45, 70)


@torch.no_grad()
def test_padding_is_mean_colour_and_background(
    spn: SpatialPropagationNetwork, image: Tensor, scores: Tensor
) -> None:
    padded = spn.mean.expand(3, 64, 96).clone()
    padded[:, :45, :70] = image
    with_background = torch.zeros(3, 64, 96)
    with_background[:, :45, :70] = scores
    whole = spn.refine(spn.guidance(padded), with_background)
    torch.testing.assert_close(spn.refine(spn.guidance(image), scores), whole[:, :45, :70])


@torch.no_grad()
def test_two_rounds_propagate_twice_with_the_same_gates(
    spn: SpatialPropagationNetwork, image: Tensor
) -> None:
    image, mask = image[:, :32, :64], torch.rand(2, 32, 64)
    gates = spn.guidance(image)
    state = spn.mask_branch(torch.stack([1 - mask, mask], dim=1))
    twice = propagate(propagate(state, gates), gates)
    doubled = nn.functional.interpolate(twice, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(spn.logits(gates, mask), spn.head(doubled))
    once = SpatialPropagationNetwork(SpnConfig(channels=4, n_rounds=1)).eval()
    once.load_state_dict(spn.state_dict())
    doubled = nn.functional.interpolate(propagate(state, gates), scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(once.logits(gates, mask), spn.head(doubled))


def test_every_parameter_is_trained(spn: SpatialPropagationNetwork, image: Tensor) -> None:
    batch = torch.stack([image, image.flip(2)])[..., :32, :32]
    logits = spn(batch, torch.rand(2, 32, 32))
    assert logits.shape == (2, 2, 32, 32)
    truth = torch.ones(2, 32, 32, dtype=torch.long)
    torch.autograd.backward(nn.functional.cross_entropy(logits, truth))
    untouched = [n for n, p in spn.named_parameters() if p.grad is None or not p.grad.any()]
    spn.zero_grad(set_to_none=True)
    assert untouched == []


def test_the_guide_lays_gates_out_by_direction_gate_channel() -> None:
    guide = network.VggGuidance(2)
    nn.init.zeros_(guide.gates.weight)
    guide.gates.bias = nn.Parameter(torch.arange(24.0))
    with torch.no_grad():
        raw = guide(torch.zeros(1, 3, 32, 32))
    assert raw.shape == (1, 2, 4, 3, 16, 16)
    assert raw[0, :, :, :, 5, 7].permute(1, 2, 0).flatten().tolist() == list(range(24))


def test_skips_reach_the_gates() -> None:
    guide = network.VggGuidance(2)
    for parameter in guide.decoders.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        dark, light = guide(torch.zeros(1, 3, 32, 32)), guide(torch.ones(1, 3, 32, 32))
    assert not torch.equal(dark, light)


def test_torchvision_weights_fill_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import VGG16_Weights, vgg

    torch.manual_seed(5)
    backbone = vgg.make_layers(vgg.cfgs["D"])
    state = {f"features.{name}": value for name, value in backbone.state_dict().items()}
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: state)
    guide = SpatialPropagationNetwork(SpnConfig(channels=1, vgg_weights="IMAGENET1K_V1")).guide
    ends = (0, 4, 9, 16, 23, 30)
    with torch.no_grad():
        for stage, start, end in zip(guide.stages, ends, ends[1:], strict=False):
            layers = backbone[start + (start > 0) : end]
            x = torch.randn(1, layers[0].in_channels, 5, 6)
            assert torch.equal(stage(x.clone()), layers(x.clone()))
    with pytest.raises(InputError, match=r"vgg_weights: expected one of .*got 'best'"):
        SpatialPropagationNetwork(SpnConfig(channels=1, vgg_weights="best"))


def test_networks_refuse(
    spn: SpatialPropagationNetwork,
    image: Tensor,
    scores: Tensor,
    features: Features,
    trained_head: BuildHead,
) -> None:
    with pytest.raises(InputError, match=r"image: expected .*\(4, 45, 70\)"):
        spn.guidance(torch.zeros(4, 45, 70))
    with pytest.raises(InputError, match="guidance of the same image"):
        spn.refine(torch.zeros(1, 4, 4, 3, 16, 16), scores)
    with pytest.raises(InputError, match=r"scores: expected \(N, h, w\)"):
        spn.refine(torch.zeros(1, 4, 4, 3, 32, 48), scores[0])
    for refiner in (SpnRefiner(spn), LightSpnRefiner(trained_head(), features)):
        with pytest.raises(InputError, match="refiner: expected an image"):
            refiner(image, scores[:, :-1])
    with pytest.raises(InputError, match=r"features: expected maps .*\(6, 10\)"):
        trained_head()(image[None], features(image[None])[:1])
    with pytest.raises(InputError, match="n_rounds: expected 1 or 2, got 3"):
        SpnConfig(n_rounds=3)
    with pytest.raises(InputError, match="channels: expected at least 1"):
        SpnConfig(channels=0)
    with pytest.raises(InputError, match="stride: expected 2 or 4, got 3"):
        LightSpnConfig(CHANNELS, stride=3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InputError, match="at least one feature"):
        LightSpnConfig(())
    with pytest.raises(InputError, match="width: expected at least 1"):
        LightSpnConfig(CHANNELS, width=0)
    with pytest.raises(InputError, match="n_rounds: expected at least 1, got 0"):
        LightSpnConfig(CHANNELS, n_rounds=0)
    with pytest.raises(InputError, match="refine_scores: expected gates"):
        refine_scores(torch.zeros(1, 4, 3, 5, 5), scores)


def test_both_refiners_keep_the_protocol(
    spn: SpatialPropagationNetwork,
    image: Tensor,
    scores: Tensor,
    features: Features,
    trained_head: BuildHead,
) -> None:
    refiners: list[Refiner] = [SpnRefiner(spn), LightSpnRefiner(trained_head(), features)]
    for refiner in refiners:
        refined = refiner(image, scores)
        assert refined.shape == scores.shape
        assert not refined.requires_grad
        assert 0 <= refined.min() <= refined.max() <= 1
        assert refiner(image, scores[:0]).shape == (0, 45, 70)
