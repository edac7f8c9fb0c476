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
from vostrack.masks.validation import FirstMask
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project

HOST = "127.0.0.1:8000"


def write_frames(folder: Path, count: int = FRAMES) -> Path:
    """Write frames whose first pixel is their number, with a red square that moves."""
    folder.mkdir()
    for number in range(count):
        image = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        image[16:28, 10 + number : 22 + number] = 200, 40, 40
        Image.fromarray(image).save(folder / f"{number:05d}.png")
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "clip")


@pytest.fixture
def project(tmp_path: Path, video: Path) -> Project:
    made = Project(tmp_path / "project", video_facts(str(video)))
    made.set_objects([RED, BLUE], "add objects")
    return made


@pytest.fixture
def trackers() -> list[ShiftingTracker]:
    """Every tracker that was built, in order."""
    return []


class Clicker:
    """Finds the same square wherever one clicks, beside what there is."""

    def open(self, frame: UInt8Array) -> Clicker:
        return self

    def segment(self, clicks: Any, box: Any, start: Any = None) -> Any:
        return (square(5) > 0) if start is None else (square(5) > 0) | start


def propose(frames: Any) -> FirstMask:
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    return FirstMask(square(5) + square(30, number=2), (1, 2), ("one", "two"))


@pytest.fixture
def parts(trackers: list[ShiftingTracker]) -> Any:
    pytest.importorskip("fastapi", reason="needs vostrack[studio]")
    from vostrack.studio.session import Parts

    def build() -> ShiftingTracker:
        trackers.append(ShiftingTracker())
        return trackers[-1]

    return Parts(build, Clicker, propose)


@pytest.fixture
def session(project: Project, parts: Any) -> Iterator[Any]:
    from vostrack.studio.events import News
    from vostrack.studio.session import StudioSession

    made = StudioSession(project, parts, News())
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path, video: Path, parts: Any) -> Iterator[Any]:
    """A desk on which the project of the video is open."""
    from vostrack.studio.desk import Desk
    from vostrack.studio.places import Places
    from vostrack.studio.session import StudioSession

    made = Desk(
        lambda project, news: StudioSession(project, parts, news), Places([tmp_path]), 200_000
    )
    made.open(video, tmp_path / "project")
    made.session().set_objects([RED, BLUE], "add objects")
    yield made
    made.close()


def asking(desk: Any) -> Any:
    """Return what asks the server of a desk; it is a context manager."""
    pytest.importorskip("httpx", reason="needs httpx")
    from starlette.testclient import TestClient

    from vostrack.studio.app import create_app

    app: Any = create_app(desk, "token", frozenset({HOST}))
    headers = {"x-vostrack-token": "token"}
    return TestClient(app, base_url=f"http://{HOST}", headers=headers)


@pytest.fixture
def client(desk: Any) -> Iterator[Any]:
    with asking(desk) as made:
        yield made
