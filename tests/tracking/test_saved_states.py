"""Saved states are copies, and what is no state of this tracker is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.refine.craf import Craf
from vostrack.tracking.tracker import Tracker

Clip = tuple[Any, Any]
Saved = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def saved(adapter: Any, clip: Clip) -> Saved:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    return tracker.start_state(), tracker.state()


def _spoil(state: dict[str, Any]) -> None:
    for value in state.values():
        if hasattr(value, "fill_"):
            value.fill_(9)


def test_writing_into_a_state_changes_no_tracker(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker, expected = Tracker(adapter), Tracker(type(adapter)())
    for one in (tracker, expected):
        one.start(frames[0], labels[0])
        one.step(frames[1])
    start, state = tracker.start_state(), tracker.state()
    others = [Tracker(type(adapter)()) for _ in range(2)]
    for other in others:
        other.load_state(start, state)
    _spoil(start)
    _spoil(state)
    wanted = [expected.step(None).labels, expected.step(frames[2]).labels]
    expected.seek_start()
    wanted.append(expected.step(None).labels)
    for one in (tracker, *others):
        found = [one.step(None).labels, one.step(frames[2]).labels]
        one.seek_start()
        found.append(one.step(None).labels)
        np.testing.assert_array_equal(found, wanted)


def test_trackers_that_loaded_one_state_share_nothing(adapter: Any, saved: Saved) -> None:
    one, other = (Tracker(type(adapter)()) for _ in range(2))
    for tracker in (one, other):
        tracker.load_state(*saved)
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            assert not np.shares_memory(value, vars(other)[name]), name
            assert value.flags.writeable


@pytest.mark.parametrize(
    "make", [lambda start, _: {"start": start}, lambda *_: {}, lambda *_: {1: 2}]
)
def test_a_bundle_of_states_is_no_state(
    make: Callable[..., Any], adapter: Any, saved: Saved
) -> None:
    tracker = Tracker(type(adapter)())
    words = r"this is no result of start_state\(\), it holds .* load_state\(saved\["
    with pytest.raises(InputError, match=words):
        tracker.load_state(make(*saved), saved[1])
    with pytest.raises(InputError, match=r"this is no result of state\(\)"):
        tracker.load_state(saved[0], make(*saved))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"filter": None}, "'filter' is missing"),
        ({"filter": "x"}, "its filter is 'x'"),
        ({"support": None}, "'support' is missing"),
        ({"support": 3}, "its support is 3"),
        ({"removed": "x"}, "do not fit together"),
        ({"removed": [3]}, "do not fit together"),
        ({"removed": [300]}, "do not fit together"),
        ({"presence": "ab"}, "do not fit together"),
        ({"missing": -2}, "do not fit together"),
        ({"last_labels": None}, "'last_labels' is missing"),
    ],
)
def test_a_damaged_part_is_named(
    damage: dict[str, Any], words: str, adapter: Any, saved: Saved
) -> None:
    start, state = saved
    damaged = {**state, **damage}
    for key in [key for key, value in damage.items() if value is None]:
        del damaged[key]
    tracker = Tracker(type(adapter)())
    with pytest.raises(InputError, match=f"tracker state: it is damaged, .*{words}"):
        tracker.load_state(start, damaged)
    assert tracker.ids == ()


def test_a_filter_that_has_a_state_only_later(adapter: Any, clip: Clip) -> None:
    class Counting(Craf):
        frames = 0

        def start(self, labels: Any) -> None:
            super().start(labels)
            self.frames = 0

        def __call__(self, *given: Any, **named: Any) -> Any:
            self.frames += 1
            return super().__call__(*given, **named)

        def state_dict(self) -> dict[str, Any]:
            return {"frames": self.frames} if self.frames else {}

        def load_state_dict(self, state: Any) -> None:
            self.frames = state.get("frames", 0)

    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Counting())
    tracker.start(frames[0], labels[0])
    for count in (0, 1, 2):
        other = Tracker(type(adapter)(), temporal_filter=Counting())
        other.load_state(tracker.start_state(), tracker.state())
        assert vars(other.temporal_filter)["frames"] == count
        tracker.step(frames[count + 1])


def test_a_tracker_with_other_parts_is_named(adapter: Any, clip: Clip, saved: Saved) -> None:
    frames, labels = clip
    with pytest.raises(InputError, match="saved without a filter, but this tracker has Craf"):
        Tracker(type(adapter)(), temporal_filter=Craf()).load_state(*saved)
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    with pytest.raises(InputError, match="saved with a filter, but this tracker has none; build"):
        Tracker(type(adapter)()).load_state(tracker.start_state(), tracker.state())
