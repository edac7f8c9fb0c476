"""The proposer end to end on drawn scenes: results on odd inputs, clear errors on unusable ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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

Frame = NDArray[np.uint8]

# x0, y0, x1, y1 and class of what `_scene` draws; the first two are of one class and touch boxes.
OBJECTS = (((10, 12, 40, 52), 1), ((45, 20, 75, 60), 1), ((78, 5, 92, 30), 2))


def _scene(height: int = 64, width: int = 96) -> tuple[Frame, NDArray[np.int64]]:
    """Three coloured rectangles on grey noise, and their ids 1..3."""
    rng = np.random.default_rng(0)
    frame = rng.integers(100, 110, (height, width, 3)).astype(np.uint8)
    ids = np.zeros((height, width), dtype=np.int64)
    colours = ((200, 40, 40), (190, 60, 30), (30, 60, 200))
    for index, ((x0, y0, x1, y1), _) in enumerate(OBJECTS):
        frame[y0:y1, x0:x1] = colours[index]
        ids[y0:y1, x0:x1] = index + 1
    return frame, ids


def _semantic(ids: NDArray[np.int64], sharpness: float = 2.0) -> nn.Module:
    """Class scores (1, 3, H, W) of the drawn scene, a third of the pixels wrong."""
    classes = np.array([0] + [label for _, label in OBJECTS])[ids]
    wrong = np.random.default_rng(1).random(classes.shape) < 0.3
    noisy = np.where(wrong, (classes + 1) % 3, classes)
    logits = torch.nn.functional.one_hot(torch.from_numpy(noisy), 3).float() * sharpness

    class Scorer(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            scores = logits.permute(2, 0, 1)[None]
            return torch.nn.functional.interpolate(scores, image.shape[-2:])

    return Scorer()


def _detections(margin: float = 3.0) -> Detections:
    boxes = [
        [x0 - margin, y0 - margin, x1 + margin, y1 + margin] for (x0, y0, x1, y1), _ in OBJECTS
    ]
    return Detections.from_lists(boxes, [0.9, 0.8, 0.7], [label for _, label in OBJECTS])


# A third of the scene's class scores is wrong: it takes strong smoothing.
STRONG = ProposerConfig(
    crf=DetectionCrfConfig(
        spatial_weight=3.0,
        bilateral_weight=4.0,
        instance_spatial_weight=3.0,
        instance_bilateral_weight=4.0,
    )
)


def _proposer(ids: NDArray[np.int64], config: ProposerConfig = STRONG) -> DetectionCrfProposer:
    return DetectionCrfProposer(semantic=_semantic(ids), config=config, classes=3)


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_finds_each_object_of_a_scene() -> None:
    frame, ids = _scene()
    proposals = _proposer(ids).propose_detections(frame, _detections())
    assert len(proposals) == 3
    assert (np.diff(proposals.scores) <= 0).all()
    for mask, label, box in zip(proposals.masks, proposals.labels, proposals.boxes, strict=True):
        best = max(range(3), key=lambda k: _overlap(mask, ids == k + 1))
        assert _overlap(mask, ids == best + 1) > 0.9
        assert label == OBJECTS[best][1]
        np.testing.assert_allclose(box, OBJECTS[best][0], atol=2)
    assert proposals.masks.sum(0).max() == 1


def test_is_an_instance_proposer_with_a_detector() -> None:
    frame, ids = _scene()
    proposer: InstanceProposer = DetectionCrfProposer(
        lambda _: _detections(), _semantic(ids), classes=3
    )
    assert len(proposer.propose(frame, None)) == 3


def test_same_frame_twice_gives_the_same_proposals() -> None:
    frame, ids = _scene()
    proposer = _proposer(ids)
    first, second = (proposer.propose_detections(frame, _detections()) for _ in range(2))
    np.testing.assert_array_equal(first.masks, second.masks)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_false_detection_is_rated_below_its_score() -> None:
    frame, ids = _scene()
    good = _detections()
    boxes = np.concatenate([good.boxes, np.array([[60, 40, 90, 62]], dtype=np.float32)])
    with_false = Detections.from_lists(boxes, [0.6] * 4, [1, 1, 2, 2])
    proposals = _proposer(ids).propose_detections(frame, with_false)
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


def test_class_agnostic_with_boxes() -> None:
    frame, ids = _scene()
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    proposals = DetectionCrfProposer(lambda _: _detections()).propose(frame, foreground)
    assert len(proposals) == 3
    assert sorted(proposals.labels.tolist()) == [1, 1, 2]


def test_class_agnostic_takes_boxes_from_the_foreground() -> None:
    frame, ids = _scene()
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    proposals = DetectionCrfProposer().propose(frame, foreground)
    assert len(proposals) == 3
    assert proposals.labels.tolist() == [0, 0, 0]


def test_boxes_of_the_previous_frame() -> None:
    frame, ids = _scene()
    previous = PreviousObjects(margin=0.1)
    assert len(previous(frame)) == 0
    previous.commit(np.where(ids == 3, 255, ids).astype(np.uint8))
    detections = previous(frame)
    np.testing.assert_allclose(detections.boxes[0], [7, 8, 43, 56])
    assert len(detections) == 2
    foreground = np.where(ids > 0, 0.8, 0.2).astype(np.float32)
    assert len(DetectionCrfProposer(previous).propose(frame, foreground)) == 2


def test_objects_that_are_followed_divide_a_component() -> None:
    frame, ids = _scene()
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
def test_odd_boxes_are_a_result(boxes: list[list[float]], expected: int) -> None:
    frame, ids = _scene()
    detections = Detections.from_lists(boxes, [0.9] * len(boxes), [1] * len(boxes))
    proposals = _proposer(ids).propose_detections(frame, detections)
    assert len(proposals) == expected
    assert proposals.masks.shape == (expected, 64, 96)


def test_two_hundred_overlapping_boxes_are_a_result() -> None:
    frame, ids = _scene()
    rng = np.random.default_rng(2)
    boxes = np.array([8, 10, 42, 54]) + rng.normal(size=(200, 4)) * 6
    detections = Detections.from_lists(boxes, rng.random(200) * 0.5 + 0.5, [1] * 200)
    config = replace(STRONG, max_overlap=1.0, foreground="box")
    proposals = _proposer(ids, config).propose_detections(frame, detections)
    assert 1 <= len(proposals) <= config.max_detections


def test_large_frame_is_worked_on_smaller() -> None:
    frame, ids = _scene()
    large = np.repeat(np.repeat(frame, 4, 0), 4, 1)
    scaled = Detections.from_lists(
        _detections().boxes * 4, _detections().scores, _detections().labels
    )
    proposals = _proposer(ids, replace(STRONG, max_side=96)).propose_detections(large, scaled)
    assert proposals.masks.shape == (3, 256, 384)
    expected = np.repeat(np.repeat(ids, 4, 0), 4, 1)
    assert _overlap(proposals.masks.sum(0) > 0, expected > 0) > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (9, 11)])
def test_tiny_frames_are_a_result(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 90, dtype=np.uint8)
    detections = Detections.from_lists([[0, 0, shape[1], shape[0]]], [0.9], [1])
    proposals = DetectionCrfProposer(lambda _: detections).propose(
        frame, np.full(shape, 0.7, dtype=np.float32)
    )
    assert proposals.masks.shape[1:] == shape


def test_unusable_input_is_refused() -> None:
    frame, ids = _scene()
    with pytest.raises(InputError, match="uint8"):
        _proposer(ids).propose_detections(frame.astype(np.float32), _detections())
    with pytest.raises(InputError, match="expected a semantic network"):
        _proposer(ids).propose(frame, None)
    with pytest.raises(InputError, match="foreground probability"):
        DetectionCrfProposer(lambda _: _detections()).propose(frame, None)
    with pytest.raises(InputError, match="finite foreground"):
        DetectionCrfProposer().propose(frame, np.full((64, 96), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match="class scores of shape"):
        DetectionCrfProposer(lambda _: _detections()).propose(frame, np.ones((9, 9), np.float32))
    unknown = Detections.from_lists(_detections().boxes, _detections().scores, [1, 1, 9])
    with pytest.raises(InputError, match=r"labels in 1\.\.2"):
        _proposer(ids).propose_detections(frame, unknown)
    with pytest.raises(InputError, match="min_score"):
        ProposerConfig(min_score=2)
    with pytest.raises(InputError, match="max_side"):
        ProposerConfig(max_side=0)


def test_nan_class_scores_are_refused() -> None:
    frame, _ = _scene()
    proposer = DetectionCrfProposer(
        semantic=lambda image: torch.full((1, 3, *image.shape[-2:]), torch.nan), classes=3
    )
    with pytest.raises(InputError, match="finite"):
        proposer.propose_detections(frame, _detections())


def test_network_trains_end_to_end() -> None:
    frame, ids = _scene()
    image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    network = DetectionCrf(3, DetectionCrfConfig(iterations=2, instance_iterations=2))
    logits = _semantic(ids)(image[None])[0].requires_grad_()
    foregrounds = torch.from_numpy(grabcut_foregrounds(frame, _detections().boxes))
    output = network(image, logits, _detections(), foregrounds)
    loss = nn.functional.cross_entropy(output.instance_logits[None], torch.from_numpy(ids)[None])
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def _instance_logits(frame: Frame, ids: NDArray[np.int64], negligible: float) -> Tensor:
    """Of the scene and a weak fourth box of class 2 over the first object, which is of class 1."""
    good = _detections()
    weak = Detections.from_lists([[12, 14, 38, 50]], [0.1], [2])
    config = DetectionCrfConfig(negligible=negligible, potentials=None)
    logits = _semantic(ids, sharpness=6.0)(torch.zeros(1, 3, 64, 96))[0]
    clean = torch.nn.functional.avg_pool2d(logits, 5, 1, 2)
    image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        output = DetectionCrf(3, config)(image, clean, good + weak, torch.zeros(4, 64, 96))
    result: Tensor = output.instance_logits
    return result


def test_negligible_detections_stay_out_of_the_instance_crf() -> None:
    frame, ids = _scene()
    every, some = (_instance_logits(frame, ids, limit) for limit in (0.0, 0.1))
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


def test_scores_weigh_in_how_sure_the_pixels_are() -> None:
    frame, ids = _scene()
    config = replace(STRONG, crf=replace(STRONG.crf, potentials=None))
    proposals = _proposer(ids, config).propose_detections(frame, _detections())
    output, used = _proposer(ids, config).analyse(frame, _detections())
    winners = output.instance_logits.argmax(0)
    probabilities = output.class_logits.softmax(0)
    for index, (label, score) in enumerate(zip(used.labels, used.scores, strict=True)):
        mask = winners == index + 1
        expected = float(score) * float(probabilities[int(label)][mask].mean())
        assert np.abs(proposals.scores - expected).min() < 1e-6


def test_foreground_follows_the_object_not_the_box() -> None:
    frame, ids = _scene()
    boxes = _detections(margin=6).boxes.clip(0, [96, 64, 96, 64])
    for index, found in enumerate(grabcut_foregrounds(frame, boxes)[:2]):
        assert _overlap(found, ids == index + 1) > 0.8


def test_foreground_guards() -> None:
    frame, _ = _scene()
    boxes = np.array([[20, 20, 25, 40], [0, 0, 96, 64]], dtype=np.float32)
    small, whole = grabcut_foregrounds(frame, boxes)
    assert small.sum() == 5 * 20
    assert small[20:40, 20:25].all()
    assert whole.shape == (64, 96)
    flat = np.full((20, 20, 3), 7, dtype=np.uint8)
    assert grabcut_foregrounds(flat, np.array([[0, 0, 20, 20]], dtype=np.float32)).shape[0] == 1


def test_boxes_of_a_named_image() -> None:
    frame, ids = _scene()
    table = {"drawn": _detections(), "empty": Detections.from_lists([], [], [])}
    proposer = DetectionCrfProposer(semantic=_semantic(ids), classes=3, table=table)
    assert isinstance(proposer, ImageProposer)
    assert len(proposer.propose_image("drawn", frame)) == 3
    assert len(proposer.propose_image("empty", frame)) == 0
    with pytest.raises(InputError, match="no entry for unheard"):
        proposer.propose_image("unheard", frame)
