"""The proposer end to end on a drawn scene, and the network inside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vostrack.arrays import BoolArray, IntArray, UInt8Array
from vostrack.errors import InputError
from vostrack.proposers.detection_crf import (
    DetectionCrf,
    DetectionCrfConfig,
    DetectionCrfProposer,
    PreviousObjects,
    ProposerConfig,
    grabcut_foregrounds,
)
from vostrack.proposers.detections import Detections
from vostrack.proposers.sources import ImageProposer
from vostrack.protocols import InstanceProposer, ObjectFollower

Scene = tuple[UInt8Array, IntArray]
Semantic = Callable[..., nn.Module]
Detect = Callable[..., Detections]
Build = Callable[..., DetectionCrfProposer]
Logits = Callable[..., Tensor]
Objects = tuple[tuple[tuple[int, int, int, int], int], ...]


def _overlap(a: BoolArray, b: BoolArray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_finds_each_object_of_a_scene(
    scene: Scene, detect: Detect, proposer_for: Build, objects: Objects
) -> None:
    frame, ids = scene
    proposals = proposer_for(ids).propose_detections(frame, detect())
    assert len(proposals) == 3
    assert (np.diff(proposals.scores) <= 0).all()
    for mask, label, box in zip(proposals.masks, proposals.labels, proposals.boxes, strict=True):
        best = max(range(3), key=lambda k: _overlap(mask, ids == k + 1))
        assert _overlap(mask, ids == best + 1) > 0.9
        assert label == objects[best][1]
        np.testing.assert_allclose(box, objects[best][0], atol=2)
    assert proposals.masks.sum(0).max() == 1


def test_is_an_instance_proposer_with_a_detector(
    scene: Scene, semantic_of: Semantic, detect: Detect
) -> None:
    frame, ids = scene
    proposer: InstanceProposer = DetectionCrfProposer(
        lambda _: detect(), semantic_of(ids), classes=3
    )
    assert len(proposer.propose(frame, None)) == 3


def test_same_frame_twice_gives_the_same_proposals(
    scene: Scene, detect: Detect, proposer_for: Build
) -> None:
    frame, ids = scene
    proposer = proposer_for(ids)
    first, second = (proposer.propose_detections(frame, detect()) for _ in range(2))
    np.testing.assert_array_equal(first.masks, second.masks)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_false_detection_is_rated_below_its_score(
    scene: Scene, detect: Detect, proposer_for: Build
) -> None:
    frame, ids = scene
    good = detect()
    boxes = np.concatenate([good.boxes, np.array([[60, 40, 90, 62]], dtype=np.float32)])
    with_false = Detections.from_lists(boxes, [0.6] * 4, [1, 1, 2, 2])
    proposals = proposer_for(ids).propose_detections(frame, with_false)
    right = [
        s
        for s, m in zip(proposals.scores, proposals.masks, strict=True)
        if (m & (ids > 0)).sum() > 100
    ]
    wrong = [
        s
        for s, m in zip(proposals.scores, proposals.masks, strict=True)
        if (m & (ids > 0)).sum() <= 100
    ]
    assert min(right) > 0.6
    assert all(score < 0.6 for score in wrong)


def test_class_agnostic_with_boxes(scene: Scene, detect: Detect) -> None:
    frame, ids = scene
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    proposals = DetectionCrfProposer(lambda _: detect()).propose(frame, foreground)
    assert len(proposals) == 3
    assert sorted(proposals.labels.tolist()) == [1, 1, 2]


def test_class_agnostic_takes_boxes_from_the_foreground(scene: Scene) -> None:
    frame, ids = scene
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    proposals = DetectionCrfProposer().propose(frame, foreground)
    assert len(proposals) == 3
    assert proposals.labels.tolist() == [0, 0, 0]


def test_boxes_of_the_previous_frame(scene: Scene) -> None:
    frame, ids = scene
    previous = PreviousObjects(margin=0.1)
    assert len(previous(frame)) == 0
    previous.commit(np.where(ids == 3, 255, ids).astype(np.uint8))
    detections = previous(frame)
    np.testing.assert_allclose(detections.boxes[0], [7, 8, 43, 56])
    assert len(detections) == 2
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    assert len(DetectionCrfProposer(previous).propose(frame, foreground)) == 2


def test_objects_that_are_followed_divide_a_component(scene: Scene) -> None:
    frame, ids = scene
    # The foreground joins the first two objects.
    joined = (ids > 0) | (np.arange(96) < 50) & (ids.any(1) & (np.arange(64) > 22))[:, None]
    foreground = np.where(joined, 0.99, 0.1).astype(np.float32)
    proposer = DetectionCrfProposer()
    assert len(proposer.propose(frame, foreground)) == 2
    assert isinstance(proposer, ObjectFollower)
    proposer.follow(np.where(ids == 3, 0, ids).astype(np.uint8))
    proposals = proposer.propose(frame, foreground)
    # Two objects by their boxes of the frame before, the third by its component.
    for index in (1, 2, 3):
        assert max(_overlap(mask, ids == index) for mask in proposals.masks) > 0.7
    proposer.follow(np.zeros((64, 96), np.uint8))
    assert len(proposer.propose(frame, foreground)) == 2


def test_network_trains_end_to_end(scene: Scene, semantic_of: Semantic, detect: Detect) -> None:
    frame, ids = scene
    image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    network = DetectionCrf(3, DetectionCrfConfig(iterations=2, instance_iterations=2))
    logits = semantic_of(ids)(image[None])[0].requires_grad_()
    foregrounds = torch.from_numpy(grabcut_foregrounds(frame, detect().boxes))
    output = network(image, logits, detect(), foregrounds)
    loss = nn.functional.cross_entropy(output.instance_logits[None], torch.from_numpy(ids)[None])
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.fixture
def instance_logits(semantic_of: Semantic, detect: Detect) -> Logits:
    """Compute those of a scene with a weak fourth box of class 2 over the first object, of 1."""

    def compute(frame: UInt8Array, ids: IntArray, negligible: float) -> Tensor:
        good = detect()
        weak = Detections.from_lists([[12, 14, 38, 50]], [0.1], [2])
        config = DetectionCrfConfig(negligible=negligible, potentials=None)
        logits = semantic_of(ids, sharpness=6.0)(torch.zeros(1, 3, 64, 96))[0]
        clean = torch.nn.functional.avg_pool2d(logits, 5, 1, 2)
        image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            output = DetectionCrf(3, config)(image, clean, good + weak, torch.zeros(4, 64, 96))
        result: Tensor = output.instance_logits
        return result

    return compute


def test_negligible_detections_stay_out_of_the_instance_crf(
    scene: Scene, instance_logits: Logits
) -> None:
    frame, ids = scene
    every, some = (instance_logits(frame, ids, limit) for limit in (0.0, 0.1))
    assert some.shape == every.shape == (4 + 1, 64, 96)
    torch.testing.assert_close(some[:4].softmax(0), every[:4].softmax(0), atol=0.02, rtol=0)
    assert torch.equal(some.argmax(0), every.argmax(0))
    # Left as eq. 4 gave it: nothing was added to it.
    assert some[4].max() < every[4].max()


def test_the_background_always_takes_part() -> None:
    whole = Detections.from_lists([[0, 0, 8, 6]], [0.9], [1])
    logits = torch.tensor([0.0, 4.0])[:, None, None].expand(2, 6, 8)
    first, second = (
        DetectionCrf(2, DetectionCrfConfig(negligible=limit, potentials=None))(
            torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0)),
            logits,
            whole,
            torch.zeros(1, 6, 8),
        ).instance_logits
        for limit in (0.0, 0.1)
    )
    assert first.softmax(0)[0].max() < 0.1
    torch.testing.assert_close(first, second)


def test_scores_weigh_in_how_sure_the_pixels_are(
    scene: Scene, detect: Detect, proposer_for: Build, strong: ProposerConfig
) -> None:
    frame, ids = scene
    config = replace(strong, crf=replace(strong.crf, potentials=None))
    proposals = proposer_for(ids, config).propose_detections(frame, detect())
    output, used = proposer_for(ids, config).analyse(frame, detect())
    winners = output.instance_logits.argmax(0)
    probabilities = output.class_logits.softmax(0)
    for index, (label, score) in enumerate(zip(used.labels, used.scores, strict=True)):
        mask = winners == index + 1
        expected = float(score) * float(probabilities[int(label)][mask].mean())
        assert np.abs(proposals.scores - expected).min() < 1e-6


def test_foreground_follows_the_object_not_the_box(scene: Scene, detect: Detect) -> None:
    frame, ids = scene
    boxes = detect(margin=6).boxes.clip(0, [96, 64, 96, 64])
    for index, found in enumerate(grabcut_foregrounds(frame, boxes)[:2]):
        assert _overlap(found, ids == index + 1) > 0.8


def test_foreground_guards(scene: Scene) -> None:
    frame, _ = scene
    boxes = np.array([[20, 20, 25, 40], [0, 0, 96, 64]], dtype=np.float32)
    small, whole = grabcut_foregrounds(frame, boxes)
    assert small.sum() == 5 * 20
    assert small[20:40, 20:25].all()
    assert whole.shape == (64, 96)
    flat = np.full((20, 20, 3), 7, dtype=np.uint8)
    assert grabcut_foregrounds(flat, np.array([[0, 0, 20, 20]], dtype=np.float32)).shape[0] == 1


def test_foreground_of_a_large_box_stays_inside_it() -> None:
    """GrabCut works on a smaller crop, whose pixels do not end where the box does."""
    frame = np.random.default_rng(0).integers(95, 105, (330, 410, 3)).astype(np.uint8)
    frame[61:263, 101:304] = (200, 40, 40)
    (found,) = grabcut_foregrounds(frame, np.array([[101, 61, 304, 263]], dtype=np.float32))
    box = np.zeros((330, 410), dtype=np.bool_)
    box[61:263, 101:304] = True
    assert not (found & ~box).any()
    assert _overlap(found, box) > 0.95


def test_boxes_of_a_named_image(scene: Scene, semantic_of: Semantic, detect: Detect) -> None:
    frame, ids = scene
    table = {"drawn": detect(), "empty": Detections.from_lists([], [], [])}
    proposer = DetectionCrfProposer(semantic=semantic_of(ids), classes=3, table=table)
    assert isinstance(proposer, ImageProposer)
    assert len(proposer.propose_image("drawn", frame)) == 3
    assert len(proposer.propose_image("empty", frame)) == 0
    with pytest.raises(InputError, match="no entry for unheard"):
        proposer.propose_image("unheard", frame)
