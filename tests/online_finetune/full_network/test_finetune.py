"""Fine-tuning changes what it should, as much as it should."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig, SegmentationNet
from vostrack.models.weights import initialise
from vostrack.online_finetune.full_network.finetune import (
    PAPER_RATE,
    FinetuneConfig,
    finetune,
    learning_rate_factor,
)

QUICK = FinetuneConfig(
    steps=30,
    optimizer="adamw",
    learning_rate=1e-3,
    head_learning_rate=3e-3,
    schedule="cosine",
    original_every=2,
    share_limits=(0.1, 0.9),
)
Pair = tuple[Tensor, Tensor]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def overlap(network: SegmentationNet, image: Tensor, target: Tensor) -> float:
    with torch.inference_mode():
        found = network(image[None])[0].softmax(0)[1] > 0.5
    truth = target == 1
    return float((found & truth).sum() / (found | truth).sum())


def test_zero_steps_change_nothing(network: SegmentationNet, first_frame: Pair) -> None:
    before = copy.deepcopy(network)
    finetune(
        network, first_frame[0], first_frame[1].clamp(max=1), replace(QUICK, steps=0), Generator()
    )
    assert same(network, before)


def test_it_learns_the_object(network: SegmentationNet, first_frame: Pair) -> None:
    image, labels = first_frame
    target = (labels == 1).long().masked_fill(labels == 255, 255)
    losses: list[float] = []
    config = replace(QUICK, steps=80)
    finetune(
        network,
        image,
        target,
        config,
        Generator().manual_seed(0),
        precision="fp32",
        on_step=lambda _, loss: losses.append(loss),
    )
    assert len(losses) == config.steps
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert overlap(network, image, target) > 0.7


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_same_seed_same_weights(
    network: SegmentationNet, first_frame: Pair, optimizer: Literal["sgd", "adamw"]
) -> None:
    config = replace(QUICK, steps=4, original_every=0, optimizer=optimizer)
    target = first_frame[1].clamp(max=1)
    results = []
    for seed in (0, 0, 1):
        copied = copy.deepcopy(network)
        generator = Generator().manual_seed(seed)
        finetune(copied, first_frame[0], target, config, generator, precision="fp32")
        results.append(copied)
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_statistics_stay_and_scales_move(network: SegmentationNet, first_frame: Pair) -> None:
    before = copy.deepcopy(network.state_dict())
    target = first_frame[1].clamp(max=1)
    finetune(network, first_frame[0], target, QUICK, Generator(), precision="fp32")
    after = network.state_dict()
    key = "backbone.layers.layer1.0.bn1"
    assert torch.equal(after[f"{key}.running_mean"], before[f"{key}.running_mean"])
    assert not torch.equal(after[f"{key}.weight"], before[f"{key}.weight"])


def test_at_a_rate_of_zero_the_backbone_is_left_as_it_is(
    network: SegmentationNet, first_frame: Pair
) -> None:
    """It gets no gradients either, which is what takes the time, and can be trained afterwards."""
    before = copy.deepcopy(network)
    seen: list[bool] = []
    target = first_frame[1].clamp(max=1)
    few = replace(QUICK, steps=2, learning_rate=0.0)
    network.backbone.register_forward_hook(
        lambda _module, _images, levels: seen.append(levels[-1].requires_grad)
    )
    finetune(network, first_frame[0], target, few, Generator())
    assert seen == [False, False]
    assert same(network.backbone, before.backbone)
    assert not same(network.head, before.head)
    finetune(network, first_frame[0], target, replace(QUICK, steps=1), Generator())
    assert seen[2:] == [True]
    assert not same(network.backbone, before.backbone)


@pytest.mark.parametrize("learn", [False, True])
def test_biases_of_folded_normalization_learn_where_asked(first_frame: Pair, learn: bool) -> None:
    config = NetworkConfig("resnet18", (4, 8), "topdown", 8, "folded")
    network = initialise(config, "none").eval()
    before = copy.deepcopy(network.state_dict())
    target = first_frame[1].clamp(max=1)
    few = replace(QUICK, steps=2, folded_biases=learn)
    finetune(network, first_frame[0], target, few, Generator(), precision="fp32")
    biases = [k for k in before if k.startswith("backbone.") and k.endswith(".bias")]
    moved = {k for k in biases if not torch.equal(before[k], network.state_dict()[k])}
    assert len(biases) > 5
    assert moved == (set(biases) if learn else set())


def test_the_papers_rate_for_a_mean_loss() -> None:
    """1e-8 per summed pixel over 480 x 854 pixels; momentum 0.99 makes up the factor of 100."""
    config = FinetuneConfig()
    assert config.learning_rate / (1 - config.momentum) == pytest.approx(1e-8 * 480 * 854)
    assert config.weight_decay * 480 * 854 == pytest.approx(5e-4)
    assert config.steps == 30_000
    assert pytest.approx(4.1e-5, rel=0.01) == PAPER_RATE


def test_a_mean_step_is_the_papers_summed_step(network: SegmentationNet, first_frame: Pair) -> None:
    """One SGD step by our configuration moves the weights as one of the summed loss does."""
    from vostrack.online_finetune.full_network.loss import balanced_cross_entropy

    image, target = torch.rand(3, 40, 40), torch.zeros(40, 40, dtype=torch.long)
    target[10:20, 10:30] = 1
    reference = copy.deepcopy(network)
    loss = balanced_cross_entropy(reference(image[None]), target[None]) * target.numel()
    loss.backward()  # type: ignore[no-untyped-call]
    weight = reference.head.classify.weight
    assert weight.grad is not None
    expected = weight.detach() - 1e-6 * weight.grad
    rate = 1e-6 * target.numel()
    config = FinetuneConfig(
        steps=1, learning_rate=rate, head_learning_rate=rate, weight_decay=0.0, original_every=1
    )
    finetune(network, image, target, config, Generator(), precision="fp32")
    torch.testing.assert_close(network.head.classify.weight.detach(), expected)


def test_schedules() -> None:
    halve = FinetuneConfig(halve_every=10)
    assert [learning_rate_factor(halve, s) for s in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    cosine = replace(QUICK, steps=10)
    factors = [learning_rate_factor(cosine, s) for s in range(10)]
    assert factors[0] == 1
    assert factors[5] == pytest.approx(0.5)
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] < 0.03


@pytest.mark.parametrize("change", [{"optimizer": "adam"}, {"schedule": "step"}, {"steps": -1}])
def test_bad_values(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        FinetuneConfig(**change)  # type: ignore[arg-type]
