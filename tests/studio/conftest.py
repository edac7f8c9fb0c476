"""A small video, its project, and a session without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.studio.small_project import (
    BLUE,
    FRAMES,
    HEIGHT,
    RED,
    WIDTH,
    ShiftingTracker,
    square,
)
from vostrack.arrays import UInt8Array
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Frames whose first pixel is their number: frame k is k everywhere but in a square."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(FRAMES):
        image = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        image[16:28, 10 + number : 22 + number] = 200, 40, 40
        Image.fromarray(image).save(folder / f"{number:05d}.png")
    return folder


@pytest.fixture
def project(tmp_path: Path, video: Path) -> Project:
    made = Project(tmp_path / "project", video_facts(str(video)))
    made.set_objects([RED, BLUE], "add objects")
    return made


@pytest.fixture
def trackers() -> list[ShiftingTracker]:
    """Every tracker that was built, in order."""
    return []


@pytest.fixture
def session(project: Project, trackers: list[ShiftingTracker]) -> Iterator[Any]:
    pytest.importorskip("fastapi", reason="needs vostrack[studio]")
    from vostrack.studio.session import StudioSession

    def build() -> ShiftingTracker:
        trackers.append(ShiftingTracker())
        return trackers[-1]

    class Opened:
        def segment(self, clicks: Any, box: Any) -> Any:
            return square(5) > 0

    class Clicker:
        def open(self, frame: UInt8Array) -> Opened:
            return Opened()

    made = StudioSession(project, build, Clicker)
    yield made
    made.close()
