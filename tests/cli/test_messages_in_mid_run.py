"""Warnings and errors of the library while a command works name its flags, too."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.small_sets import make_mose
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.tracking.tracker import Tracker


def test_the_log_of_a_run(
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def warn(self: Tracker, frame: Any) -> Any:
        logging.getLogger("vostrack.video").warning("%s is HDR; use `reader='pyav'`", "clip")
        logging.getLogger("vostrack").warning("first_mask: odd; choose `craf=True`")
        raise InputError("first_mask: unfit; give `max_objects` or `overlay=False`")

    monkeypatch.setattr(Tracker, "step", warn)
    argv = ["track", "--video", settings["video"], "--first-mask", *settings["first_mask"]]
    assert main([*argv, "--preset", "fast", "--output", str(tmp_path / "out")]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "tracking" not in line]
    assert said[-3:] == [
        "WARNING: clip is HDR; use --reader pyav",
        "WARNING: --first-mask: odd; choose --craf on",
        "error: --first-mask: unfit; give --max-objects or --no-overlay",
    ]


def test_the_sequences_of_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(job: object) -> None:
        raise InputError("max_size: too small; choose `craf=True` or leave `first_mask` out")

    monkeypatch.setattr("vostrack.runs.sequence.track_sequence", fail)
    argv = ["dataset", "run", "--layout", "mose", "--root", str(make_mose(tmp_path / "data"))]
    argv += ["--sequences", "swan", "--output", str(tmp_path / "out"), "--preset", "fast"]
    assert main(argv) == 1
    words = "swan: --max-size: too small; choose --craf on or leave --first-mask out"
    said = capsys.readouterr()
    assert f"  {words}\n" in said.out
    assert f"failed {words}\n" in said.err
