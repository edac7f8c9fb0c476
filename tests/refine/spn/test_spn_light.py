"""The light head and what it does to scores: gates, confidence, symmetry, and that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.refine.spn import (
    DIRECTIONS,
    LightGuidanceHead,
    LightSpnConfig,
    LightSpnRefiner,
    mix_scores,
    refine_scores,
    scan,
)
from vostrack.refine.spn.gates import normalize_gates, squared_contrast

Features = Callable[[Tensor], list[Tensor]]
Sources = dict[str, tuple[tuple[int, int], ...]]
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


@pytest.mark.parametrize("size", [(5, 7), (1, 4), (3, 1)])
def test_contrast_is_towards_the_three_sources_of_each_direction(
    size: tuple[int, int], sources: Sources
) -> None:
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(6))
    found = squared_contrast(image)
    assert found.shape == (2, 1, 4, 3, *size)
    height, width = size
    for d, direction in enumerate(DIRECTIONS):
        for k, (down, right) in enumerate(sources[direction]):
            for row in range(height):
                for column in range(width):
                    r, c = row + down, column + right
                    if 0 <= r < height and 0 <= c < width:
                        step = image[:, :, row, column] - image[:, :, r, c]
                        expected = (step**2).mean(dim=1)
                        torch.testing.assert_close(found[:, 0, d, k, row, column], expected)


@torch.no_grad()
def test_contrast_closes_gates_and_even_ground_leaves_them(
    features: Features, trained_head: BuildHead
) -> None:
    """With what the features and the image's values say kept the same."""
    plain, contrasted = trained_head(contrast=0.0), trained_head()
    assert "steepness" not in dict(plain.named_parameters())
    even = torch.full((1, 3, 45, 70), 0.4)
    assert torch.equal(contrasted(even, features(even)), plain(even, features(even)))
    step = even.clone()
    step[..., 30:] += 0.3  # twice the contrast that lowers a gate by half: by 2
    for head in (plain, contrasted):
        nn.init.zeros_(head.gates.weight)
        nn.init.ones_(head.gates.bias)  # type: ignore[arg-type]  # the convolution has a bias
    closed, opened = (h(step, features(step)) for h in (contrasted, plain))
    across = closed[0, 0, 0, :, 5, 15]  # from the left, over the step
    expected = normalize_gates(torch.full((3, 1, 1), -1.0), "convex").flatten()
    torch.testing.assert_close(across, expected)
    same = torch.ones(35, dtype=torch.bool)
    same[14:16] = False  # both sides of the step
    assert torch.equal(closed[..., same], opened[..., same])
    # Straight down along it nothing closes; the share of the gates across goes elsewhere.
    assert (closed[0, 0, 2, 1] >= opened[0, 0, 2, 1]).all()
    contrasted.steepness.data += math.log(2)
    steeper = contrasted(step, features(step))[0, 0, 0, :, 5, 15]
    torch.testing.assert_close(
        steeper, normalize_gates(torch.full((3, 1, 1), -3.0), "convex").flatten()
    )


@pytest.mark.parametrize("stride", [2, 4])
def test_a_head_without_training_does_no_harm(
    stride: int, image: Tensor, square: Tensor, features: Features
) -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS, stride=2 if stride == 2 else 4))
    refined = LightSpnRefiner(head, features)(image, square)
    assert (refined - square).abs().max() < 0.03
    assert torch.equal(refined > 0.5, square > 0.5)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@torch.no_grad()
def test_a_constant_stays_whatever_the_gates(
    value: float, image: Tensor, features: Features, trained_head: BuildHead
) -> None:
    constant = torch.full((2, 45, 70), value)
    head = trained_head()
    gates = head(image[None], features(image[None]))
    propagated = refine_scores(gates, constant)
    torch.testing.assert_close(propagated, constant, rtol=0, atol=1e-6)
    # All that is left is a pixel's own weight against that of what says the same.
    expected = mix_scores(constant, constant, head.mixing, head.config.unsure)
    refined = LightSpnRefiner(head, features)(image, constant)
    torch.testing.assert_close(refined, expected, rtol=0, atol=1e-6)


def test_object_and_background_are_refined_alike(
    image: Tensor, scores: Tensor, features: Features, trained_head: BuildHead
) -> None:
    refine = LightSpnRefiner(trained_head(), features)
    refined = refine(image, scores)
    assert (refined - scores).abs().max() > 0.05
    torch.testing.assert_close(refine(image, 1 - scores), 1 - refined, rtol=0, atol=1e-5)


@torch.no_grad()
def test_relabelling_objects_commutes(
    image: Tensor, scores: Tensor, features: Features, trained_head: BuildHead
) -> None:
    refine = LightSpnRefiner(trained_head(), features)
    order = [2, 0, 1]
    gates = refine.head(image[None], features(image[None]))
    propagated = refine_scores(gates, scores)
    assert torch.equal(refine_scores(gates, scores[order]), propagated[order])
    # Logarithms of a last, partly filled vector are rounded otherwise.
    torch.testing.assert_close(refine(image, scores[order]), refine(image, scores)[order])


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


def test_what_is_unsure_weighs_itself_against_what_reaches_it() -> None:
    scores = torch.tensor([0.0, 0.95, 0.951, 0.5, 0.3, 0.049, 1.0], dtype=torch.float64)
    propagated = torch.tensor([1.0, 0.1, 0.1, 0.8, 0.3, 0.9, 0.0]).double()
    mixed = mix_scores(scores, propagated, torch.tensor([0.5, 3.0]), math.log(19.0))
    expected = scores.clone()
    expected[3] = 1 / (1 + math.exp(-1.8))
    expected[4] = 1 / (1 + math.exp(-(0.5 * math.log(3 / 7) - 1.2)))
    # 0.95 has the logit log 19 itself, within rounding: either way is right.
    expected[1] = mixed[1]
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-6)
    sure = [0, 2, 5, 6]
    assert torch.equal(mixed[sure], scores[sure])


def test_an_object_that_is_sure_outlives_gates_that_are_wide_open() -> None:
    head = LightGuidanceHead(LightSpnConfig(CHANNELS, reach=2))
    gates = torch.full((1, 1, 4, 3, 60, 80), 0.32)
    scores = torch.zeros(1, 120, 160)
    scores[:, 40:80, 60:100] = 0.97
    assert (refine_scores(gates, scores, reach=2) < 0.5).all()
    assert torch.equal(head.refine(gates, scores), scores)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"unsure": 0.0}, "unsure"),
        ({"unsure": float("nan")}, "unsure"),
        ({"contrast": -1.0}, "contrast"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"power": -1}, "power"),
        ({"reach": -1}, "reach"),
        ({"stride": 3}, "stride"),
        ({"width": 0}, "width"),
        ({"feature_channels": ()}, "feature_channels"),
    ],
)
def test_impossible_heads_are_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"LightSpnConfig\.{named}: expected"):
        LightSpnConfig(**{"feature_channels": CHANNELS, **change})


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
