"""The light head and what it does to scores: gates, confidence, symmetry, and that it learns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.refine.spn import (
    DIRECTIONS,
    LightGuidanceHead,
    LightSpnConfig,
    LightSpnRefiner,
    refine_scores,
    scan,
)

Features = Callable[[Tensor], list[Tensor]]
BuildHead = Callable[..., LightGuidanceHead]
CHANNELS = (6, 10)  # of the features


@pytest.mark.parametrize("stride", [2, 4])
@torch.no_grad()
def test_light_gates_are_convex_and_at_their_stride(
    stride: int, image: Tensor, features: Features, trained_head: BuildHead
) -> None:
    gates = trained_head(stride)(image[None], features(image[None]))
    assert gates.shape == (1, 1, 4, 3, -(-45 // stride), -(-70 // stride))
    assert (gates > 0).all()
    assert (gates.sum(dim=3) < 1).all()
    assert gates.std() > 0.01


@pytest.mark.parametrize("stride", [2, 4])
def test_a_head_without_training_does_no_harm(
    stride: int, image: Tensor, square: Tensor, features: Features
) -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS, stride=2 if stride == 2 else 4))
    refined = LightSpnRefiner(head, features)(image, square)
    assert (refined - square).abs().max() < 0.03
    assert torch.equal(refined > 0.5, square > 0.5)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_stays_whatever_the_gates(
    value: float, image: Tensor, features: Features, trained_head: BuildHead
) -> None:
    constant = torch.full((2, 45, 70), value)
    refined = LightSpnRefiner(trained_head(), features)(image, constant)
    torch.testing.assert_close(refined, constant, rtol=0, atol=1e-6)


def test_object_and_background_are_refined_alike(
    image: Tensor, scores: Tensor, features: Features, trained_head: BuildHead
) -> None:
    refine = LightSpnRefiner(trained_head(), features)
    refined = refine(image, scores)
    assert (refined - scores).abs().max() > 0.05
    torch.testing.assert_close(refine(image, 1 - scores), 1 - refined, rtol=0, atol=1e-5)


def test_relabelling_objects_commutes(
    image: Tensor, scores: Tensor, features: Features, trained_head: BuildHead
) -> None:
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


def test_the_light_head_learns(image: Tensor, square: Tensor, features: Features) -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS))
    batch = image[None]
    refined = refine_scores(head(batch, features(batch)), square * 0.8 + 0.1)
    torch.autograd.backward(nn.functional.mse_loss(refined, square))
    assert head.gates.weight.grad is not None
    assert head.gates.weight.grad.abs().max() > 0


def test_lower_precision_is_kept_outside(
    image: Tensor, scores: Tensor, features: Features, trained_head: BuildHead
) -> None:
    refined = LightSpnRefiner(trained_head(), features)(image, scores.bfloat16())
    assert refined.dtype == torch.bfloat16
