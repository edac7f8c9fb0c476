"""Coarse masks: each operation against another library's, and the draws."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Generator, Tensor

from vostrack.errors import InputError
from vostrack.refine.spn.degradation import (
    Degradation,
    DegradationConfig,
    Part,
    coarse_scores,
    draw_degradation,
)


@pytest.fixture
def mask() -> Tensor:
    """An L with a hole, off the middle, touching the left border."""
    mask = torch.zeros(40, 57, dtype=torch.bool)
    mask[5:30, :12] = True
    mask[22:30, 8:45] = True
    mask[10:14, 3:8] = False
    return mask


def inside(scores: Tensor, steepness: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The share of each cell that is inside, from its score."""
    share: np.ndarray[Any, np.dtype[np.float32]] = (scores.logit() / steepness / 2 + 0.5).numpy()
    return share


def test_nothing_but_the_steepness_by_default(mask: Tensor) -> None:
    scores = coarse_scores(mask, Degradation(steepness=3))
    expected = torch.where(mask, torch.tensor(3.0), torch.tensor(-3.0)).sigmoid()
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("spread", [4, 1, -2])
def test_spread_is_dilation_or_erosion(mask: Tensor, spread: int) -> None:
    scores = coarse_scores(mask, Degradation(spread=spread))
    side = 2 * abs(spread) + 1
    operation = ndimage.binary_dilation if spread > 0 else ndimage.binary_erosion
    # The outside of the image takes no part in either.
    expected = operation(mask.numpy(), np.ones((side, side)), border_value=spread < 0)
    np.testing.assert_array_equal(scores.numpy() > 0.5, expected)


@pytest.mark.parametrize("shift", [(3, -4), (-6, 2), (0, 1)])
def test_shift_moves_to_the_right_and_down(mask: Tensor, shift: tuple[int, int]) -> None:
    scores = coarse_scores(mask, Degradation(shift=shift)).numpy()
    expected = ndimage.shift(mask.numpy().astype(float), shift[::-1], order=0, mode="nearest")
    np.testing.assert_array_equal(scores > 0.5, expected > 0.5)


@pytest.mark.parametrize("blur", [0.3, 2.0, 4.5])
def test_blur_is_a_gaussian(mask: Tensor, blur: float) -> None:
    scores = coarse_scores(mask, Degradation(blur=blur, steepness=2))
    reach = int(np.ceil(3 * blur))
    expected = ndimage.gaussian_filter(
        mask.numpy().astype(np.float32), blur, mode="nearest", radius=reach
    )
    np.testing.assert_allclose(inside(scores, 2), expected, atol=1e-5)


def test_cells_have_one_score_each(mask: Tensor) -> None:
    one = coarse_scores(mask, Degradation(cell=100, steepness=2))
    np.testing.assert_allclose(inside(one, 2), mask.float().mean().item(), atol=1e-6)
    even = mask[:, :56]
    cells = inside(coarse_scores(even, Degradation(cell=8, steepness=2)), 2)
    means = even.float().reshape(5, 8, 7, 8).mean((1, 3))
    expected = torch.nn.functional.interpolate(means[None, None], (40, 56), mode="bilinear")[0, 0]
    np.testing.assert_allclose(cells, expected, atol=1e-6)


def test_parts_are_lost_inside_and_added_outside(mask: Tensor) -> None:
    radius = float(mask.sum() / np.pi) ** 0.5
    part = Part(place=0.0, radius=3 / radius, stretch=1.0)
    lost = coarse_scores(mask, Degradation(holes=(part,))) > 0.5
    first = mask.nonzero()[0]
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(57), indexing="ij")
    disc = (rows - first[0]).square() + (columns - first[1]).square() <= 9
    assert torch.equal(lost, mask & ~disc)
    # Of stretch 4, twice as tall and half as wide, at the last pixel of the background.
    tall = dataclasses.replace(part, place=1.0, stretch=4.0)
    added = coarse_scores(mask, Degradation(islands=(tall,))) > 0.5
    ellipse = ((rows - 39) / 6).square() + ((columns - 56) / 1.5).square() <= 1 + 1e-6
    assert torch.equal(added, mask | ellipse)
    # One that covers everything takes the whole of the other side, and no more.
    vast = Part(0.5, 100, 1.0)
    assert not (coarse_scores(mask, Degradation(holes=(vast,))) > 0.5).any()
    assert (coarse_scores(mask, Degradation(islands=(vast,))) > 0.5).all()
    both = coarse_scores(mask, Degradation(holes=(vast,), islands=(vast,))) > 0.5
    assert torch.equal(both, ~mask)


