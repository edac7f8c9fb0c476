"""A network and a first frame small enough to fit in a second."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vostrack.models.foreground import NetworkConfig, SegmentationNet
from vostrack.models.weights import initialise


@pytest.fixture
def network() -> SegmentationNet:
    return initialise(NetworkConfig("resnet18", (4, 8), "topdown", 8), "none").eval()


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
