"""What Debian's ffprobe says of a video: an oracle for counts and times."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """Run ffprobe on a file; skip the test where it is not installed."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed (Debian: apt-get install ffmpeg)")
    command = [program, "-v", "error", "-of", "json", *arguments, f"file:{path.absolute()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def picture_times(path: Path, stream: int = 0) -> list[float | None]:
    """Return the times of the pictures that ffprobe decodes, in its order, from zero.

    None stands for pictures without a time, as some in AVI files and MPEG program streams.
    """
    return times_of(ffprobe(path, "-select_streams", str(stream), "-show_frames")["frames"])


def times_of(frames: list[dict[str, Any]]) -> list[float | None]:
    """Return the times of the pictures that ``-show_frames`` lists, from zero."""
    stamps = [frame.get("best_effort_timestamp_time") for frame in frames]
    first = next(float(stamp) for stamp in stamps if stamp is not None)
    return [None if stamp is None else float(stamp) - first for stamp in stamps]
