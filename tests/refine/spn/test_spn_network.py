"""The networks: shapes, sizes, sharing of the guidance, and no harm before training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.protocols import Refiner
from vostrack.refine.spn import (
    DIRECTIONS,
    LightGuidanceHead,
    LightSpnConfig,
    LightSpnRefiner,
    SpatialPropagationNetwork,
    SpnConfig,
    SpnRefiner,
    network,
    propagate,
    refine_scores,
    scan,
)

Sample = Callable[..., Tensor]
CHANNELS = (6, 10)


@pytest.fixture(scope="module")
def spn() -> SpatialPropagationNetwork:
    torch.manual_seed(0)
    return SpatialPropagationNetwork(SpnConfig(channels=4)).eval()


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 45, 70, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def scores() -> Tensor:
    return torch.rand(3, 45, 70, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def square() -> Tensor:
    """Two objects with sharp borders."""
    mask = torch.zeros(2, 45, 70)
    mask[0, 10:30, 7:33] = 1
    mask[1, 12:44, 40:69] = 1
    return mask


def features(image: Tensor) -> list[Tensor]:
    """Stand in for a backbone: maps at strides 4 and 8, sizes rounded up."""
    height, width = image.shape[-2:]
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(len(image), c, -(-height // s), -(-width // s), generator=generator)
        for c, s in zip(CHANNELS, (4, 8), strict=True)
    ]


def trained_head(stride: int = 2) -> LightGuidanceHead:
    """A head whose gates are open and vary with its inputs."""
    torch.manual_seed(4)
    head = LightGuidanceHead(LightSpnConfig(CHANNELS, stride=2 if stride == 2 else 4))
    nn.init.normal_(head.gates.weight, std=0.5)
    nn.init.ones_(head.gates.bias)  # type: ignore[arg-type]  # the convolution has a bias
    return head


def test_default_sizes_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        whole = SpatialPropagationNetwork()
        gates = whole.guidance(torch.empty(3, 480, 854))
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
    trunk = vgg.make_layers(vgg.cfgs["D"])
    state = {f"features.{name}": value for name, value in trunk.state_dict().items()}
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: state)
    guide = SpatialPropagationNetwork(SpnConfig(channels=1, vgg_weights="IMAGENET1K_V1")).guide
    ends = (0, 4, 9, 16, 23, 30)
    with torch.no_grad():
        for stage, start, end in zip(guide.stages, ends, ends[1:], strict=False):
            layers = trunk[start + (start > 0) : end]
            x = torch.randn(1, layers[0].in_channels, 5, 6)
            assert torch.equal(stage(x.clone()), layers(x.clone()))
    with pytest.raises(InputError, match=r"vgg_weights: expected one of .*got 'best'"):
        SpatialPropagationNetwork(SpnConfig(channels=1, vgg_weights="best"))


def test_networks_refuse(spn: SpatialPropagationNetwork, image: Tensor, scores: Tensor) -> None:
    with pytest.raises(InputError, match=r"image: expected .*\(4, 45, 70\)"):
        spn.guidance(torch.zeros(4, 45, 70))
    with pytest.raises(InputError, match="belong to another image"):
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
    spn: SpatialPropagationNetwork, image: Tensor, scores: Tensor
) -> None:
    refiners: list[Refiner] = [SpnRefiner(spn), LightSpnRefiner(trained_head(), features)]
    for refiner in refiners:
        refined = refiner(image, scores)
        assert refined.shape == scores.shape
        assert not refined.requires_grad
        assert 0 <= refined.min() <= refined.max() <= 1
        assert refiner(image, scores[:0]).shape == (0, 45, 70)


@pytest.mark.parametrize("stride", [2, 4])
@torch.no_grad()
def test_light_gates_are_convex_and_at_their_stride(stride: int, image: Tensor) -> None:
    gates = trained_head(stride)(image[None], features(image[None]))
    assert gates.shape == (1, 1, 4, 3, -(-45 // stride), -(-70 // stride))
    assert (gates > 0).all()
    assert (gates.sum(dim=3) < 1).all()
    assert gates.std() > 0.01


@pytest.mark.parametrize("stride", [2, 4])
def test_a_head_without_training_does_no_harm(stride: int, image: Tensor, square: Tensor) -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS, stride=2 if stride == 2 else 4))
    refined = LightSpnRefiner(head, features)(image, square)
    assert (refined - square).abs().max() < 0.03
    assert torch.equal(refined > 0.5, square > 0.5)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_stays_whatever_the_gates(value: float, image: Tensor) -> None:
    constant = torch.full((2, 45, 70), value)
    refined = LightSpnRefiner(trained_head(), features)(image, constant)
    torch.testing.assert_close(refined, constant, rtol=0, atol=1e-6)


def test_object_and_background_are_refined_alike(image: Tensor, scores: Tensor) -> None:
    refine = LightSpnRefiner(trained_head(), features)
    refined = refine(image, scores)
    assert (refined - scores).abs().max() > 0.05
    torch.testing.assert_close(refine(image, 1 - scores), 1 - refined, rtol=0, atol=1e-5)


def test_relabelling_objects_commutes(image: Tensor, scores: Tensor) -> None:
    refine = LightSpnRefiner(trained_head(), features)
    order = [2, 0, 1]
    assert torch.equal(refine(image, scores[order]), refine(image, scores)[order])


def test_propagation_fills_a_region_up_to_its_edge() -> None:
    """A sure strip spreads along open gates into an unsure region, and not past closed ones."""
    gates = torch.full((1, 1, 4, 3, 20, 40), 0.33)
    gates[..., :10] = 0.0
    gates[..., 19:21] = 0.0
    scores = torch.full((1, 20, 40), 0.4)
    scores[:, :, 5:10] = 0.95
    refined = refine_scores(gates, scores)
    assert (refined[0, 1:-1, 10:19] > 0.5).all()
    torch.testing.assert_close(refined[..., 21:], scores[..., 21:])


def test_one_round_by_hand() -> None:
    """One row of gates 1/2 from the left: confidence decides who is believed."""
    gates = torch.zeros(1, 1, 4, 3, 1, 4)
    gates[0, 0, 0, 1] = 0.5
    scores = torch.tensor([[[1.0, 1.0, 0.4, 0.0]]])
    refined = refine_scores(gates, scores, n_rounds=1, reach=0, power=2)
    c = (2 * scores[0, 0] - 1) ** 2 + 1e-3
    evidence, weight = (c * scores[0, 0]).tolist(), c.tolist()
    sums = [list(v) for v in (evidence, weight)]
    for row in sums:
        for k in range(1, 4):
            row[k] = (row[k] + row[k - 1]) / 2
    # From the left as computed; along the other three directions, what lies there itself.
    expected = [
        (s + 3 * e) / (t + 3 * w)
        for s, e, t, w in zip(sums[0], evidence, sums[1], weight, strict=True)
    ]
    torch.testing.assert_close(refined[0, 0], torch.tensor(expected))
    blind = refine_scores(gates, scores, n_rounds=1, reach=0, power=0)
    torch.testing.assert_close(blind[0, 0, 1:3], torch.tensor([1.0, (0.7 + 3 * 0.4) / 4]))
    twice = refine_scores(gates, refined, n_rounds=1, reach=0, power=2)
    torch.testing.assert_close(refine_scores(gates, scores, n_rounds=2, reach=0, power=2), twice)


@pytest.mark.parametrize("stride", [2, 4])
def test_confidence_is_the_agreement_within_reach(stride: int) -> None:
    """A far wider square than the object leaves nobody sure, a small one both sides."""
    scores = torch.zeros(1, 64, 64)
    scores[:, 24:40, 24:40] = 1
    gates = torch.full((1, 1, 4, 3, 64 // stride, 64 // stride), 0.3)
    cells = torch.nn.functional.avg_pool2d(scores, stride)
    radius = 8 // stride
    window = torch.nn.functional.pad(cells[None], (2 * radius,) * 4, mode="replicate")
    kernel = torch.ones(2 * radius + 1).div(2 * radius + 1)
    tent = np.convolve(kernel, kernel)
    rows = torch.tensor(np.outer(tent, tent), dtype=torch.float32)[None, None]
    confidence = (2 * torch.nn.functional.conv2d(window, rows) - 1).abs() ** 3 + 1e-3
    evidence = torch.cat([confidence * cells[None], confidence], dim=1)
    sums = sum(scan(evidence, gates[:, :, k], d) for k, d in enumerate(DIRECTIONS))
    assert isinstance(sums, Tensor)
    change = torch.nn.functional.interpolate(
        sums[:, :1] / sums[:, 1:] - cells[None], (64, 64), mode="bilinear"
    )
    refined = refine_scores(gates, scores, n_rounds=1, reach=8, power=3)
    torch.testing.assert_close(refined, (scores + change[0]).clamp(0, 1))


def test_a_wrong_rim_gives_way_to_the_sure_inside_and_outside() -> None:
    """With gates closed at the true edge, a mask five pixels too wide shrinks to the edge."""
    truth = torch.zeros(1, 60, 80)
    truth[:, 20:40, 25:55] = 1
    coarse = torch.zeros(1, 60, 80)
    coarse[:, 15:45, 20:60] = 0.95
    inside = torch.nn.functional.avg_pool2d(truth, 2)[0]
    gates = torch.full((4, 3, 30, 40), 0.32)
    for k, (down, right) in enumerate(((0, -1), (0, 1), (-1, 0), (1, 0))):
        for j, side in enumerate((-1, 0, 1)):
            step = (side, right) if right else (down, side)
            source = inside.roll((-step[0], -step[1]), (0, 1))
            gates[k, j][source != inside] = 0
    refined = refine_scores(gates[None, None], coarse)
    wrong = [((s > 0.5) != (truth > 0.5)).sum().item() for s in (coarse, refined)]
    assert wrong[0] == 600
    assert wrong[1] < 60, wrong


def test_the_light_head_learns(image: Tensor, square: Tensor) -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS))
    batch = image[None]
    refined = refine_scores(head(batch, features(batch)), square * 0.8 + 0.1)
    torch.autograd.backward(nn.functional.mse_loss(refined, square))
    assert head.gates.weight.grad is not None
    assert head.gates.weight.grad.abs().max() > 0


def test_lower_precision_is_kept_outside(image: Tensor, scores: Tensor) -> None:
    refined = LightSpnRefiner(trained_head(), features)(image, scores.bfloat16())
    assert refined.dtype == torch.bfloat16
