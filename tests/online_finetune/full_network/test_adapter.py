"""Object models from one generic network."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet, build_network
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter, FullNetworkConfig
from vostrack.online_finetune.full_network.finetune import FinetuneConfig

STEPS = FinetuneConfig(
    steps=25,
    optimizer="adamw",
    learning_rate=1e-3,
    head_learning_rate=3e-3,
    schedule="cosine",
    original_every=2,
    share_limits=(0.1, 0.9),
)
CONFIG = FullNetworkConfig(foreground=STEPS, objects=STEPS, precision="fp32")
FEW = replace(STEPS, steps=4)
SHORT = replace(CONFIG, foreground=FEW, objects=FEW)
Pair = tuple[Tensor, Tensor]


def jaccard(score: Tensor, truth: Tensor) -> float:
    found = score > 0.5
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("per_video", [False, True])
def test_each_object_gets_its_score_map(
    network: SegmentationNet, first_frame: Pair, per_video: bool
) -> None:
    image, labels = first_frame
    # The outputs of a per-video model start alike and must first grow apart.
    objects = replace(STEPS, steps=80) if per_video else STEPS
    config = replace(CONFIG, per_video=per_video, objects=objects)
    adapter = FullNetworkAdapter(network, config)
    adapter.start(image, labels)
    scores, foreground = adapter.scores(image)
    assert scores.shape == (2, 48, 64)
    assert foreground is not None
    assert foreground.shape == (48, 64)
    assert 0 <= scores.min() <= scores.max() <= 1
    for slot in (1, 2):
        assert jaccard(scores[slot - 1], labels == slot) > 0.6
    assert jaccard(foreground, (labels == 1) | (labels == 2)) > 0.6


def test_per_video_scores_cross_a_half_where_the_object_beats_the_background(
    network: SegmentationNet, first_frame: Pair
) -> None:
    image, labels = first_frame
    adapter = FullNetworkAdapter(network, replace(CONFIG, per_video=True))
    adapter.start(image, labels)
    scores, _ = adapter.scores(image)
    model = adapter._objects[0]
    with torch.inference_mode():
        probability = model(image[None])[0].softmax(0)
    winner = probability.argmax(0)
    ours = torch.where(scores.amax(0) > 0.5, scores.argmax(0) + 1, 0)
    assert torch.equal(ours, winner)


def test_the_generic_network_is_untouched(network: SegmentationNet, first_frame: Pair) -> None:
    before = copy.deepcopy(network.state_dict())
    FullNetworkAdapter(network, SHORT).start(*first_frame)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_without_foreground_steps_the_foreground_model_is_the_generic_one(
    network: SegmentationNet, first_frame: Pair
) -> None:
    config = replace(SHORT, foreground=replace(STEPS, steps=0))
    adapter = FullNetworkAdapter(network, config)
    adapter.start(*first_frame)
    _, foreground = adapter.scores(first_frame[0])
    with torch.inference_mode():
        expected = network(first_frame[0][None])[0].softmax(0)[1]
    assert foreground is not None
    torch.testing.assert_close(foreground, expected)


def test_object_models_start_from_the_foreground_model(
    network: SegmentationNet, first_frame: Pair
) -> None:
    config = replace(SHORT, objects=replace(STEPS, steps=0))
    adapter = FullNetworkAdapter(network, config)
    adapter.start(*first_frame)
    scores, foreground = adapter.scores(first_frame[0])
    assert foreground is not None
    torch.testing.assert_close(scores[0], foreground)
    torch.testing.assert_close(scores[1], foreground)


def test_a_single_object_may_share_its_model(network: SegmentationNet, first_frame: Pair) -> None:
    image, labels = first_frame
    single = labels.masked_fill(labels == 2, 0)
    reports: list[tuple[str, int, int]] = []
    adapter = FullNetworkAdapter(
        network,
        replace(SHORT, share_single=True),
        on_progress=lambda *report: reports.append(report),
    )
    adapter.start(image, single)
    scores, foreground = adapter.scores(image)
    assert foreground is not None
    assert torch.equal(scores[0], foreground)
    assert [r[1] for r in reports] == list(range(1, FEW.steps + 1))
    assert {r[0] for r in reports} == {"object 1"}


@pytest.mark.parametrize("per_video", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_state_goes_round(
    network: SegmentationNet, first_frame: Pair, per_video: bool, share: bool
) -> None:
    image, labels = first_frame
    if share:
        labels = labels.masked_fill(labels == 2, 0)
    short = replace(STEPS, steps=2)
    config = FullNetworkConfig(
        short, short, per_video=per_video, share_single=share, precision="fp32"
    )
    adapter = FullNetworkAdapter(network, config)
    adapter.start(image, labels)
    again = FullNetworkAdapter(network, config)
    again.load_state_dict(adapter.state_dict())
    for one, other in zip(adapter.scores(image), again.scores(image), strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_seed_reaches_the_augmentation(network: SegmentationNet, first_frame: Pair) -> None:
    short = replace(STEPS, steps=3, original_every=0)
    maps = []
    for seed in (0, 0, 1):
        adapter = FullNetworkAdapter(
            network, FullNetworkConfig(short, short, seed=seed, precision="fp32")
        )
        adapter.start(*first_frame)
        maps.append(adapter.scores(first_frame[0])[0])
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


def test_misuse(network: SegmentationNet) -> None:
    with pytest.raises(InputError, match="two outputs"):
        FullNetworkAdapter(build_network(network.config, 3))
    with pytest.raises(RuntimeError, match="before start"):
        FullNetworkAdapter(network).scores(torch.zeros(3, 8, 8))
