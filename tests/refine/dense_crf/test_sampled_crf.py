"""The sampled dense CRF: against direct sums, one implementation against the other, on edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.dense_crf import (
    DenseCrfRefiner,
    SampledCrfConfig,
    SampledCrfRefiner,
    sampled_cells,
)
from vostrack.refine.dense_crf.sampled import messages
from vostrack.refine.dense_crf.sampled_reference import messages_at_pixel

SMALL = SampledCrfConfig(spatial_sigma=1.2, bilateral_sigma=7.0, colour_sigma=30.0)
EVERY_STRIDE = [1, 2, 3, 7]


def scene(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw an image (3, h, w), scores (h, w), and a third of the pixels in any order."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, height, width, generator=generator) * 0.5
    score = torch.rand(height, width, generator=generator)
    chosen = torch.randperm(height * width, generator=generator)[: height * width // 3 + 1]
    return image, score, chosen // width, chosen % width


@pytest.mark.parametrize("stride", EVERY_STRIDE)
@pytest.mark.parametrize("size", [(13, 17), (1, 1), (1, 12), (9, 1), (2, 3)])
def test_messages_are_those_of_the_reference(stride: int, size: tuple[int, int]) -> None:
    image, score, rows, columns = scene(*size)
    near, alike = messages(image, score, rows, columns, SMALL, stride)
    for n, place in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        expected = messages_at_pixel(image, score, place, SMALL, stride)
        assert float(near[n]) == pytest.approx(expected[0], abs=1e-5)
        assert float(alike[n]) == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.parametrize("stride", EVERY_STRIDE)
@pytest.mark.parametrize("corner", [(0, 0), (26, 33), (57, 71)])
def test_messages_to_a_few_pixels_see_what_is_around(corner: tuple[int, int], stride: int) -> None:
    image, score, _, _ = scene(61, 75)
    rows, columns = (first + torch.tensor([0, 1, 3]) for first in corner)
    near, alike = messages(image, score, rows, columns, SMALL, stride)
    for n, place in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        expected = messages_at_pixel(image, score, place, SMALL, stride)
        assert float(near[n]) == pytest.approx(expected[0], abs=1e-5)
        assert float(alike[n]) == pytest.approx(expected[1], abs=1e-4)


def test_uncertain_pixels_are_found_wherever_they_are() -> None:
    image, noise, _, _ = scene(50, 60)
    score = torch.zeros(50, 60)
    score[21:37, 33:52] = noise[21:37, 33:52]
    rows, columns = (torch.logit(score).abs() < SMALL.unsure).nonzero().unbind(1)
    stride = SMALL.stride(len(rows))
    near, alike = messages(image, score, rows, columns, SMALL, stride)
    own = SMALL.unary_weight * torch.logit(score[rows, columns])
    expected = score.clone()
    expected[rows, columns] = (
        own + SMALL.spatial_weight * near + SMALL.bilateral_weight * alike
    ).sigmoid()
    assert len(rows) > 100
    torch.testing.assert_close(SampledCrfRefiner(SMALL)(image, score[None])[0], expected)


def test_cells_in_several_batches_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image, score, rows, columns = scene(61, 83)
    whole = messages(image, score, rows, columns, SMALL, 4)
    monkeypatch.setattr(sampled_cells, "_WEIGHTS", 1000)
    parts = messages(image, score, rows, columns, SMALL, 4)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def test_no_pixels_have_no_messages() -> None:
    image, score, _, _ = scene(9, 9)
    none = torch.zeros(0, dtype=torch.int64)
    near, alike = messages(image, score, none, none, SMALL, 4)
    assert near.shape == alike.shape == (0,)


@pytest.fixture
def edge() -> tuple[Tensor, Tensor, Tensor]:
    """Two colours that meet at column 40, and soft scores that put the edge at column 43."""
    generator = torch.Generator().manual_seed(3)
    image = torch.full((3, 60, 80), 0.3)
    image[:, :, 40:] = 0.6
    image += 0.01 * torch.randn(image.shape, generator=generator)
    across = torch.arange(80.0)
    score = torch.sigmoid((43 - across) / 3).expand(60, 80).clone()
    truth = (across < 40).expand(60, 80)
    return image, score, truth


def test_scores_move_to_the_edge_of_the_colours(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, truth = edge
    refined = SampledCrfRefiner()(image, score[None])[0]
    assert ((score > 0.5) != truth).float().mean() > 0.03
    assert ((refined > 0.5) == truth).all()


def test_it_does_what_the_whole_crf_does(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, _ = edge
    whole = DenseCrfRefiner()(image, score[None])[0]
    refined = SampledCrfRefiner()(image, score[None])[0]
    assert ((whole > 0.5) == (refined > 0.5)).float().mean() > 0.995


def test_object_and_background_are_alike(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, _ = edge
    refine = SampledCrfRefiner(SampledCrfConfig(iterations=3))
    one, other = refine(image, score[None]), refine(image, 1 - score[None])
    torch.testing.assert_close(one, 1 - other, atol=1e-4, rtol=0)


def test_what_is_sure_stays(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, _ = edge
    config = SampledCrfConfig(unsure=1.0)
    refined = SampledCrfRefiner(config)(image, score[None])[0]
    sure = torch.logit(score).abs() > 1.001
    assert torch.equal(refined[sure], score[sure])
    assert not torch.isclose(refined[~sure], score[~sure], atol=1e-3).all()
    assert refined.min() >= 0
    assert refined.max() <= 1


def test_objects_do_not_meet(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, _ = edge
    scores = torch.stack([score, score.flip(0, 1), torch.zeros_like(score)])
    before = scores.clone()
    refine = SampledCrfRefiner(SampledCrfConfig(pairs=10**9))
    together = refine(image, scores)
    for one, alone in zip(together, scores, strict=True):
        assert torch.equal(one, refine(image, alone[None])[0])
    assert torch.equal(scores, before)
    assert refine(image, scores[:0]).shape == (0, 60, 80)


def test_iterations_go_on_from_one_another(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, _ = edge
    none, one, two = (
        SampledCrfRefiner(SampledCrfConfig(iterations=n))(image, score[None]) for n in (0, 1, 2)
    )
    torch.testing.assert_close(none[0], score)
    # Pixels that agree by now pull harder.
    assert (two - 0.5).abs().mean() > (one - 0.5).abs().mean() + 1e-4


def test_more_pixels_take_a_coarser_grid() -> None:
    config = SampledCrfConfig()
    strides = [config.stride(pixels) for pixels in (1, 10_000, 30_000, 100_000, 10**9)]
    assert strides == sorted(strides)
    assert strides[0] == 4
    assert len(set(strides)) >= 4
    for pixels in (1, 10_000, 30_000, 100_000):
        stride = config.stride(pixels)
        assert pixels * (2 * config.radius(stride) + 1) ** 2 <= config.pairs


def test_half_precision_scores_keep_their_type(edge: tuple[Tensor, Tensor, Tensor]) -> None:
    image, score, truth = edge
    refined = SampledCrfRefiner()(image, score[None].bfloat16())
    assert refined.dtype == torch.bfloat16
    assert ((refined[0] > 0.5) == truth).float().mean() > 0.99


@pytest.mark.parametrize(
    "changes", [{"unary_weight": -1}, {"iterations": -1}, {"reach": 0}, {"pairs": 0}]
)
def test_bad_settings_are_named(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        SampledCrfConfig(**changes)  # type: ignore[arg-type]  # of every kind


def test_sizes_must_fit() -> None:
    with pytest.raises(InputError, match="SampledCrfRefiner"):
        SampledCrfRefiner()(torch.zeros(3, 4, 5), torch.zeros(1, 4, 6))


def test_a_step_adds_what_the_two_kernels_say() -> None:
    image, drawn, _, _ = scene(11, 14)
    score = drawn[None] * 0.9 + 0.05
    config = replace(SMALL, unsure=10.0)
    rows, columns = (
        index.flatten()
        for index in torch.meshgrid(torch.arange(11), torch.arange(14), indexing="ij")
    )
    near, alike = messages(image, score[0], rows, columns, config, 4)
    margin = 0.4 * torch.logit(score.flatten()) + 1.0 * near + 2.0 * alike
    refined = SampledCrfRefiner(config)(image, score)
    torch.testing.assert_close(refined.flatten(), margin.sigmoid(), atol=1e-5, rtol=0)
