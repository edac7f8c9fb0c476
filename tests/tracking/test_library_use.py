"""What a program that imports the library may do, and what it is told."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.build import build_tracker
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.masks import davis_palette
from vostrack.models.weights import shipped_weights
from vostrack.presets import TrackerOptions
from vostrack.proposers.components import ForegroundComponents
from vostrack.refine.craf import Craf
from vostrack.tracking.frame_result import FrameResult
from vostrack.tracking.tracker import Tracker
from vostrack.tracking.video import track_video
from vostrack.video import open_source

Clip = tuple[Any, Any]


def test_a_proposer_that_nothing_asks_is_refused_at_the_next_call(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    tracker.proposer = ForegroundComponents()
    with pytest.raises(InputError, match=r"proposer: .*tracker\.temporal_filter ="):
        tracker.step(frames[1])
    with pytest.raises(InputError, match=r"proposer: .*tracker\.temporal_filter ="):
        tracker.start(frames[0], labels[0])
    tracker.proposer = None
    np.testing.assert_array_equal(tracker.step(frames[1]).labels, labels[1])
    tracker.proposer, tracker.temporal_filter = ForegroundComponents(), Craf()
    tracker.start(frames[0], labels[0])
    np.testing.assert_array_equal(tracker.step(frames[1]).labels, labels[1])


class Subclass(np.ndarray):
    """What a library may hand out in place of an array."""


KINDS_OF_FRAMES: dict[str, Callable[[Any], Any]] = {
    "columns first": np.asfortranarray,
    "mirrored view": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
    "every second": lambda a: np.repeat(a, 2, 1)[:, ::2],
    "subclass": lambda a: a.view(Subclass),
    "masked": np.ma.masked_array,
}
KINDS_OF_MASKS: dict[str, Callable[[Any], Any]] = {
    **KINDS_OF_FRAMES,
    "int64": lambda a: a.astype(np.int64),
    "big-endian": lambda a: a.astype(">u2"),
}


@pytest.mark.parametrize("kind", KINDS_OF_MASKS)
def test_arrays_of_any_kind_give_the_same(kind: str, adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    of_frame = KINDS_OF_FRAMES.get(kind, np.array)
    first = tracker.start(of_frame(frames[0]), KINDS_OF_MASKS[kind](labels[0]))
    np.testing.assert_array_equal(first.labels, labels[0])
    assert type(first.labels) is np.ndarray
    assert first.labels.dtype == np.uint8
    second = tracker.step(of_frame(frames[1]))
    np.testing.assert_array_equal(second.labels, labels[1])
    assert {type(second.labels), type(second.scores)} == {np.ndarray}


def test_a_mask_of_truth_values_is_one_object(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0] == 3)
    assert tracker.ids == (1,)
    np.testing.assert_array_equal(tracker.step(frames[1]).labels == 1, labels[1] == 3)


def test_a_notebook_shows_the_label_map_in_the_palette() -> None:
    labels = np.zeros((6, 9), np.uint8)
    labels[1:3, 2:5], labels[4:, 6:] = 3, 254
    result = FrameResult(labels, np.zeros((2, 6, 9), np.float32), (3, 254), (1.0, 1.0), {})
    with Image.open(io.BytesIO(result._repr_png_())) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), davis_palette()[labels])


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("spn", "spatial propagation network (vostrack train spn)"),
        ("displacement", "displacement field network (vostrack train siseg)"),
        ("localizer", "localization head (vostrack train localizer)"),
    ],
)
@pytest.mark.parametrize("preset", ["balanced", "finetune"])
def test_weights_of_another_method_are_named(name: str, contents: str, preset: str) -> None:
    with pytest.raises(InputError) as raised:
        build_tracker(preset, device="cpu", weights=str(shipped_weights(name)))
    message = str(raised.value)
    assert f"{name}.safetensors holds a {contents}" in message
    assert "expected a target network (vostrack train target)" in message


@pytest.mark.parametrize("weights", ["spn", "backbone", "target"])
def test_the_command_line_names_no_option_that_it_does_not_have(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backbone.pt"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "0.png")
    Image.fromarray(np.pad(np.ones((20, 20), np.uint8), 10)).save(tmp_path / "mask.png")
    given = file if weights == "backbone" else shipped_weights(weights)
    command = ["track", "--video", str(tmp_path / "0.png"), "--first-mask"]
    command += [str(tmp_path / "mask.png"), "--output", str(tmp_path / "out")]
    assert main([*command, "--preset", "finetune", "--weights", str(given)]) == 2
    message = capsys.readouterr().err
    assert "--weights: " in message
    assert "backbone`" not in message
    assert "--backbone" not in message
    assert "vostrack train foreground" in message


LOADED = """
import sys
import numpy as np
from vostrack.build import build_tracker
from vostrack.presets import TrackerOptions

frame = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
mask = np.zeros((64, 96), np.uint8)
mask[10:40, 20:50], mask[30:60, 60:90] = 1, 2


def compiled():
    loops = [m for name, m in sys.modules.items() if name.startswith("vostrack.refine")]
    functions = [f for m in loops for f in vars(m).values() if hasattr(f, "signatures")]
    return sorted({(f.__name__, str(s)) for f in functions for s in f.signatures})


