"""What ``run.json`` says of a run that is running, was stopped, or failed."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.runs.conftest import FRAMES
from vostrack import ClipRequest, InputError
from vostrack.masks import read_results
from vostrack.runs import clip as clip_module
from vostrack.runs.clip import track_clip
from vostrack.runs.status import status_after
from vostrack.tracking.tracker import Tracker

Make = Callable[..., ClipRequest]


def record(request: ClipRequest) -> dict[str, Any]:
    return dict(json.loads((request.output / "run.json").read_text()))


def breaking(error: BaseException, monkeypatch: pytest.MonkeyPatch, frame: int = 3) -> None:
    """Let the tracker raise an error in a frame."""
    step, calls = Tracker.step, []

    def failing(self: Tracker, image: Any) -> Any:
        calls.append(1)
        if len(calls) == frame:
            raise error
        return step(self, image)

    monkeypatch.setattr(Tracker, "step", failing)


def test_a_run_that_failed_says_why_and_is_resumed(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for()
    with monkeypatch.context() as patched:
        breaking(RuntimeError("no\nroom"), patched)
        with pytest.raises(RuntimeError):
            track_clip(request)
    found = record(request)
    assert (found["status"], found["error"]) == ("failed", "RuntimeError: no room")
    assert found["frames"] == 3
    seen: list[dict[str, Any]] = []
    step = Tracker.step

    def looking(self: Tracker, image: Any) -> Any:
        seen.append(record(request))
        return step(self, image)

    monkeypatch.setattr(Tracker, "step", looking)
    track_clip(replace(request, resume=True))
    # While it runs, it no longer says that it failed.
    assert {(each["status"], each["error"]) for each in seen} == {("running", None)}
    found = record(request)
    assert (found["status"], found["error"], found["frames"]) == ("complete", None, FRAMES)


def test_an_error_while_the_outputs_are_written(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "masks.json")

    with monkeypatch.context() as patched:
        patched.setattr(clip_module, "write_coco", full)
        with pytest.raises(OSError, match="no space is left"):
            track_clip(request)
    assert record(request)["status"] == "failed"
    track_clip(replace(request, resume=True))
    assert record(request)["status"] == "complete"


@pytest.mark.parametrize("began", [False, True])
def test_a_run_that_was_killed_still_says_running(
    began: bool, request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for()
    with monkeypatch.context() as patched:
        patched.setattr(clip_module._Run, "_stopped", lambda *_: None)
        if began:
            breaking(SystemExit(), patched)
        else:
            patched.setattr(clip_module._Run, "_track", lambda *_: 1 / 0)
        with pytest.raises((SystemExit, ZeroDivisionError)):
            track_clip(request)
    assert record(request)["status"] == "running"
    if began:
        with pytest.raises(InputError, match="is still running, or was killed"):
            read_results(request.output)
        track_clip(replace(request, resume=True))
    else:
        track_clip(request)  # nothing is there that would have to be overwritten
    assert record(request)["status"] == "complete"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), ("interrupted", None)),
        (SystemExit(143), ("interrupted", None)),
        (InputError("frame: too small"), ("failed", "frame: too small")),
        (FileNotFoundError(2, "gone", "a.png"), ("failed", "[Errno 2] gone: 'a.png'")),
        (KeyError("a"), ("failed", "KeyError: 'a'")),
        (AssertionError(), ("failed", "AssertionError")),
    ],
)
def test_how_a_run_ended(error: BaseException, expected: tuple[str, str | None]) -> None:
    assert status_after(error) == expected
