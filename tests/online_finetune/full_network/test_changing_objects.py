"""Whole networks for objects that come, go and are corrected."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.models.foreground import SegmentationNet
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter, FullNetworkConfig
from vostrack.online_finetune.full_network.finetune import FinetuneConfig

Frame = tuple[Tensor, Tensor]


def config(**changes: Any) -> FullNetworkConfig:
    schedule = FinetuneConfig(
        steps=2, optimizer="adamw", learning_rate=1e-3, head_learning_rate=1e-2
    )
    return FullNetworkConfig(schedule, schedule, precision="fp32", **changes)


@pytest.fixture(params=["per object", "single", "per video"])
def adapter(request: pytest.FixtureRequest, network: SegmentationNet) -> FullNetworkAdapter:
    options = {"single": {"share_single": True}, "per video": {"per_video": True}}
    return FullNetworkAdapter(network, config(**options.get(request.param, {})))


def restored(adapter: FullNetworkAdapter, network: SegmentationNet) -> FullNetworkAdapter:
    file = io.BytesIO()
    torch.save([adapter.state_dict(), adapter.running_state()], file)
    file.seek(0)
    start, running = torch.load(file, weights_only=True)
    other = FullNetworkAdapter(network, adapter.config)
    other.load_state_dict(start)
    other.load_running_state(running)
    return other


def test_objects_come_go_and_are_corrected(
    adapter: FullNetworkAdapter, network: SegmentationNet, first_frame: Frame
) -> None:
    image, labels = first_frame
    adapter.start(image, labels.where(labels != 2, 0))
    alone = adapter.scores(image).objects
    assert adapter.running_state() == {}
    adapter.add_objects(image, labels)
    both = adapter.scores(image).objects
    assert both.shape == (2, 48, 64)
    smaller = labels.clone()
    smaller[10:20, :32] = 0
    adapter.correct_objects(image, smaller, [1])
    corrected = adapter.scores(image).objects
    assert float((corrected[0] - both[0]).abs().max()) > 1e-4
    other = restored(adapter, network)
    assert torch.equal(other.scores(image).objects, corrected)
    torch.testing.assert_close(
        other.scores(image).foreground, adapter.scores(image).foreground, rtol=0, atol=0
    )
    adapter.remove_objects([1])
    assert torch.equal(adapter.scores(image).objects[0], corrected[1])
    assert torch.equal(restored(adapter, network).scores(image).objects[0], corrected[1])
    swapped = torch.where((labels == 1) | (labels == 2), 3 - labels, labels)
    adapter.add_objects(image, swapped)
    assert adapter.scores(image).objects.shape == (2, 48, 64)
    adapter.seek_start()
    assert torch.equal(adapter.scores(image).objects, alone)
    assert adapter.running_state() == {}
