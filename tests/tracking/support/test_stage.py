"""The stage asks when it is needed, and believes what models and memories accept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.presets import TrackerOptions, resolve_preset
from vostrack.proposers.components import ForegroundComponents
from vostrack.protocols import InstanceProposals
from vostrack.tracking.support import ProposalSupport, SupportConfig
from vostrack.tracking.support.matching import accepted_proposals, moved_to_proposals
from vostrack.tracking.support.new_objects import new_objects
from vostrack.tracking.tracker import Tracker

Clip = tuple[Any, Any]


class Model:
    """Says how alike regions are from a table of (match, class) by column; no other method."""

    def __init__(self, seen: float) -> None:
        self.seen, self.looked = seen, 0

    def presence(self) -> Tensor:
        return torch.tensor([self.seen])

    def look_everywhere(self) -> None:
        self.looked += 1

    def likeness(self, regions: Tensor) -> Tensor:
        right = regions[:, :, 30:].flatten(1).any(1).float()[:, None]
        return torch.stack([0.4 * right - 0.2, 1.6 * right - 0.8])


def proposals(*columns: int) -> FloatArray:
    """Squares of 10 pixels at these columns."""
    maps = np.zeros((len(columns), 24, 48), np.float32)
    for k, column in enumerate(columns):
        maps[k, 5:15, column : column + 10] = 1
    return maps


def test_a_lost_object_is_the_proposal_that_its_model_accepts() -> None:
    stage = ProposalSupport(SupportConfig(identity=False, reacquire=True, every=2))
    stage.start(np.ones((24, 48), np.uint8), 1)
    model, asked = Model(0.1), []

    def ask(box: Any) -> FloatArray:
        asked.append(box)
        return proposals(2, 34)

    empty = torch.zeros(1, 24, 48)
    steps = 0
    while not asked and steps < 6:
        scores = stage(model, empty, 0.5, ask)  # type: ignore[arg-type]
        steps += 1
    assert asked == [None]
    assert model.looked == 1
    assert steps == 4  # three frames out of sight, then a look at the whole frame
    np.testing.assert_array_equal(scores[0] >= 0.5, proposals(34)[0] > 0)


@pytest.mark.parametrize(("presence", "height", "lets_go"), [(0.2, 2, 1), (0.8, 2, 0), (0.2, 6, 0)])
def test_a_remnant_is_let_go_after_some_frames(presence: float, height: int, lets_go: int) -> None:
    """A mask of 10 x 10 pixels shrinks to 10 x ``height``."""
    stage = ProposalSupport()
    whole, left = proposals(10), np.zeros((1, 24, 48), np.float32)
    left[0, 5 : 5 + height, 10:20] = 1
    stage.start((whole[0] > 0).astype(np.uint8), 1)
    model, there = Model(presence), torch.tensor([presence])
    gone = []
    for _ in range(5):
        scores = stage(model, torch.from_numpy(left), 0.5)  # type: ignore[arg-type]
        gone.append(not scores.any())
        stage.commit((scores[0].numpy() > 0).astype(np.uint8), there)
    assert gone == [False, False, False, bool(lets_go), False]


def test_an_object_in_sight_asks_nobody() -> None:
    stage = ProposalSupport(SupportConfig(identity=False, reacquire=True, every=1))
    stage.start(np.ones((24, 48), np.uint8), 1)
    scores = torch.from_numpy(proposals(34))
    for _ in range(9):
        assert stage(Model(1.0), scores, 0.5, _refuse) is scores  # type: ignore[arg-type]


def _refuse(box: Any) -> FloatArray:
    raise AssertionError("asked for nothing")


def test_an_object_that_looks_unlike_itself_is_searched() -> None:
    stage = ProposalSupport(SupportConfig(identity=False, reacquire=True, every=1))
    stage.start(np.ones((24, 48), np.uint8), 1)
    right, wrong = (torch.from_numpy(proposals(column)) for column in (34, 2))
    for _ in range(5):
        stage(Model(1.0), right, 0.5, _refuse)  # type: ignore[arg-type]
    shown = [
        stage(Model(1.0), wrong, 0.5, lambda box: proposals(34))  # type: ignore[arg-type]
        for _ in range(6)
    ]
    assert torch.equal(shown[0], wrong)
    assert any(torch.equal(each >= 0.5, right > 0) for each in shown)


@pytest.mark.parametrize("fault", ["match", "class", "other object", "no better", "other's"])
def test_what_model_or_memory_does_not_accept_is_left(fault: str) -> None:
    labels = np.zeros((24, 48), np.uint8)
    told = np.array([[[0.3, -0.1]], [[0.9, -0.5]]], np.float32)
    now = np.array([np.nan, np.nan])
    assert accepted_proposals([1], labels, proposals(20), told, now) == {1: 0}
    if fault == "match":
        told[0, 0, 0] = 0.01
    elif fault == "class":
        told[1, 0, 0] = 0.1
    elif fault == "other object":
        told[0, 0, 1] = 0.4
    elif fault == "no better":
        now[0] = 0.25
    else:
        labels[:, 15:28] = 2
    assert accepted_proposals([1], labels, proposals(20), told, now) == {}


def test_only_unsure_pixels_follow_a_proposal() -> None:
    scores = np.full((1, 24, 48), 0.1, np.float32)
    scores[0, 5:15, 20:26], scores[0, 5:15, 26:30] = 0.9, 0.45
    labels = (scores[0] >= 0.5).astype(np.uint8)
    moved = moved_to_proposals(scores, labels, proposals(20), np.array([[0.1]]))
    assert np.array_equal(moved != scores, (scores > 0.25) & (scores < 0.75))
    np.testing.assert_allclose(moved[0, 5:15, 26:30], 0.725)
    assert moved_to_proposals(scores, labels, proposals(36), np.array([[0.1]])) is scores


def test_new_objects_are_those_that_nobody_tracks() -> None:
    labels = np.zeros((24, 48), np.uint8)
    labels[5:15, 0:10] = 1
    found = new_objects(labels, proposals(0, 15, 16, 30), {1, 2}, at_most=5)
    assert set(np.unique(found)) == {0, 3, 4}
    assert (found[5:15, 15:25] == 3).all()
    assert (found[5:15, 30:40] == 4).all()
    assert set(np.unique(new_objects(labels, proposals(15, 30), {1}, at_most=1))) == {0, 2}


class Boxes:
    """Proposes the colourful pixels, wherever it looks."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def propose(self, frame: Any, foreground: Any) -> InstanceProposals:
        self.sizes.append(frame.shape)
        self.seen = frame
        colourful = frame.max(2).astype(int) - frame.min(2) > 100
        assert foreground is None or foreground.shape == colourful.shape
        return ForegroundComponents().propose(frame, colourful.astype(np.float32))


