"""Eq. 1 of Cheng et al. (2017), by hand and by loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vostrack.online_finetune.full_network.loss import balanced_cross_entropy


def loop_loss(logits: Tensor, target: Tensor) -> float:
    """Eq. 1, pixel by pixel, for two classes, divided by the number of labelled pixels."""
    total = 0.0
    for sample, labels in zip(logits, target, strict=True):
        probability = sample.softmax(0)
        counted = [(y, x) for y, x in (labels != 255).nonzero().tolist()]
        foreground = [(y, x) for y, x in counted if labels[y, x] == 1]
        w = len(foreground) / len(counted)
        value = 0.0
        for y, x in counted:
            if labels[y, x] == 1:
                value -= (1 - w) * math.log(probability[1, y, x])
            else:
                value -= w * math.log(probability[0, y, x])
        total += value / len(counted)
    return total / len(logits)


def test_by_hand() -> None:
    # One foreground pixel of four, w = 1/4, every probability 1/2.
    target = torch.tensor([[[1, 0], [0, 0]]])
    expected = (0.75 * math.log(2) + 3 * 0.25 * math.log(2)) / 4
    loss = balanced_cross_entropy(torch.zeros(1, 2, 2, 2), target)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_by_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, 7, 9, generator=generator)
    target = torch.randint(0, 2, (2, 7, 9), generator=generator)
    target[torch.rand(2, 7, 9, generator=generator) < 0.3] = 255
    loss = balanced_cross_entropy(logits, target)
    assert loss.item() == pytest.approx(loop_loss(logits, target), rel=1e-5)


def test_ignored_pixels_have_no_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    target = torch.randint(0, 2, (1, 4, 4))
    target[0, 1:3] = 255
    balanced_cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad[0, :, 1:3].any()
    assert logits.grad[0, :, 0].any()


def test_both_classes_pull_equally() -> None:
    """With equal probabilities the classes' total gradients cancel, whatever their shares."""
    logits = torch.zeros(1, 2, 10, 10, requires_grad=True)
    target = torch.zeros(1, 10, 10, dtype=torch.long)
    target[0, :1, :3] = 1
    balanced_cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.sum((0, 2, 3)).abs().max() < 1e-7


def test_one_class_alone_weighs_nothing_unless_limited() -> None:
    logits = torch.randn(1, 2, 4, 4)
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    assert balanced_cross_entropy(logits, target).item() == 0
    assert balanced_cross_entropy(logits, target, share_limits=(0.1, 0.9)).item() > 0
    nothing = torch.full((1, 4, 4), 255)
    assert balanced_cross_entropy(logits, nothing, share_limits=(0.1, 0.9)).item() == 0


def test_more_classes_weigh_by_the_share_of_the_others() -> None:
    target = torch.tensor([[[0, 0], [1, 2]]])
    logits = torch.zeros(1, 3, 2, 2)
    expected = math.log(3) * (2 * 0.5 + 0.75 + 0.75) / 4
    assert balanced_cross_entropy(logits, target).item() == pytest.approx(expected)
