"""Ctrl-C twice and more, as real signals: the process ends quietly and the run can go on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vostrack.batch import Job, run_jobs
from vostrack.batch.local import InlineExecutor

INTERRUPTED = """
import atexit, os, signal, sys, time
from vostrack.cli import main
from vostrack.runs import clip
from vostrack.tracking.tracker import Tracker

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored

def press(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)

step, calls = Tracker.step, []
def third(self, frame):
    calls.append(1)
    if len(calls) == 3:
        press()  # the first Ctrl-C
    return step(self, frame)

Tracker.step = third
clip.write_masks_json = press  # the second, while the finished part is written
atexit.register(press)  # the third, while the process ends
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_further_ctrl_c_end_it_quietly(
    settings: dict[str, Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    arguments += ["--weights", settings["weights"], "--foreground-steps", "1"]
    arguments += [
        "--object-steps",
        "2",
        "--refiner",
        "none",
        "--no-overlay",
        "--output",
        str(output),
    ]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
    assert "--resume" in done.stderr
    assert command(**settings, output=output, resume=True).run() == 0
    assert len(list((output / "masks").iterdir())) == 6


TERMINATED = """
import os, signal, sys
from vostrack.cli import main
from vostrack.tracking.tracker import Tracker

step, calls = Tracker.step, []
def third(self, frame):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(self, frame)

Tracker.step = third
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_scheduler_leaves_what_ctrl_c_does(settings: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    arguments += ["--weights", settings["weights"], "--foreground-steps", "1"]
    arguments += ["--object-steps", "2", "--refiner", "none", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 143, done.stderr
    assert "stopped: 3 of 6 frames finished" in done.stderr
    assert json.loads((output / "run.json").read_text())["status"] == "interrupted"
    assert (output / "masks.json").is_file()


def test_a_second_ctrl_c_while_a_batch_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(InlineExecutor, "next", press)
    monkeypatch.setattr(InlineExecutor, "close", press)
    frame = tmp_path / "00000.png"
    frame.write_bytes(b"")
    job = Job("clip", (frame,), frame, str(tmp_path / "results" / "clip"))
    report = run_jobs([job], "vostrack.runs.sequence:track_sequence")
    assert report.interrupted
    assert report.exit_status == 130