def test_the_tracker_proposes_what_can_be_added(editable: Any, clip: Clip) -> None:
    frames, labels = clip
    support = ProposalSupport(SupportConfig(reacquire=True))
    tracker = Tracker(editable, proposer=Boxes(), support=support)
    first = np.where(labels[0] == 3, 3, 0).astype(np.uint8)
    tracker.start(frames[0], first)
    found = tracker.propose_objects(frames[0])
    np.testing.assert_array_equal(found == 1, labels[0] == 7)
    proposer = tracker.proposer
    assert isinstance(proposer, Boxes)
    bgr = np.ascontiguousarray(frames[0][..., ::-1])
    np.testing.assert_array_equal(tracker.propose_objects(bgr, channels="bgr"), found)
    np.testing.assert_array_equal(proposer.seen, frames[0])
    with pytest.raises(InputError, match="channels: expected rgb or bgr, got 'gbr'"):
        tracker.propose_objects(frames[0], channels="gbr")  # type: ignore[arg-type]
    assert list(tracker.ids) == [3]
    tracker.add_objects(frames[0], found)
    assert list(tracker.ids) == [3, 1]
    with pytest.raises(InputError, match="at_most: expected 1 to 254, got 0"):
        tracker.propose_objects(frames[0], at_most=0)


def test_a_tracker_without_a_proposer_says_so(editable: Any, clip: Clip) -> None:
    tracker = Tracker(editable)
    tracker.start(clip[0][0], clip[1][0])
    with pytest.raises(InputError, match="propose_objects: the tracker has no proposer"):
        tracker.propose_objects(clip[0][0])
    tracker.support = ProposalSupport(SupportConfig(support=True))
    with pytest.raises(InputError, match="the tracker's support asks a proposer"):
        tracker.step(clip[0][1])


def test_a_step_that_fails_leaves_identities_as_they_were(
    adapter: Any, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, support=ProposalSupport())
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    before = tracker.state()["support"]
    monkeypatch.setattr(type(adapter), "presence", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tracker.step(frames[2])
    assert tracker.state()["support"] == before
    monkeypatch.undo()
    tracker.step(frames[2])
    assert tracker.state()["support"] != before


def test_a_loaded_state_goes_on_the_same_way(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, support=ProposalSupport())
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    start, state = tracker.start_state(), tracker.state()
    tracker.step(frames[2])
    after = tracker.state()["support"]
    tracker.load_state(start, state)
    tracker.step(frames[2])
    assert tracker.state()["support"] == after


def test_presets_and_options_choose_the_parts() -> None:
    assert resolve_preset("fast").support == SupportConfig()
    assert resolve_preset("fast", TrackerOptions(identity=False, let_go=False)).support is None
    assert resolve_preset("finetune").support is None
    kept = resolve_preset("finetune", TrackerOptions(identity=True)).support
    assert kept == SupportConfig(let_go=False)
    given = TrackerOptions(reacquire=True, proposer="components")
    assert resolve_preset("fast", given).support == SupportConfig(reacquire=True)
    with pytest.raises(InputError, match="they need proposals; choose a `proposer`"):
        resolve_preset("fast", TrackerOptions(support=True))