def test_noise_is_on_the_logits_of_the_cells_and_repeats(mask: Tensor) -> None:
    noisy = Degradation(noise=0.5, noise_seed=3)
    scores = coarse_scores(mask, noisy)
    assert torch.equal(scores, coarse_scores(mask, noisy))
    assert not torch.equal(scores, coarse_scores(mask, dataclasses.replace(noisy, noise_seed=4)))
    difference = scores.logit() - coarse_scores(mask, Degradation()).logit()
    assert difference.std().item() == pytest.approx(0.5, rel=0.1)
    assert difference.mean().abs() < 0.05


def test_empty_and_full_masks_stay_what_they_are() -> None:
    hard = Degradation((2, 1), 3, 2.0, 8.0, (Part(0.3, 0.5, 1.2),), (Part(0.3, 0.5, 1.2),))
    empty = coarse_scores(torch.zeros(40, 57, dtype=torch.bool), hard)
    assert empty.max() < 0.5
    full = coarse_scores(torch.ones(40, 57, dtype=torch.bool), dataclasses.replace(hard, holes=()))
    assert full.min() > 0.5


def test_draws_repeat_and_fill_their_ranges() -> None:
    config = DegradationConfig()
    draws = [draw_degradation(config, Generator().manual_seed(k)) for k in range(400)]
    assert draws == [draw_degradation(config, Generator().manual_seed(k)) for k in range(400)]

    def extent(values: list[float]) -> tuple[float, float]:
        return min(values), max(values)

    assert extent([d.shift[0] for d in draws]) == (-6, 6)
    assert extent([d.shift[1] for d in draws]) == (-6, 6)
    assert extent([d.spread for d in draws]) == (-6, 6)
    assert {len(d.holes) for d in draws} == {len(d.islands) for d in draws} == {0, 1, 2}
    for values, low, high in (
        ([d.blur for d in draws], 0, 5),
        ([d.cell for d in draws], 1, 16),
        ([d.noise for d in draws], 0, 1.5),
        ([d.steepness for d in draws], 2, 8),
        ([p.radius for d in draws for p in d.holes], 0.1, 0.5),
    ):
        found = extent(values)
        assert low <= found[0] < low + (high - low) * 0.02
        assert high - (high - low) * 0.05 < found[1] <= high
    # On a log scale, half of the cells are under 4 pixels.
    assert np.median([d.cell for d in draws]) == pytest.approx(4, rel=0.15)
    assert len({d.noise_seed for d in draws}) == 400
    uneven = DegradationConfig(holes=1, islands=3)
    draws = [draw_degradation(uneven, Generator().manual_seed(k)) for k in range(60)]
    assert {len(d.holes) for d in draws} == {0, 1}
    assert {len(d.islands) for d in draws} == {0, 1, 2, 3}
    harmless = DegradationConfig(0, 0, 0, 1, 0, 0, noise=0, steepness=(5, 5))
    drawn = draw_degradation(harmless, Generator().manual_seed(0))
    assert dataclasses.replace(drawn, noise_seed=0) == Degradation(steepness=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": 0.5}, r"degradation.cell: expected at least 1, got 0.5"),
        ({"shift": -1}, r"degradation.shift"),
        ({"holes": -1}, r"degradation.holes"),
        ({"part": (0.5, 0.1)}, r"degradation.part: expected 0 < lowest <= highest, got 0.5, 0.1"),
        ({"steepness": (0, 3)}, r"degradation.steepness"),
    ],
)
def test_ranges_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DegradationConfig(**change)
