"""A start or a step that is stopped, wherever it is, leaves the tracker as it was."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import pickle
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.tracking.conftest import ColourAdapter
from vostrack.build import build_tracker
from vostrack.presets import TrackerOptions
from vostrack.refine.craf import Craf
from vostrack.tracking.stopwatch import Stopwatch
from vostrack.tracking.tracker import FrameResult, Tracker

pytestmark = pytest.mark.usefixtures("few_altered_frames")

Clip = tuple[Any, Any]
# Few steps on small frames: the boundaries are those of a long run.
OPTIONS = {
    "balanced": TrackerOptions(object_steps=2, precision="fp32"),
    "finetune": TrackerOptions(object_steps=2, foreground_steps=2, precision="fp32"),
}


class InterruptedCallError(Exception):
    """Anything that may go wrong inside."""


ERRORS = (InterruptedCallError, KeyboardInterrupt)
STAGES = ("begin", "fine-tuning", "end")


def stop_at(monkeypatch: pytest.MonkeyPatch, lap: int, error: type[BaseException]) -> list[str]:
    """Raise at the given boundary between two stages; return the names of those passed."""
    passed: list[str] = []
    original = Stopwatch.lap

    def stopping(self: Stopwatch, stage: str) -> None:
        passed.append(stage)
        if len(passed) == lap + 1:
            raise error
        original(self, stage)

    monkeypatch.setattr(Stopwatch, "lap", stopping)
    return passed


def same(a: FrameResult, b: FrameResult) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.scores, b.scores)
    assert a.presence == b.presence
    assert a.ids == b.ids


@pytest.fixture(params=["simple", "balanced", "finetune"])
def make(request: pytest.FixtureRequest, adapter: Any) -> Callable[[], Tracker]:
    if request.param == "simple":
        return lambda: Tracker(copy.deepcopy(adapter), temporal_filter=Craf())
    return lambda: build_tracker(request.param, options=OPTIONS[request.param])


@pytest.mark.usefixtures("shipped_network_read_once")
def test_a_stopped_step_counts_for_nothing(
    make: Callable[[], Tracker], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    straight, stopped = make(), make()
    for tracker in (straight, stopped):
        tracker.start(frames[0], labels[0])
        tracker.step(frames[1])
    # At one boundary after the other: by both errors, or in turn where a step takes long.
    each = 2 if isinstance(stopped.adapter, ColourAdapter) else 1
    for stops in itertools.count():
        error = ERRORS[stops % 2]
        with monkeypatch.context() as patched:
            passed = stop_at(patched, stops // each, error)
            with contextlib.suppress(error):
                stopped.step(frames[2])
                break
    assert stops == each * len(passed) >= 4 * each
    straight.step(frames[2])
    for t in range(3, 12):
        same(straight.step(frames[t]), stopped.step(frames[t]))


@pytest.mark.usefixtures("shipped_network_read_once")
def test_a_stopped_start_leaves_the_old_objects(
    make: Callable[[], Tracker], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    straight, stopped = make(), make()
    for tracker in (straight, stopped):
        tracker.start(frames[0], labels[0])
        tracker.step(frames[1])
    other = np.where(labels[5] == 3, 9, 0).astype(np.uint8)
    for t, (stage, error) in enumerate(itertools.product(STAGES, ERRORS), start=2):

        def stop(*_: Any, error: type[BaseException] = error, **__: Any) -> None:
            raise error

        with monkeypatch.context() as patched:
            if stage == "begin":
                patched.setattr("vostrack.tracking.tracker.resized", stop)
            elif stage == "fine-tuning" and hasattr(stopped.adapter, "on_progress"):
                patched.setattr(stopped.adapter, "on_progress", stop)
            else:
                stop_at(patched, 0, error)
            with pytest.raises(error):
                stopped.start(frames[5], other)
        assert stopped.ids == (3, 7)
        same(straight.step(frames[t]), stopped.step(frames[t]))
    for frame in frames[8:]:
        same(straight.step(frame), stopped.step(frame))


@pytest.mark.usefixtures("shipped_network_read_once")
def test_a_start_that_fails_first_leaves_a_tracker_that_has_not_started(
    make: Callable[[], Tracker], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels = clip
    tracker = make()
    with monkeypatch.context() as patched:
        stop_at(patched, 0, InterruptedCallError)
        with pytest.raises(InterruptedCallError):
            tracker.start(frames[0], labels[0])
    assert tracker.ids == ()
    with pytest.raises(RuntimeError, match=r"before Tracker\.start"):
        tracker.step(frames[1])


def test_the_callers_settings_do_not_count_and_stay(
    make: Callable[[], Tracker], clip: Clip
) -> None:
    frames, labels = clip
    plain = make()
    expected = [plain.start(frames[0], labels[0]), *2 * [plain.step(frames[1])]]
    expected.append(plain.step(frames[2]))
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with warnings.catch_warnings(), np.errstate(all="raise"), torch.no_grad():
            warnings.simplefilter("error")
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
                tracker = make()
                results = [tracker.start(frames[0], labels[0]), tracker.step(frames[1])]
                tracker.load_state(tracker.start_state(), None)
                results.append(tracker.step(frames[1]))
                tracker.load_state(tracker.start_state(), tracker.state())
                results.append(tracker.step(frames[2]))
                assert torch.is_autocast_enabled("cpu")
                assert torch.is_inference_mode_enabled()
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    for a, b in zip(expected, results, strict=True):
        same(a, b)


def test_read_only_frames_are_taken_without_a_warning(
    make: Callable[[], Tracker], clip: Clip, recwarn: pytest.WarningsRecorder
) -> None:
    frames, labels = clip
    frames.flags.writeable = False
    labels.flags.writeable = False
    tracker = make()
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1])
    assert not [w for w in recwarn if "writable" in str(w.message)]


def test_a_second_thread_is_refused(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    inside, go_on = threading.Event(), threading.Event()
    scores = adapter.scores

    def waiting(image: Any) -> Any:
        inside.set()
        assert go_on.wait(10)
        return scores(image)

    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    adapter.scores = waiting
    first: list[FrameResult] = []
    thread = threading.Thread(target=lambda: first.append(tracker.step(frames[1])))
    thread.start()
    assert inside.wait(10)
    for call in (lambda: tracker.step(frames[1]), tracker.seek_start, tracker.state):
        with pytest.raises(RuntimeError, match="another call on the same tracker"):
            call()
    go_on.set()
    thread.join()
    np.testing.assert_array_equal(first[0].labels, labels[1])


@pytest.mark.usefixtures("shipped_network_read_once")
def test_copies_and_pickles_can_go_on(make: Callable[[], Tracker], clip: Clip) -> None:
    frames, labels = clip
    tracker = make()
    tracker.start(frames[0], labels[0])
    tracker.adapter.on_progress = None  # type: ignore[attr-defined]
    others = [copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))]
    expected = tracker.step(frames[1])
    for other in others:
        same(other.step(frames[1]), expected)


def test_building_leaves_the_random_state(clip: Clip) -> None:
    for preset, options in OPTIONS.items():
        torch.manual_seed(5)
        before, others = torch.get_rng_state(), str((random.getstate(), np.random.get_state()))
        tracker = build_tracker(preset, options=options)
        tracker.start(clip[0][0], clip[1][0])
        tracker.step(clip[0][1])
        assert torch.equal(torch.get_rng_state(), before), preset
        assert str((random.getstate(), np.random.get_state())) == others, preset


FORKED = """
import os, signal, sys
import numpy as np
import torch
from vostrack.build import build_tracker
from vostrack.interactive import Click, ClickSegmenter
from vostrack.proposers.first_mask import propose_first_mask
from vostrack.training.loop import LoopConfig, train

