"""The tracker's frame loop, with parts that are easy to foresee."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.proposers.components import ForegroundComponents
from vostrack.protocols import InstanceProposals
from vostrack.refine.craf import Craf, CrafConfig
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]


def test_it_follows_two_objects_and_keeps_their_ids(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    first = tracker.start(frames[0], labels[0])
    assert tracker.ids == first.ids == (3, 7)
    np.testing.assert_array_equal(first.labels, labels[0])
    for t in range(1, 12):
        result = tracker.step(frames[t])
        np.testing.assert_array_equal(result.labels, labels[t])
        assert result.labels.dtype == np.uint8
        assert result.scores.shape == (2, 60, 90)
        assert result.scores.dtype == np.float32
        assert min(result.presence) > 0.9
        assert {"input", "networks", "filter", "output"} <= set(result.timings)


def test_parts_can_be_left_out(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, config=TrackerConfig(gate="none"))
    tracker.start(frames[0], labels[0])
    np.testing.assert_array_equal(tracker.step(frames[5]).labels, labels[5])


def test_an_absent_object_has_no_presence(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    without = frames[1].copy()
    without[labels[1] == 7] = 90
    result = tracker.step(without)
    assert result.presence[0] > 0.9
    assert result.presence[1] == 0
    assert set(np.unique(result.labels)) == {0, 3}


def test_void_of_the_first_mask_becomes_background(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    mask = labels[0].copy()
    mask[50:] = 255
    tracker = Tracker(adapter)
    assert set(np.unique(tracker.start(frames[0], mask).labels)) == {0, 3, 7}


def test_large_frames_are_worked_on_small_and_answered_large(adapter: Any, clip: Clip) -> None:
    frames, labels = (np.repeat(np.repeat(a, 4, axis=1), 4, axis=2) for a in clip)
    sizes = []
    scores = adapter.scores

    def recording(image: Tensor) -> tuple[Tensor, Tensor | None]:
        sizes.append(tuple(image.shape))
        return scores(image)  # type: ignore[no-any-return]

    adapter.scores = recording
    tracker = Tracker(adapter, temporal_filter=Craf(), config=TrackerConfig(max_size=90))
    tracker.start(frames[0], labels[0])
    result = tracker.step(frames[1])
    assert sizes == [(3, 60, 90)]
    assert result.labels.shape == (240, 360)
    assert (result.labels == labels[1]).mean() > 0.98


def test_the_gate_has_its_places(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    seen: dict[str, Tensor] = {}

    def refiner(image: Tensor, scores: Tensor) -> Tensor:
        seen["before"] = scores
        return torch.ones_like(scores)

    scores = adapter.scores
    adapter.scores = lambda image: (torch.ones_like(scores(image)[0]), scores(image)[1])
    results = {}
    for place in ("before", "after", "none"):
        config = TrackerConfig(gate=place, gate_dilation=0)
        tracker = Tracker(adapter, refiner=refiner, config=config)
        tracker.start(frames[0], labels[0])
        results[place] = tracker.step(frames[1]).labels
        outside = seen["before"][0].numpy()[labels[1] == 0]
        assert outside.max() == (0 if place == "before" else 1)
    assert (results["after"][labels[1] == 0] == 0).all()
    assert (results["before"] > 0).all()
    assert (results["none"] > 0).all()


def test_the_proposer_finds_a_lost_object(adapter: Any, clip: Clip) -> None:
    """The object's own score fails in one frame; its region is in the foreground."""
    frames, labels = clip
    original = adapter.scores

    def failing(image: Tensor) -> tuple[Tensor, Tensor | None]:
        scores, foreground = original(image)
        scores = scores.clone()
        scores[0] = 0
        return scores, foreground

    found = {}
    for proposer in (None, ForegroundComponents()):
        adapter.scores = original
        craf = Craf(CrafConfig(delta=0.2))
        tracker = Tracker(adapter, temporal_filter=craf, proposer=proposer)
        tracker.start(frames[0], labels[0])
        adapter.scores = failing
        found[proposer is not None] = tracker.step(frames[1])
    np.testing.assert_array_equal(found[True].labels, labels[1])
    assert set(np.unique(found[False].labels)) == {0, 7}


def test_the_proposer_is_given_the_frame_at_its_own_size(adapter: Any, clip: Clip) -> None:
    frames, labels = (np.repeat(np.repeat(a, 2, axis=1), 2, axis=2) for a in clip)
    seen = []

    class Recorder:
        def propose(self, frame: Any, foreground: Any) -> InstanceProposals:
            seen.append((frame.shape, foreground.shape))
            return ForegroundComponents().propose(frame, foreground)

    tracker = Tracker(
        adapter, temporal_filter=Craf(), proposer=Recorder(), config=TrackerConfig(max_size=90)
    )
    tracker.start(frames[0], labels[0])
    tracker.step(np.full_like(frames[1], 90))
    assert seen == [((120, 180, 3), (120, 180))]


