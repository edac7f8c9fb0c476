"""A drawn scene of three objects, its class scores, its boxes, and a proposer for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.arrays import IntArray, UInt8Array
from vostrack.proposers.detection_crf import (
    DetectionCrfConfig,
    DetectionCrfProposer,
    ProposerConfig,
)
from vostrack.proposers.detections import Detections

Objects = tuple[tuple[tuple[int, int, int, int], int], ...]


@pytest.fixture
def objects() -> Objects:
    """x0, y0, x1, y1 and class of what is drawn; the boxes of the first two, of a class, touch."""
    return (((10, 12, 40, 52), 1), ((45, 20, 75, 60), 1), ((78, 5, 92, 30), 2))


@pytest.fixture
def scene(objects: Objects) -> tuple[UInt8Array, IntArray]:
    """Three coloured rectangles on grey noise, 64 x 96, and their ids 1..3."""
    rng = np.random.default_rng(0)
    frame = rng.integers(100, 110, (64, 96, 3)).astype(np.uint8)
    ids = np.zeros((64, 96), dtype=np.int64)
    colours = ((200, 40, 40), (190, 60, 30), (30, 60, 200))
    for index, ((x0, y0, x1, y1), _) in enumerate(objects):
        frame[y0:y1, x0:x1] = colours[index]
        ids[y0:y1, x0:x1] = index + 1
    return frame, ids


@pytest.fixture
def semantic_of(objects: Objects) -> Callable[..., nn.Module]:
    """Build class scores (1, 3, H, W) of the drawn scene, a third of the pixels wrong."""

    def build(ids: IntArray, sharpness: float = 2.0) -> nn.Module:
        classes = np.array([0] + [label for _, label in objects])[ids]
        wrong = np.random.default_rng(1).random(classes.shape) < 0.3
        noisy = np.where(wrong, (classes + 1) % 3, classes)
        logits = torch.nn.functional.one_hot(torch.from_numpy(noisy), 3).float() * sharpness

        class Scorer(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                scores = logits.permute(2, 0, 1)[None]
                return torch.nn.functional.interpolate(scores, image.shape[-2:])

        return Scorer()

    return build


@pytest.fixture
def detect(objects: Objects) -> Callable[..., Detections]:
    """Detect the objects of the scene, in boxes that are too large by a margin."""

    def detect(margin: float = 3.0) -> Detections:
        boxes = [
            [x0 - margin, y0 - margin, x1 + margin, y1 + margin] for (x0, y0, x1, y1), _ in objects
        ]
        return Detections.from_lists(boxes, [0.9, 0.8, 0.7], [label for _, label in objects])

    return detect


@pytest.fixture
def strong() -> ProposerConfig:
    """A third of the scene's class scores is wrong: it takes strong smoothing."""
    return ProposerConfig(
        crf=DetectionCrfConfig(
            spatial_weight=3.0,
            bilateral_weight=4.0,
            instance_spatial_weight=3.0,
            instance_bilateral_weight=4.0,
        )
    )


@pytest.fixture
def proposer_for(
    semantic_of: Callable[..., nn.Module], strong: ProposerConfig
) -> Callable[..., DetectionCrfProposer]:
    """Build a proposer of the scene with these ids."""

    def build(ids: IntArray, config: ProposerConfig = strong) -> DetectionCrfProposer:
        return DetectionCrfProposer(semantic=semantic_of(ids), config=config, classes=3)

    return build
