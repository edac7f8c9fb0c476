"""Where results go: file systems that fsspec knows, and interrupted uploads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.batch import Job, JobResult, RunConfig, run_jobs
from vostrack.batch.object_store import FsspecStore
from vostrack.batch.store import LocalStore, open_store
from vostrack.errors import InputError
from vostrack.masks import write_label_map

fsspec = pytest.importorskip("fsspec", reason="needs fsspec (extra cluster)")

MakeJobs = Callable[..., list[Job]]
Calls = Callable[[], dict[str, int]]
Contents = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def memory() -> Iterator[Any]:
    """The in-memory file system, empty before and after."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def write(job: Job) -> JobResult:
    """Write the masks as ``track_sequence`` does."""
    for name in job.frame_names:
        write_label_map(job.folder / f"{name}.png", np.zeros((2, 2), np.uint8))
    return JobResult(job.name, len(job.frames))


def _stored(fs: Any, root: str) -> dict[str, bytes]:
    return {
        path[len(root) :].lstrip("/"): fs.cat_file(path)
        for path in fs.find(root)
        if not path.endswith("done.json")
    }


def test_results_do_not_depend_on_the_store(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, contents: Contents, memory: Any
) -> None:
    for output in (tmp_path / "plain", f"file://{tmp_path}/url", "memory://bucket/run"):
        assert run_jobs(make_jobs(output), worker).exit_status == 0
    assert contents(tmp_path / "plain") == contents(tmp_path / "url")
    assert contents(tmp_path / "plain") == _stored(memory, "/bucket/run")
    record = json.loads(memory.cat_file("/bucket/run/a/done.json"))
    assert len(record["files"]) == 4


def test_uploaded_results_are_kept_or_made_again(
    make_jobs: MakeJobs, worker: str, calls: Calls, memory: Any
) -> None:
    jobs = make_jobs("memory://bucket/run", "abc")
    run_jobs(jobs, worker)
    whole = _stored(memory, "/bucket/run")
    memory.pipe_file("/bucket/run/a/00001.png", b"short")
    # An upload that was cut: a marker, some files, no record.
    memory.rm_file("/bucket/run/b/done.json")
    memory.rm_file("/bucket/run/b/00003.png")
    begun = json.dumps(
        {"fingerprint": "", "files": [*(f"{k:05}.png" for k in range(4)), "stale.png"]}
    ).encode()
    memory.pipe_file("/bucket/run/b/.vostrack-upload", begun)
    memory.pipe_file("/bucket/run/b/stale.png", b"of the cut run")
    memory.pipe_file("/bucket/run/b/thesis.tex", b"years of work")
    with pytest.raises(InputError, match=r"such as thesis\.tex"):
        run_jobs(jobs, worker)
    memory.rm_file("/bucket/run/b/thesis.tex")
    report = run_jobs(jobs, worker)
    assert [r.status for r in report.results] == ["done", "done", "kept"]
    assert calls() == {"a": 2, "b": 2, "c": 1}
    assert _stored(memory, "/bucket/run") == whole
    with pytest.raises(InputError, match="seed=1, now 2"):
        run_jobs(make_jobs("memory://bucket/run", "abc", seed=2), worker)
    over = make_jobs("memory://bucket/run", "abc", frames=2, seed=2)
    assert run_jobs(over, worker, RunConfig(overwrite=True)).exit_status == 0
    assert sorted(_stored(memory, "/bucket/run/a")) == ["00000.png", "00001.png"]


def test_every_byte_of_an_uploaded_result_is_compared(
    make_jobs: MakeJobs, worker: str, calls: Calls, memory: Any, tmp_path: Path
) -> None:
    jobs, name = make_jobs("memory://bucket/run", "ab"), "/bucket/run/a/00001.png"
    run_jobs(jobs, worker)
    whole = _stored(memory, "/bucket/run")
    content = memory.cat_file(name)
    memory.pipe_file(name, content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    report = run_jobs(jobs, worker)
    assert [r.status for r in report.results] == ["done", "kept"]
    assert _stored(memory, "/bucket/run") == whole
    # Somebody's own mask is not replaced, whatever its size.
    write_label_map(tmp_path / "mine.png", np.ones((2, 2), np.uint8))
    memory.pipe_file(name, (tmp_path / "mine.png").read_bytes())
    with pytest.raises(InputError, match=r"run/a: 00001\.png was changed after the run"):
        run_jobs(jobs, worker)
    assert calls() == {"a": 2, "b": 1}


def test_upload_puts_the_record_last(
    make_jobs: MakeJobs, worker: str, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs("memory://bucket/run", "a")
    run_jobs(jobs, worker)
    order: list[str] = []
    kind = type(memory)
    put, pipe, remove = kind.put_file, kind.pipe_file, kind.rm_file

    def note(name: str, original: Any, position: int) -> None:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            order.append(f"{name} {args[position].rsplit('/', 1)[1]}")
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, original.__name__, call)

    note("put", put, 1)
    note("pipe", pipe, 0)
    note("rm", remove, 0)
    run_jobs(jobs, worker, RunConfig(overwrite=True))
    frames = [f"{index:05}.png" for index in range(4)]
    assert order == [
        "pipe .vostrack-upload",
        "rm done.json",
        *(f"rm {name}" for name in frames),
        *(f"put {name}" for name in frames),
        "pipe done.json",
        "rm .vostrack-upload",
    ]


def test_foreign_objects_are_left_alone(make_jobs: MakeJobs, worker: str, memory: Any) -> None:
    memory.pipe_file("/bucket/run/a/thesis.tex", b"years of work")
    with pytest.raises(InputError, match="not written by a batch run"):
        run_jobs(make_jobs("memory://bucket/run"), worker, RunConfig(overwrite=True))
    assert memory.cat_file("/bucket/run/a/thesis.tex") == b"years of work"


def test_scratch_of_another_sequence_is_left_alone(tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "a.b").begin()
    (tmp_path / ".old-a.b.01234567").mkdir()
    mine = LocalStore(tmp_path / "a").begin()
    again = LocalStore(tmp_path / "a").begin()
    assert other.is_dir()
    assert not mine.exists()
    assert again.is_dir()
    assert (tmp_path / ".old-a.b.01234567").is_dir()


@pytest.mark.parametrize("name", ["s" * 240, "日" * 85], ids=["narrow", "wide"])
def test_names_as_long_as_a_disk_takes(name: str, make_jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path / "out", "a")
    frames = tuple(Path("/nowhere") / f"{'f' * 240}{index}.jpg" for index in range(2))
    job = replace(job, name=name, frames=frames, output=f"{tmp_path}/out/{name}")
    left = LocalStore(Path(job.output)).begin()
    assert run_jobs([job], write).exit_status == 0
    assert not left.exists()
    assert run_jobs([job], write, RunConfig(overwrite=True)).exit_status == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert (
        LocalStore(tmp_path / ("s" * 239 + "a")).begin()
        != LocalStore(tmp_path / ("s" * 239 + "b")).begin()
    )


def test_a_name_that_no_disk_takes_is_not_tried_again(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path / "out", "a")
    frames = (Path("/nowhere") / f"{'f' * 300}.jpg",)
    (result,) = run_jobs([replace(job, frames=frames)], write).results
    assert result.error is not None
    assert "File name too long" in result.error
    assert result.attempts == 1


def test_store_is_chosen_by_the_url(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    assert isinstance(open_store(f"file://{tmp_path}"), FsspecStore)
    with pytest.raises(InputError, match="nosuch"):
        open_store("nosuch://bucket/run")