def test_seek_start_goes_back_to_the_first_frame(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    expected = tracker.step(frames[1]).labels
    for t in range(2, 12):
        tracker.step(frames[t])
    tracker.seek_start()
    np.testing.assert_array_equal(tracker.step(frames[1]).labels, expected)
    assert adapter.starts == 1


def test_load_state_continues_where_another_stood(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    for t in range(1, 6):
        tracker.step(frames[t])
    other = Tracker(type(adapter)(), temporal_filter=Craf())
    other.load_state(tracker.start_state(), tracker.state())
    assert other.ids == (3, 7)
    assert len(adapter.commits) == len(other.adapter.commits) == 5  # type: ignore[attr-defined]
    one, two = tracker.step(frames[6]), other.step(frames[6])
    np.testing.assert_array_equal(one.scores, two.scores)


@pytest.mark.parametrize("which", ["start_state", "state"])
def test_a_state_of_another_version_changes_nothing(adapter: Any, clip: Clip, which: str) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    saved = {"start_state": tracker.start_state(), "state": tracker.state()}
    saved[which]["format"] += 1
    other = Tracker(type(adapter)())
    with pytest.raises(InputError, match=r"expected format \d+, got \d+; .* by another version"):
        other.load_state(saved["start_state"], saved["state"])
    assert other.ids == ()


def test_memory_does_not_grow_with_frames(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])

    def run(count: int) -> int:
        for t in range(count):
            tracker.step(frames[t % 12])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_few = run(24)
        after_many = run(240)
    finally:
        tracemalloc.stop()
    # One kept label map of this size alone would add 5400 bytes a frame.
    assert after_many - after_few < 60_000


def test_misuse_is_named(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    for early in (tracker.state, tracker.start_state, tracker.seek_start):
        with pytest.raises(RuntimeError, match=r"was called before Tracker\.start"):
            early()
    with pytest.raises(RuntimeError, match="start"):
        tracker.step(frames[0])
    bad = {
        "RGB order": (frames[0][..., 0], labels[0]),
        "uint8": (frames[0].astype(np.float32), labels[0]),
        r"\(60, 90\)": (frames[0], labels[0][:-1]),
        "integer": (frames[0], labels[0].astype(np.float32)),
        r"1\.\.254": (frames[0], labels[0].astype(np.int32) - 1),
        "at least one object": (frames[0], np.zeros_like(labels[0])),
    }
    for words, (frame, mask) in bad.items():
        with pytest.raises(InputError, match=words):
            tracker.start(frame, mask)
    tracker.start(frames[0], labels[0])
    with pytest.raises(InputError, match=r"90 x 60.*80 x 60"):
        tracker.step(frames[1][:, :80])


def test_an_object_that_vanishes_at_the_working_size_is_named(adapter: Any, clip: Clip) -> None:
    frames, labels = (np.repeat(np.repeat(a, 8, axis=1), 8, axis=2) for a in clip)
    mask = labels[0].copy()
    mask[mask == 7] = 0
    mask[1, 1] = 7
    tracker = Tracker(adapter, config=TrackerConfig(max_size=90))
    with pytest.raises(InputError, match=r"object 7.*max_size"):
        tracker.start(frames[0], mask)


@pytest.mark.parametrize(
    "change", [{"max_size": 10}, {"gate": "inside"}, {"threshold": 1.0}, {"gate_dilation": -1}]
)
def test_bad_configuration(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        replace(TrackerConfig(), **change)


def test_the_adapter_is_told_the_final_result_of_each_frame(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    stray = frames[1].copy()
    stray[50:56, 2:8] = (250, 20, 20)  # of the first object's colour, apart from it
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    result = tracker.step(stray)
    scores, slots = adapter.commits[-1]
    assert float(scores[0, 50:56, 2:8].max()) == 0  # the filter took it away
    np.testing.assert_array_equal(slots.numpy() > 0, result.labels > 0)
    tracker.seek_start()
    assert adapter.commits == []


def test_presence_is_the_adapters_where_it_knows(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    told: list[Any] = []

    class Listening(Craf):
        def __call__(self, scores: Any, candidates: Any = None, presence: Any = None) -> Any:
            told.append(presence)
            return super().__call__(scores, candidates, presence)

    tracker = Tracker(adapter, temporal_filter=Listening())
    tracker.start(frames[0], labels[0])
    own = tracker.step(frames[1]).presence
    assert own[0] == pytest.approx(1, abs=0.1)  # the mean score over the object
    adapter.presence = lambda: torch.tensor([0.25, 0.75])
    assert tracker.step(frames[2]).presence == (0.25, 0.75)
    assert told == [None, [0.25, 0.75]]


def test_states_of_another_method_and_exchanged_states_are_refused(
    adapter: Any, clip: Clip
) -> None:
    class OtherAdapter(type(adapter)):  # type: ignore[misc]
        pass

    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    start, running = tracker.start_state(), tracker.state()
    with pytest.raises(InputError, match="expected the start state, got the running state"):
        tracker.load_state(running, start)
    with pytest.raises(InputError, match=r"saved with ColourAdapter, .* uses OtherAdapter"):
        Tracker(OtherAdapter()).load_state(start, running)
    other = Tracker(type(adapter)())
    other.start(frames[1], labels[0])
    with pytest.raises(InputError, match="belong to different starts"):
        other.load_state(other.start_state(), running)
    with pytest.raises(InputError, match=r"size of 90 x 60, .* works at 45 x 30"):
        Tracker(type(adapter)(), config=TrackerConfig(max_size=45)).load_state(start, running)
    with pytest.raises(InputError, match="got NoneType; call load_state"):
        other.load_state(None, None)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("part", ["start_state", "state"])
def test_a_damaged_state_changes_nothing(adapter: Any, clip: Clip, part: str) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    whole = {"start_state": tracker.start_state(), "state": tracker.state()}
    expected = tracker.step(frames[2])
    other = Tracker(type(adapter)(), temporal_filter=Craf())
    other.load_state(*whole.values())
    for key in whole[part]:
        if key in ("format", "missing", "removed", "support", "adapter"):
            continue
        for damaged in (
            {name: value for name, value in whole[part].items() if name != key},
            {**whole[part], key: []},
        ):
            with pytest.raises(InputError, match="tracker state"):
                other.load_state(*{**whole, part: damaged}.values())
    np.testing.assert_array_equal(other.step(frames[2]).scores, expected.scores)
