"""Parts that write into what they are given change nothing that the tracker goes on with."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tracking.conftest import ColourAdapter
from vostrack.arrays import FloatArray, UInt8Array
from vostrack.proposers.first_mask import rank_candidates
from vostrack.protocols import BackboneFeatures, InstanceProposals, ObjectScores
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.support.asking import ask_proposer
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]


class KeepingAdapter(ColourAdapter):
    """Keeps the very tensors that pass through it, as object models with a memory may."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []
        self.before: list[Tensor] = []

    def scores(self, image: Tensor) -> ObjectScores:
        found = super().scores(image)
        self._keep(image, found.objects)
        return found

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        self._keep(scores, labels)

    def _keep(self, *tensors: Tensor) -> None:
        self.kept += tensors
        self.before += [tensor.clone() for tensor in tensors]


def blotting(image: Tensor, scores: Tensor) -> Tensor:
    """Refine nothing, and leave ink on both tensors."""
    found = scores.clone()
    image.fill_(0.5)
    scores.zero_()
    return found


class BlottingFilter:
    """Filters nothing, and leaves ink on everything."""

    def start(self, labels: UInt8Array) -> None:
        labels[:] = 1

    def __call__(self, scores: FloatArray, candidates: Any = None, presence: Any = None) -> Any:
        found = scores.copy()
        scores[:] = 0
        return found

    def commit(self, labels: UInt8Array) -> None:
        labels[:] = 1

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


@pytest.mark.parametrize("learn_refined", [True, False])
@pytest.mark.parametrize("parts", [{"refiner": blotting}, {"temporal_filter": BlottingFilter()}])
def test_a_part_that_writes_into_scores(
    clip: Clip, parts: dict[str, Any], learn_refined: bool
) -> None:
    config = TrackerConfig(gate="none", learn_refined=learn_refined)
    plain, blotted = Tracker(ColourAdapter(), config=config), KeepingAdapter()
    tracker = Tracker(blotted, config=config, **parts)
    for each in (plain, tracker):
        each.start(clip[0][0], clip[1][0])
    for frame in clip[0][1:3]:
        given = frame.copy()
        expected, found = plain.step(frame), tracker.step(given)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(given, frame)
    np.testing.assert_array_equal(tracker.state()["last_slots"], plain.state()["last_slots"])
    tracker.seek_start()
    np.testing.assert_array_equal(tracker.state()["last_slots"], plain._first_slots)
    for kept, before in zip(blotted.kept, blotted.before, strict=True):
        assert torch.equal(kept, before)


class BlottingProposer:
    """Proposes nothing, and leaves ink on everything."""

    def follow(self, labels: UInt8Array) -> None:
        labels[:] = 1

    def use_features(self, features: BackboneFeatures | None) -> None:
        if features is not None:
            features.fine.zero_()
            features.coarse.zero_()

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        cv2.rectangle(frame, (0, 0), (9, 9), (255, 0, 0), -1)
        if foreground is not None:
            foreground[:] = 0
        boxes = np.zeros((0, 4), np.float32)
        masks = np.zeros((0, *frame.shape[:2]), bool)
        return InstanceProposals(masks, boxes[:, 0], np.zeros(0, int), boxes)


class SharingAdapter(ColourAdapter):
    def __init__(self) -> None:
        super().__init__()
        one = torch.ones(1, 2, 3, 4)
        self.features = BackboneFeatures("name", one, one.clone(), (0, 0, 1, 1), (24, 32))

    def shared_features(self) -> BackboneFeatures:
        return self.features


@pytest.mark.parametrize("asking", ["filter", "support", "first mask"])
def test_a_proposer_that_writes_into_the_frame(
    asking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, slots = np.full((12, 20, 3), 7, np.uint8), np.zeros((12, 20), np.uint8)
    proposer, adapter = BlottingProposer(), SharingAdapter()
    if asking == "filter":
        chance = torch.full((12, 20), 0.25)
        proposed_regions(proposer, adapter, frame, chance, slots)
        assert bool((chance == 0.25).all())
    elif asking == "support":
        ask_proposer(proposer, None, frame, slots, None)
    else:
        found = np.full((12, 20), 0.75, np.float32)
        module = "vostrack.proposers.first_mask.foreground_probability"
        monkeypatch.setattr(module, lambda *_: found)
        rank_candidates([frame], None, proposer)  # type: ignore[arg-type]
        assert (found == 0.75).all()
    assert (frame == 7).all()
    assert not slots.any()
    assert bool((adapter.features.fine == 1).all())
    assert bool((adapter.features.coarse == 1).all())
