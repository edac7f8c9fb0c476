"""Boxes, targets and the losses over hard pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from vostrack.errors import InputError
from vostrack.proposers.hough_voting.bootstrapping import (
    Bootstrapping,
    bootstrapped_cross_entropy,
    hard_pixels,
    localization_loss,
    size_weights,
)
from vostrack.proposers.hough_voting.boxes import (
    box_overlap,
    cell_centres,
    decode_boxes,
    encode_boxes,
)
from vostrack.proposers.hough_voting.targets import cell_labels, instance_boxes, instance_targets


def draw_boxes(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-50, 300, (*shape[:-3], 2, *shape[-2:]))
    size = rng.uniform(1, 200, low.shape)
    return torch.from_numpy(np.concatenate([low, low + size], axis=-3)).float()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_decoding_undoes_encoding(seed: int) -> None:
    boxes, centres = draw_boxes(seed, (2, 4, 5, 7)), cell_centres(5, 7, 8)
    decoded = decode_boxes(encode_boxes(boxes, centres), centres)
    torch.testing.assert_close(decoded, boxes, rtol=0, atol=1e-3)


def test_a_transform_is_offset_and_size_over_the_unit() -> None:
    centres = cell_centres(2, 2, 8)
    assert centres[:, 1, 0].tolist() == [4, 12]
    box = torch.tensor([10.0, 20, 60, 220]).view(4, 1, 1).expand(4, 2, 2)
    transform = encode_boxes(box, centres)[:, 1, 0]
    np.testing.assert_allclose(transform, [0.31, 1.08, 0.5, 2.0], rtol=1e-6)


def test_a_box_that_ends_before_it_begins_is_made_one_pixel_or_overlaps_nothing() -> None:
    centres = cell_centres(1, 1, 8)
    backwards = torch.tensor([0.0, 0.0, -0.5, 0.3]).view(4, 1, 1)
    assert decode_boxes(backwards, centres)[2] - decode_boxes(backwards, centres)[0] == 1
    raw = decode_boxes(backwards, centres, min_size=None)
    assert box_overlap(raw, torch.tensor([-99.0, -99, 99, 99]).view(4, 1, 1)).item() == 0


def test_overlap_equals_torchvisions() -> None:
    first, second = draw_boxes(0, (4, 6, 6)), draw_boxes(1, (4, 6, 6))
    expected = box_iou(first.flatten(1).T, second.flatten(1).T).diagonal()
    torch.testing.assert_close(box_overlap(first, second).flatten(), expected)


def test_cells_take_the_label_and_the_box_under_their_centre() -> None:
    ids = torch.zeros(20, 21, dtype=torch.long)
    ids[2:9, 3:17] = 1
    ids[9:13, 4:13] = 2
    ids[0, 0] = 255
    boxes = instance_boxes(ids)
    assert boxes[1].tolist() == [3, 2, 17, 9]
    assert boxes[2].tolist() == [4, 9, 13, 13]
    assert boxes[255].tolist() == [0, 0, 0, 0]
    targets = instance_targets(ids, 8)
    assert targets.ids.tolist() == [[1, 1, 0], [2, 2, 0], [0, 0, 0]]
    assert targets.boxes[:, 1, 1].tolist() == [4, 9, 13, 13]
    assert targets.boxes[:, 2, 2].tolist() == [0, 0, 0, 0]
    assert cell_labels(ids, 1).equal(ids)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_hard_pixels_are_those_of_equation_1(seed: int, keep: int, threshold: float) -> None:
    if keep == 0 and threshold == 0:
        return
    rng = np.random.default_rng(seed)
    goodness = torch.from_numpy(np.round(rng.random((2, 5, 6)), 1)).float()
    valid = torch.from_numpy(rng.random((2, 5, 6)) < 0.8)
    chosen = hard_pixels(goodness, valid, Bootstrapping(keep, threshold))
    for good, allowed, kept in zip(goodness, valid, chosen, strict=True):
        values = sorted(good[allowed].tolist())
        last = values[min(keep, len(values)) - 1] if keep and values else -1.0
        for row in range(5):
            for column in range(6):
                g = good[row, column].item()
                expected = bool(allowed[row, column]) and (g < threshold or g <= last)
                assert bool(kept[row, column]) == expected
        assert int(kept.sum()) >= min(keep, len(values))


def test_cross_entropy_is_the_mean_over_the_hard_pixels_of_each_crop() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 6, 6, requires_grad=True)
    target = torch.randint(4, (2, 6, 6))
    target[0, 0] = 255
    probability = logits.softmax(1).gather(1, target.clamp(max=3)[:, None])[:, 0]
    kept: list[torch.Tensor] = []
    for item in range(2):
        counted = probability[item][target[item] != 255]
        kept += [-counted.sort().values[:5].log()]
    loss = bootstrapped_cross_entropy(logits, target, Bootstrapping(5))
    torch.testing.assert_close(loss, torch.cat(kept).mean())
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert int((logits.grad.abs().sum(1) > 0).sum()) == 10
    fixed = bootstrapped_cross_entropy(logits, target, Bootstrapping(0, 0.2))
    low = probability[(target != 255) & (probability < 0.2)]
    torch.testing.assert_close(fixed, -low.log().mean())
    plain = torch.nn.functional.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(bootstrapped_cross_entropy(logits, target, None), plain)


def test_nothing_to_learn_from_is_a_loss_of_zero() -> None:
    logits = torch.randn(1, 3, 4, 4)
    void = torch.full((1, 4, 4), 255)
    assert bootstrapped_cross_entropy(logits, void).item() == 0
    centres = cell_centres(4, 4, 8)
    nothing = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert (
        localization_loss(torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4), nothing, centres) == 0
    )


def test_size_weights_are_one_for_each_instance_and_balance_them() -> None:
    boxes = torch.zeros(1, 4, 1, 5)
    boxes[0, :, 0, :4] = torch.tensor([0.0, 0, 20, 20])[:, None]
    boxes[0, :, 0, 4] = torch.tensor([0.0, 0, 10, 10])
    valid = torch.ones(1, 1, 5, dtype=torch.bool)
    weights = size_weights(boxes, valid, 1.0)[0, 0]
    # Areas 400 and 100, their mean over the pixels 340.
    np.testing.assert_allclose(weights, [0.85] * 4 + [3.4], rtol=1e-6)
    np.testing.assert_allclose(size_weights(boxes, valid, 0.0)[0, 0], 1.0)
    np.testing.assert_allclose(
        size_weights(boxes, valid, 0.5)[0, 0], weights.numpy() ** 0.5, rtol=1e-6
    )


def test_localisation_learns_from_the_cells_whose_boxes_overlap_least() -> None:
    centres = cell_centres(1, 4, 8)
    true = torch.tensor([0.0, 0, 40, 40]).view(1, 4, 1, 1).expand(1, 4, 1, 4)
    transforms = encode_boxes(true, centres).clone()
    transforms[0, 2, 0] = torch.tensor([0.4, 0.5, 0.9, -0.1])  # widths 40 (right), 50, 90, -10
    transforms.requires_grad_()
    valid = torch.ones(1, 1, 4, dtype=torch.bool)
    loss = localization_loss(
        transforms, true, valid, centres, rule=Bootstrapping(2), size_exponent=0
    )
    assert loss.item() == pytest.approx(0.5 - 0.05, rel=1e-5)  # straight from 0.1 on
    loss.backward()  # type: ignore[no-untyped-call]
    assert transforms.grad is not None
    np.testing.assert_array_equal(transforms.grad[0, 2, 0] != 0, [False, False, True, True])
    far = localization_loss(
        transforms.detach() + 3, true, valid, centres, rule=None, size_exponent=0
    )
    expected = torch.nn.functional.smooth_l1_loss(
        transforms.detach() + 3, encode_boxes(true, centres), reduction="none", beta=0.1
    )
    assert far.item() == pytest.approx(expected.sum(1).mean().item(), rel=1e-5)


def test_a_box_that_ends_before_it_begins_is_the_hardest_of_all() -> None:
    centres = cell_centres(1, 2, 8)
    true = torch.tensor([0.0, 0, 40, 40]).view(1, 4, 1, 1).expand(1, 4, 1, 2)
    transforms = encode_boxes(true, centres).clone()
    transforms[0, 2, 0, 0] = -0.1
    transforms[0, 3, 0, 1] = 0.004  # a hundredth of the height, and of the overlap
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    loss = localization_loss(
        transforms, true, valid, centres, rule=Bootstrapping(1), size_exponent=0
    )
    assert loss.item() == pytest.approx(0.5 - 0.05, rel=1e-5)


@pytest.mark.parametrize(("keep", "threshold"), [(-1, 0.5), (5, 1.5), (0, 0.0)])
def test_rules_that_make_no_sense_are_refused(keep: int, threshold: float) -> None:
    with pytest.raises(InputError, match=r"expected|leaves no pixel"):
        Bootstrapping(keep, threshold)
