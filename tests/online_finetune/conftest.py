"""A network and a first frame small enough to fit in a second."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from tests.drawn_weights import draw_by_torch
from vostrack.models.foreground import NetworkConfig, SegmentationNet
from vostrack.models.target_net import TargetNet, TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import initialise


@pytest.fixture(scope="session")
def random_network() -> SegmentationNet:
    """Torch's weights: other small networks learn less than the tests say."""
    with pytest.MonkeyPatch.context() as patch:
        draw_by_torch(patch)
        return initialise(NetworkConfig("resnet18", (4, 8), "topdown", 8), "none").eval()


@pytest.fixture
def network(random_network: SegmentationNet) -> SegmentationNet:
    """A copy, because to draw millions of weights takes longer than some of the tests."""
    return copy.deepcopy(random_network)


@pytest.fixture
def first_frame() -> tuple[Tensor, Tensor]:
    """A red and a green box on gray, slots 1 and 2, with a void rim below."""
    image = torch.full((3, 48, 64), 0.4)
    labels = torch.zeros(48, 64, dtype=torch.long)
    for slot, (channel, left) in enumerate([(0, 6), (1, 36)], start=1):
        image[channel, 10:34, left : left + 20] = 0.95
        labels[10:34, left : left + 20] = slot
    labels[44:] = 255
    return image, labels


@pytest.fixture(scope="session")
def target_network() -> TargetNet:
    """Small, of torch's random weights; tests leave it as it is."""
    torch.manual_seed(0)
    small = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
    with pytest.MonkeyPatch.context() as patch:
        draw_by_torch(patch)
        return build_target_net(small).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(12, 3, 96, 128, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    labels = torch.zeros(96, 128, dtype=torch.int64)
    labels[20:50, 30:60], labels[40:80, 70:100] = 1, 2
    return labels