torch.set_num_threads(2)
frame = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
mask = np.zeros((96, 96), np.uint8)
mask[20:60, 20:60] = 1
calls = {
    "step": lambda: tracker.step(frame),
    "build": lambda: build_tracker("fast"),
    "click": lambda: ClickSegmenter(),
    "propose": lambda: propose_first_mask([frame]),
    "train": lambda: train(torch.nn.Linear(1, 1), None, LoopConfig(steps=1), "folder"),
}


def of_child(name, threads):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        torch.set_num_threads(threads)
        try:
            calls[name]()
        except RuntimeError as error:
            os._exit(3 if "spawn" in str(error) else 4)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


tracker = build_tracker("fast")
print("build", of_child("build", 2))
tracker.start(frame, mask)
for name in calls:
    print(name, of_child(name, 2))
print("one thread", of_child("build", 1), of_child("step", 1))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_refused_with_two_threads_and_works_with_one() -> None:
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, timeout=90, check=False, capture_output=True, text=True)
    refused = [f"{name} 3" for name in ("build", "step", "build", "click", "propose", "train")]
    assert done.stdout.splitlines() == [*refused, "one thread 0 0"], done.stderr


def test_a_state_of_another_device_is_taken_up(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    saved = tracker.start_state()
    other = Tracker(copy.deepcopy(adapter), device=torch.device("meta"))
    other.load_state(saved, None)
    assert other.adapter.colours.device.type == "meta"  # type: ignore[attr-defined]
