from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vostrack.batch import Job, Option

HERE = Path(__file__).resolve().parent

MakeJobs = Callable[..., list[Job]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a worker that this process, spawned ones and Ray's can import."""
    monkeypatch.syspath_prepend(str(HERE))
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return "scripted_worker:track"


@pytest.fixture
def make_jobs(tmp_path: Path) -> MakeJobs:
    """Jobs of four frames each; the worker only uses the frames' names."""

    def make(
        output: str | Path, names: str = "abcd", frames: int = 4, **options: Option
    ) -> list[Job]:
        mask = tmp_path / "mask.png"
        mask.write_bytes(b"mask")
        log: Option = str(tmp_path / "log")
        return [
            Job(
                name=name,
                frames=tuple(Path(f"/nowhere/{name}/{index:05}.jpg") for index in range(frames)),
                first_mask=mask,
                output=f"{output}/{name}",
                options={"seed": 1, "log": log, **options},
            )
            for name in names
        ]

    return make


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], dict[str, int]]:
    """How often the worker was called for each sequence."""

    def count() -> dict[str, int]:
        logs = (path for path in (tmp_path / "log").glob("*") if path.suffix != ".killed")
        return {path.name: len(path.read_text().splitlines()) for path in sorted(logs)}

    return count


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Everything in a results folder but the records, which hold times."""

    def read(root: Path) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name != "done.json"
        }

    return read
