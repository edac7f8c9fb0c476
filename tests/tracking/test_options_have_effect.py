"""Every option of the tracker changes the result where it is accepted, and is refused elsewhere."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.build import build_tracker
from vostrack.errors import InputError
from vostrack.presets import TrackerOptions, resolve_preset
from vostrack.proposers.components import ForegroundComponents
from vostrack.tracking import second_pass
from vostrack.tracking.video import track_video
from vostrack.video import open_source

pytestmark = pytest.mark.usefixtures("few_altered_frames", "shipped_network_read_once")

FEW: dict[str, dict[str, Any]] = {
    "fast": {"precision": "fp32"},
    "balanced": {"object_steps": 2, "precision": "fp32"},
    # Only its head learns: after two steps it finds nothing yet.
    "finetune": {"object_steps": 4, "foreground_steps": 4, "precision": "fp32"},
}
# The preset and the option.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("fast", {"max_size": 48}),
    ("finetune", {"max_size": 48}),
    ("fast", {"object_steps": 2}),
    ("finetune", {"object_steps": 5}),
    ("finetune", {"foreground_steps": 5}),
    ("finetune", {"per_video": True}),
    ("fast", {"craf": True}),
    ("finetune", {"craf": False}),
    ("fast", {"adapt": False}),
    ("fast", {"mirror": True}),
    ("fast", {"flow": False}),
    ("finetune", {"gate": "none"}),
    ("finetune", {"gate": "after"}),
    ("fast", {"refiner": "none"}),
    ("fast", {"refiner": "dense-crf"}),
    ("fast", {"refiner": "spn"}),
    ("finetune", {"refiner": "none"}),
    ("fast", {"refiner_options": {"iterations": 5}}),
    ("balanced", {"seed": 1}),
    ("finetune", {"seed": 1}),
    ("fast", {"precision": "bf16"}),
    ("finetune", {"precision": "bf16"}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    *[("balanced", {name: value}) for name, value in (("foreground_steps", 3), ("gate", "none"))],
    ("balanced", {"per_video": True}),
    ("finetune", {"adapt": False}),
    ("finetune", {"second_pass": False}),
    ("fast", {"second_pass": True}),
    ("fast", {"proposer": "components"}),
    ("fast", {"reacquire": True}),
    ("finetune", {"let_go": True}),
    ("finetune", {"mirror": True}),
    ("finetune", {"flow": True}),
    ("finetune", {"carry": 0}),
    ("fast", {"carry": 1, "flow": False}),
    ("fast", {"carry": -1}),
    ("fast", {"support": True}),
    ("fast", {"proposer_options": {"threshold": 0.4}}),
    ("fast", {"refiner": "none", "refiner_options": {"iterations": 5}}),
]


def scene(objects: int) -> tuple[UInt8Array, UInt8Array]:
    """Frames (T, H, W, 3) of noisy boxes that move, and the mask of the first one."""
    noise = np.random.default_rng(0).integers(0, 90, (4, 64, 96, 3))
    frames, mask = noise.astype(np.uint8), np.zeros((64, 96), np.uint8)
    for k in range(objects):
        for t in range(len(frames)):
            y, x = 8 + 26 * k, 10 + 40 * k + 4 * t
            frames[t, y : y + 22, x : x + 30, k] += 140
            if t == 0:
                mask[y : y + 22, x : x + 30] = k + 1
    return frames, mask


@lru_cache(maxsize=8)
def plain_scores(preset: str, objects: int) -> FloatArray:
    return scores(preset, {}, objects)


def scores(preset: str, given: dict[str, Any], objects: int = 2) -> FloatArray:
    frames, mask = scene(objects)
    options = TrackerOptions(**{**FEW[preset], **given})
    tracker = build_tracker(preset, device="cpu", options=options)
    tracker.start(frames[0], mask)
    return np.stack([tracker.step(frame).scores for frame in frames[1:]])


def test_no_option_is_left_out() -> None:
    named = {name for _, given in CASES for name in given}
    named |= {"carry"}  # tests/online_finetune/target/test_carried_frames.py
    named |= {"proposer", "proposer_options", "second_pass"}  # below
    named |= {"identity", "let_go", "reacquire", "support"}  # tests/tracking/support
    assert named == {entry.name for entry in fields(TrackerOptions)}


@pytest.mark.parametrize(("preset", "given"), CASES)
def test_an_option_changes_the_result(preset: str, given: dict[str, Any]) -> None:
    assert not np.array_equal(scores(preset, given), plain_scores(preset, 2))


@pytest.mark.parametrize(("preset", "given"), REFUSED)
def test_an_option_that_cannot_change_it_is_refused(preset: str, given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        resolve_preset(preset, TrackerOptions(**given))


def test_foreground_steps_count_for_a_single_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them, finetune uses one network for the object and for the foreground."""
    options = {"object_steps": 4, "precision": "fp32"}
    monkeypatch.setitem(FEW, "finetune", options)
    shared = scores("finetune", {}, 1)
    fewer, more = (scores("finetune", {"foreground_steps": n}, 1) for n in (4, 5))
    assert not np.array_equal(fewer, more)
    assert not np.array_equal(shared, fewer)


def test_a_second_pass_learns_from_later_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_pass, "_PRESENCE", 0.0)
    monkeypatch.setattr(second_pass, "_UNCERTAINTY", 1.0)
    frames, mask = scene(1)
    found = []
    for wanted in (None, True):
        options = TrackerOptions(object_steps=2, precision="fp32", second_pass=wanted)
        tracker = build_tracker("balanced", device="cpu", options=options)
        steps = track_video(tracker, open_source(frames), mask)
        found.append(np.stack([step.result.scores for step in steps]))
    assert not np.array_equal(found[0], found[1])


def test_where_a_second_pass_is_on() -> None:
    assert resolve_preset("balanced").tracker.second_pass == 0
    on = resolve_preset("balanced", TrackerOptions(second_pass=True))
    assert on.tracker.second_pass == 3
    tuned = TrackerOptions(object_steps=2, second_pass=True)
    assert resolve_preset("fast", tuned).tracker.second_pass == 3
    assert resolve_preset("best", TrackerOptions(object_steps=0)).tracker.second_pass == 0
    assert resolve_preset("best", TrackerOptions(second_pass=False)).tracker.second_pass == 0


@pytest.mark.parametrize("name", ["components"])
def test_the_proposer_and_its_options_reach_the_tracker(
    name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    propose = ForegroundComponents.propose

    def noted(self: ForegroundComponents, frame: Any, foreground: Any) -> Any:
        asked.append(self.config.threshold)
        return propose(self, frame, foreground)

    monkeypatch.setattr(ForegroundComponents, "propose", noted)
    frames, mask = scene(2)
    given = {"craf": True, "proposer": name, "proposer_options": {"threshold": 0.25}}
    tracker = build_tracker("fast", device="cpu", options=TrackerOptions(**FEW["fast"], **given))
    tracker.start(frames[0], mask)
    found = tracker.adapter.scores

    def lost(image: Any) -> Any:
        scores, foreground = found(image)
        return scores * 0, foreground

    monkeypatch.setattr(tracker.adapter, "scores", lost)
    tracker.step(frames[1])
    assert asked == [0.25]