def loaded():
    ours = ("numba", "scipy", "vostrack", "torch")
    return {name for name in sys.modules if name.startswith(ours)}


heavy = {"torchvision", "scipy", "numba", "torch._dynamo"}
# torch's compiler, which torch's own optimizers import, took longer than the whole start.
options = TrackerOptions(object_steps=1, foreground_steps=1, refiner="none", craf=False)
build_tracker("finetune", device="cpu", options=options).start(frame, mask)
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for refiner in ("sampled-crf", "spn"):
    options = TrackerOptions(object_steps=0, refiner=refiner)
    tracker = build_tracker("fast", device="cpu", options=options)
    earlier = compiled()
    if refiner == "sampled-crf":
        tracker.start(frame, mask == 1)
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    tracker.start(frame, mask)
    before, modules = compiled(), loaded()
    if refiner == "sampled-crf":
        assert "scipy.optimize" in modules  # for objects that touch
    else:
        assert before != earlier, refiner
    tracker.step(frame)
    assert compiled() == before, (refiner, set(compiled()) - set(before))
    assert loaded() == modules, (refiner, loaded() - modules)
assert "torch._dynamo" not in sys.modules
"""


def test_start_loads_what_the_first_step_needs_and_nothing_heavy() -> None:
    """Loading compiled loops made the first step several times slower than the others."""
    pytest.importorskip("numba")
    command = [sys.executable, "-c", LOADED]
    run = subprocess.run(command, timeout=240, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("preset", ["balanced", "finetune"])
def test_deterministic_algorithms_may_be_required(preset: str, clip: Clip) -> None:
    frames, labels = clip
    options = TrackerOptions(
        object_steps=1,
        foreground_steps=1 if preset == "finetune" else None,
        craf=True,
        precision="fp32",
    )
    torch.use_deterministic_algorithms(True)
    try:
        tracker = build_tracker(preset, device="cpu", options=options)
        tracker.start(frames[0], labels[0])
        first = tracker.step(frames[1])
        tracker.seek_start()
        again = tracker.step(frames[1])
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    np.testing.assert_array_equal(first.scores, again.scores)


def test_trackers_in_several_threads_do_not_disturb_each_other(clip: Clip) -> None:
    frames, labels = clip
    options = TrackerOptions(object_steps=0, precision="fp32")
    trackers = [build_tracker("fast", device="cpu", options=options) for _ in range(3)]

    def follow(tracker: Tracker) -> Any:
        tracker.start(frames[0], labels[0])
        return np.stack([tracker.step(frame).scores for frame in frames[1:5]])

    alone = follow(trackers[0])
    with ThreadPoolExecutor(2) as threads:
        for together in threads.map(follow, trackers[1:]):
            np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("given", ["80", True, float("nan"), -1, None, [80]])
def test_numbers_that_are_none_are_refused(given: Any, editable: Any, clip: Clip) -> None:
    frames, labels = clip
    editable.can_refit, editable.refit = lambda: False, lambda image: None
    tracker = Tracker(editable, temporal_filter=Craf())
    tracker.start(frames[0], labels[0])
    calls: dict[str, Callable[[], Any]] = {
        "at_most": lambda: tracker.propose_objects(frames[0], at_most=given),
        "objects": lambda: tracker.warm_up((60, 90), given),
        "size": lambda: tracker.warm_up((given, given)),
        "remove_objects": lambda: tracker.remove_objects([given]),
        "correct": lambda: tracker.correct(frames[0], labels[0], [given]),
    }
    if given is not None:  # no limit
        calls["max_ms"] = lambda: tracker.step(frames[1], max_ms=given)
        calls["max_ms "] = lambda: tracker.correct(frames[0], labels[0], max_ms=given)
    for name, call in calls.items():
        if given == -1 and name in ("remove_objects", "correct"):
            continue
        with pytest.raises(InputError, match=f"^{name.strip()}: expected .* got "):
            call()
    with pytest.raises(InputError, match=r"^size: expected H and W"):
        tracker.warm_up(given)
    np.testing.assert_array_equal(tracker.step(frames[1]).labels, labels[1])


def test_numbers_of_numpy_are_taken(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.warm_up(np.array([60, 90]), np.int64(2))  # type: ignore[arg-type]
    tracker.start(frames[0], labels[0])
    tracker.step(frames[1], max_ms=np.float32(80))  # type: ignore[arg-type]


def test_an_unknown_order_of_colours_is_refused_without_a_frame(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    tracker = Tracker(adapter)
    tracker.start(frames[0], labels[0])
    with pytest.raises(InputError, match="channels: expected rgb or bgr, got 'BGR'"):
        tracker.step(None, channels="BGR")  # type: ignore[arg-type]
    assert tracker.step(None, channels="bgr").predicted


def test_results_and_frames_can_be_compared_and_hashed(adapter: Any, clip: Clip) -> None:
    frames, labels = clip
    steps = list(track_video(Tracker(adapter), open_source(frames[:2]), labels[0]))
    for one, other in (steps, [s.result for s in steps], [s.frame for s in steps]):
        assert one == one
        assert one != other
        assert len({one, other}) == 2
