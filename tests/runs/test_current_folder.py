"""The current folder may change while a run is under way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs.conftest import FRAMES, request_in
from vostrack import ClipRequest, build_tracker, open_source, read_first_mask, track_video
from vostrack.batch import Job, JobResult, run_jobs
from vostrack.cli.progress import ClipProgress
from vostrack.masks import write_label_map
from vostrack.output_folder import exclusive_folder
from vostrack.runs.anchored import anchored
from vostrack.runs.clip import track_clip


@pytest.fixture
def elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Begin in the project; return an empty folder to change to."""
    monkeypatch.chdir(project)
    folder = project / "elsewhere"
    folder.mkdir()
    return folder


def relative(project: Path, video: str = "frames") -> ClipRequest:
    return replace(
        request_in(project), video=video, first_mask=("mask.png",), output=Path("out"), overlay=True
    )


class Leaving(ClipProgress):
    """Changes the current folder with the second frame."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(enabled=False)
        self.folder, self.monkeypatch = folder, monkeypatch

    def frame(self, done: int, total: int | None, name: str) -> None:
        if done == 2:
            self.monkeypatch.chdir(self.folder)


@pytest.mark.parametrize("video", ["frames", "frames/*.png"])
def test_a_run_goes_on_where_it_began(
    video: str, project: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = track_clip(relative(project, video), Leaving(elsewhere, monkeypatch))
    assert not list(elsewhere.iterdir())
    assert summary.output == project / "out"
    assert len(list((project / "out/masks").iterdir())) == FRAMES
    assert sorted(path.name for path in (project / "out").iterdir()) == [
        "masks",
        "masks.json",
        "overlay.mp4",
        "run.json",
    ]
    settings = json.loads((project / "out/run.json").read_text())["settings"]
    assert settings["video"] == str(project / video)
    assert settings["first_mask"] == [str(project / "mask.png")]


def test_a_source_is_read_where_it_was_opened(
    project: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: tuple[Any, ...] = ("frames", "frames/*.png", ["frames/00000.png", "frames/00001.png"])
    opened = [open_source(source) for source in sources]
    mask = read_first_mask("mask.png", size=opened[0].size)
    tracker = build_tracker("fast", device="cpu")
    steps = track_video(tracker, opened[0], mask.labels)
    next(steps)
    monkeypatch.chdir(elsewhere)
    assert len(list(steps)) == FRAMES - 1
    assert [len(list(source)) for source in opened] == [FRAMES, FRAMES, 2]


def test_a_batch_goes_on_where_it_began(
    project: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)

    def leave(job: Job) -> JobResult:
        for frame in job.frames:
            assert frame.is_file()
            write_label_map(job.folder / f"{frame.stem}.png", np.zeros((2, 2), np.uint8))
        monkeypatch.chdir(elsewhere)
        return JobResult(job.name, len(job.frames))

    jobs = [
        Job(name, (Path("frames/00000.png"),), Path("mask.png"), f"out/{name}") for name in "ab"
    ]
    assert run_jobs(jobs, leave).exit_status == 0
    assert not list(elsewhere.iterdir())
    assert sorted(path.name for path in (project / "out").iterdir()) == ["a", "b"]


def test_the_lock_of_a_folder_is_removed(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exclusive_folder(Path("kept")):
        monkeypatch.chdir(elsewhere)
    assert not list((elsewhere.parent / "kept").iterdir())


def test_what_is_no_path_stays_as_it_is(project: Path, elsewhere: Path) -> None:
    (project / "auto").write_bytes(b"a file of that name is ./auto")
    (project / "3=a.png").write_bytes(b"a file with such a name")
    request = replace(relative(project, "rtsp://host/*.ts"), first_mask=("auto",))
    assert anchored(request).video == "rtsp://host/*.ts"
    assert anchored(request).first_mask == ("auto",)
    given = ("40=mask.png", "3=a.png", "missing.png", "./auto")
    found = anchored(replace(request, video="0", first_mask=given))
    assert found.video == "0"
    assert found.first_mask == (
        f"40={project}/mask.png",
        f"{project}/3=a.png",
        "missing.png",
        f"{project}/auto",
    )
