"""Odd inputs of the proposer: results where there can be one, clear errors where not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from vostrack.arrays import IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.detection_crf import DetectionCrfProposer, ProposerConfig
from vostrack.proposers.detections import Detections

Scene = tuple[UInt8Array, IntArray]
Detect = Callable[..., Detections]
Build = Callable[..., DetectionCrfProposer]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], 0),
        ([[200, 200, 300, 300]], 0),
        ([[-50, -50, 500, 500]], 1),
        ([[20, 20, 21, 21]], 0),
        ([[20, 20, 20, 20]], 0),
        ([[40, 50, 10, 12]], 0),
    ],
)
def test_odd_boxes_are_a_result(
    boxes: list[list[float]], expected: int, scene: Scene, proposer_for: Build
) -> None:
    frame, ids = scene
    detections = Detections.from_lists(boxes, [0.9] * len(boxes), [1] * len(boxes))
    proposals = proposer_for(ids).propose_detections(frame, detections)
    assert len(proposals) == expected
    assert proposals.masks.shape == (expected, 64, 96)


def test_two_hundred_overlapping_boxes_are_a_result(
    scene: Scene, proposer_for: Build, strong: ProposerConfig
) -> None:
    frame, ids = scene
    rng = np.random.default_rng(2)
    boxes = np.array([8, 10, 42, 54]) + rng.normal(size=(200, 4)) * 6
    detections = Detections.from_lists(boxes, rng.random(200) * 0.5 + 0.5, [1] * 200)
    config = replace(strong, max_overlap=1.0, foreground="box")
    proposals = proposer_for(ids, config).propose_detections(frame, detections)
    assert 1 <= len(proposals) <= config.max_detections


def test_large_frame_is_worked_on_smaller(
    scene: Scene, detect: Detect, proposer_for: Build, strong: ProposerConfig
) -> None:
    frame, ids = scene
    large = np.repeat(np.repeat(frame, 4, 0), 4, 1)
    scaled = Detections.from_lists(detect().boxes * 4, detect().scores, detect().labels)
    proposals = proposer_for(ids, replace(strong, max_side=96)).propose_detections(large, scaled)
    assert proposals.masks.shape == (3, 256, 384)
    expected = np.repeat(np.repeat(ids, 4, 0), 4, 1)
    found = proposals.masks.sum(0) > 0
    assert (found & (expected > 0)).sum() > 0.9 * (found | (expected > 0)).sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (9, 11)])
def test_tiny_frames_are_a_result(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 90, dtype=np.uint8)
    detections = Detections.from_lists([[0, 0, shape[1], shape[0]]], [0.9], [1])
    proposals = DetectionCrfProposer(lambda _: detections).propose(
        frame, np.full(shape, 0.7, dtype=np.float32)
    )
    assert proposals.masks.shape[1:] == shape


def test_unusable_input_is_refused(scene: Scene, detect: Detect, proposer_for: Build) -> None:
    frame, ids = scene
    with pytest.raises(InputError, match="uint8"):
        proposer_for(ids).propose_detections(frame.astype(np.float32), detect())
    with pytest.raises(InputError, match="expected a semantic network"):
        proposer_for(ids).propose(frame, None)
    with pytest.raises(InputError, match="foreground probability"):
        DetectionCrfProposer(lambda _: detect()).propose(frame, None)
    with pytest.raises(InputError, match="finite foreground"):
        DetectionCrfProposer().propose(frame, np.full((64, 96), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match="class scores of shape"):
        DetectionCrfProposer(lambda _: detect()).propose(frame, np.ones((9, 9), np.float32))
    unknown = Detections.from_lists(detect().boxes, detect().scores, [1, 1, 9])
    with pytest.raises(InputError, match=r"labels in 1\.\.2"):
        proposer_for(ids).propose_detections(frame, unknown)
    with pytest.raises(InputError, match="min_score"):
        ProposerConfig(min_score=2)
    with pytest.raises(InputError, match="max_side"):
        ProposerConfig(max_side=0)


def test_nan_class_scores_are_refused(scene: Scene, detect: Detect) -> None:
    frame, _ = scene
    proposer = DetectionCrfProposer(
        semantic=lambda image: torch.full((1, 3, *image.shape[-2:]), torch.nan), classes=3
    )
    with pytest.raises(InputError, match="finite"):
        proposer.propose_detections(frame, detect())
