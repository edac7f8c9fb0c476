"""A proposer that looks where the objects were is told of them, also after a resumption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.protocols import InstanceProposals
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.tracker import Tracker, TrackerConfig

Clip = tuple[Any, Any]


class Following:
    """Remembers what it is told, and proposes nothing."""

    def __init__(self) -> None:
        self.maps: list[UInt8Array] = []

    def follow(self, labels: UInt8Array) -> None:
        self.maps.append(labels.copy())

    def propose(self, frame: Any, foreground: Any) -> InstanceProposals:
        nothing = np.zeros((0, *frame.shape[:2]), np.bool_)
        empty = np.zeros(0, np.float32)
        return InstanceProposals(
            nothing, empty, empty.astype(np.int64), np.zeros((0, 4), np.float32)
        )


class Asking:
    """A temporal filter that asks for proposals on every frame and changes nothing."""

    def start(self, labels: Any) -> None: ...

    def __call__(
        self, scores: Any, candidates: Callable[[], Any] | None = None, presence: Any = None
    ) -> Any:
        assert candidates is not None
        candidates()
        return scores

    def commit(self, labels: Any) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


def _tracker(adapter: Any, proposer: Following) -> Tracker:
    config = TrackerConfig(max_size=45)
    return Tracker(adapter, temporal_filter=Asking(), proposer=proposer, config=config)


def test_it_is_given_the_previous_frame_at_full_size(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    proposer = Following()
    tracker = _tracker(adapter, proposer)
    tracker.start(frames[0], labels[0])
    for t in (1, 2, 3):
        tracker.step(frames[t])
    tracker.seek_start()
    tracker.step(frames[1])
    for seen, t in zip(proposer.maps, (0, 1, 2, 0), strict=True):
        slots = np.select([labels[t] == 3, labels[t] == 7], [1, 2]).astype(np.uint8)
        assert seen.shape == slots.shape
        # Worked on at half the size: edges may be one pixel off.
        assert (seen == slots).mean() > 0.97
        assert set(np.unique(seen)) == {0, 1, 2}


def test_it_is_given_the_same_after_a_resumption(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    first, second = Following(), Following()
    tracker = _tracker(adapter, first)
    tracker.start(frames[0], labels[0])
    tracker.step(frames[3])
    start, state = tracker.start_state(), tracker.state()
    tracker.step(frames[4])
    again = _tracker(type(adapter)(), second)
    again.load_state(start, state)
    with torch.inference_mode():
        again.step(frames[4])
    np.testing.assert_array_equal(second.maps[-1], first.maps[-1])
    assert not np.array_equal(first.maps[-1], first.maps[0])


class Soft(Following):
    """Proposes one instance with a soft mask."""

    def __init__(self, soft: bool) -> None:
        super().__init__()
        self.soft = soft

    def propose(self, frame: Any, foreground: Any) -> InstanceProposals:
        half = np.full((1, *frame.shape[:2]), 0.75, np.float32)
        return InstanceProposals(
            half >= 0.5,
            np.full(1, 0.5, np.float32),
            np.zeros(1, np.int64),
            np.zeros((1, 4), np.float32),
            soft=half if self.soft else None,
        )


@pytest.mark.parametrize(("soft", "level"), [(False, 0.5), (True, 0.375)])
def test_soft_masks_are_preferred_to_masks(adapter: Any, soft: bool, level: float) -> None:
    frame, previous = np.zeros((40, 60, 3), np.uint8), np.zeros((20, 30), np.uint8)
    maps = proposed_regions(Soft(soft), adapter, frame, None, previous)
    assert maps.shape == (1, 20, 30)
    np.testing.assert_allclose(maps, level)


def test_soft_masks_are_checked() -> None:
    masks, one = np.ones((1, 4, 5), np.bool_), np.ones(1, np.float32)
    rest = (masks, one, np.zeros(1, np.int64), np.zeros((1, 4), np.float32))
    with pytest.raises(InputError, match=r"soft: expected float32 of shape \(1, 4, 5\)"):
        InstanceProposals(*rest, soft=np.ones((1, 5, 4), np.float32))
    with pytest.raises(InputError, match=r"soft: .*\[0, 1\], got 0.0 to 2.0"):
        InstanceProposals(*rest, soft=np.array([[[0, 2, 1, 1, 1]] * 4], np.float32))
    with pytest.raises(InputError, match="names: expected 1 names for 1 masks, got 2"):
        InstanceProposals(*rest, names=("a", "b"))
