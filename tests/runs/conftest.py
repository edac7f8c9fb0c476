"""A project folder with a short clip, its first mask, and a tracker that takes no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack import ClipRequest, TrackerOptions
from vostrack.masks import write_label_map
from vostrack.runs.clip import track_clip
from vostrack.tracking.tracker import Tracker

FRAMES = 6


def write_clip(folder: Path, *, shade: int = 90) -> None:
    """Write frames 48 x 64 of a box that moves right by 4 pixels a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(FRAMES):
        image = np.full((48, 64, 3), shade, np.uint8)
        image[12:36, 8 + 4 * index : 28 + 4 * index] = (220, 40, 30)
        Image.fromarray(image).save(folder / f"{index:05d}.png")


def write_mask(path: Path, *, object_id: int = 1) -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[12:36, 8:28] = object_id
    write_label_map(path, labels)


@pytest.fixture(autouse=True)
def one_reading_of_the_network(shipped_network_read_once: None) -> None:
    """Build trackers faster."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_clip(tmp_path / "frames")
    write_mask(tmp_path / "mask.png")
    return tmp_path


def request_in(project: Path, output: str = "out") -> ClipRequest:
    """Return the request of a run in a project folder."""
    return ClipRequest(
        video=str(project / "frames"),
        first_mask=(str(project / "mask.png"),),
        output=project / output,
        preset="fast",
        options=TrackerOptions(precision="fp32"),
        overlay=False,
        threads=1,
    )


@pytest.fixture
def request_for(project: Path) -> Callable[..., ClipRequest]:
    def make(output: str = "out", **changes: Any) -> ClipRequest:
        return replace(request_in(project, output), **changes)

    return make


@pytest.fixture
def stopped_after(
    request_for: Callable[..., ClipRequest], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ClipRequest]:
    """Stop a run by Ctrl-C after some frames; return its request, ready to resume."""

    def stop(frames: int, output: str = "out", **changes: Any) -> ClipRequest:
        request = request_for(output, **changes)
        step, calls = Tracker.step, []

        def stopping(self: Tracker, frame: Any) -> Any:
            calls.append(1)
            if len(calls) == frames:
                raise KeyboardInterrupt
            return step(self, frame)

        with monkeypatch.context() as patched:
            patched.setattr(Tracker, "step", stopping)
            with pytest.raises(KeyboardInterrupt):
                track_clip(request)
        return replace(request, resume=True)

    return stop
