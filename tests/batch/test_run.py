"""Resumption, refusals and reports, in one process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vostrack.batch import Job, JobResult, RunConfig, RunEvent, progress_bar, run_jobs
from vostrack.batch import run as run_module
from vostrack.batch.store import open_store
from vostrack.errors import InputError
from vostrack.output_folder import exclusive_folder

MakeJobs = Callable[..., list[Job]]
Calls = Callable[[], dict[str, int]]
Contents = Callable[[Path], dict[str, bytes]]


def test_every_result_is_whole_and_recorded(
    make_jobs: MakeJobs, worker: str, tmp_path: Path
) -> None:
    jobs = make_jobs(tmp_path / "out")
    report = run_jobs(jobs, worker)
    assert report.exit_status == 0
    assert [(r.name, r.status, r.frames, r.attempts) for r in report.results] == [
        (name, "done", 4, 1) for name in "abcd"
    ]
    record = json.loads((tmp_path / "out/a/done.json").read_text())
    assert record["frames"] == ["00000", "00001", "00002", "00003"]
    assert record["options"] == dict(jobs[0].options)
    assert record["fingerprint"] == jobs[0].fingerprint
    assert record["versions"]["python"]
    assert record["files"] == {f"{index:05}.png": 32 for index in range(4)}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == list("abcd")


def test_finished_results_are_kept(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls
) -> None:
    run_jobs(make_jobs(tmp_path / "out", "ab"), worker)
    events: list[RunEvent] = []
    report = run_jobs(make_jobs(tmp_path / "out", "abc"), worker, progress=events.append)
    assert calls() == {"a": 1, "b": 1, "c": 1}
    assert [(r.status, r.attempts) for r in report.results] == [
        ("kept", 0),
        ("kept", 0),
        ("done", 1),
    ]
    assert [(e.kind, e.name) for e in events] == [("kept", "a"), ("kept", "b"), ("done", "c")]
    assert "1 sequence done" in report.summary()
    assert "2 kept" in report.summary()


DAMAGES = ["no record", "half a record", "odd records", "a file gone", "a file short", "a byte"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_result_is_made_again(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls, contents: Contents, damage: str
) -> None:
    out = tmp_path / "out"
    run_jobs(make_jobs(out, "ab"), worker)
    whole = contents(out)
    record = out / "a/done.json"
    if damage == "no record":
        shutil.rmtree(out / "a")
        (out / ".partial-a.0123abcd").mkdir()
        (out / ".partial-a.0123abcd/00000.png").write_bytes(b"half")
    elif damage == "half a record":
        record.write_text(record.read_text()[:50])
    elif damage == "a file gone":
        (out / "a/00002.png").unlink()
    elif damage == "odd records":
        sound = json.loads(record.read_text())
        others: list[dict[str, Any]] = [{"files": [1]}, {"files": {}}, {"options": 5}, {"more": 1}]
        for changed in [*others, {"frames": 5}]:
            record.write_text(json.dumps({**sound, **changed}))
            assert open_store(str(out / "a")).read() is None
        record.write_text("[" * 100_000)
    elif damage == "a byte":
        content = (out / "a/00002.png").read_bytes()
        (out / "a/00002.png").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        (out / "a/00002.png").write_bytes(b"")
    assert run_jobs(make_jobs(out, "ab"), worker).exit_status == 0
    assert calls() == {"a": 2, "b": 1}
    assert contents(out) == whole


def test_other_options_are_refused_before_anything_runs(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls, contents: Contents
) -> None:
    out = tmp_path / "out"
    run_jobs(make_jobs(out, "ab"), worker)
    before = contents(out)
    with pytest.raises(InputError, match=r"a \(seed=1, now 2\).*`overwrite=True`"):
        run_jobs(make_jobs(out, "cab", seed=2), worker)
    assert calls() == {"a": 1, "b": 1}
    report = run_jobs(make_jobs(out, "ab", seed=2), worker, RunConfig(overwrite=True))
    assert report.exit_status == 0
    assert calls() == {"a": 2, "b": 2}
    assert contents(out).keys() == before.keys()
    assert contents(out) != before


def test_other_mask_or_frames_are_refused(make_jobs: MakeJobs, worker: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_jobs(make_jobs(out, "a"), worker)
    with pytest.raises(InputError, match="other frames"):
        run_jobs(make_jobs(out, "a", frames=3), worker)
    jobs = make_jobs(out, "a")
    (tmp_path / "mask.png").write_bytes(b"another mask")
    with pytest.raises(InputError, match="changed masks"):
        run_jobs(jobs, worker)


def test_the_bytes_of_frames_and_weights_count(
    make_jobs: MakeJobs, worker: str, tmp_path: Path
) -> None:
    files = [tmp_path / "00000.jpg", tmp_path / "weights.pt", tmp_path / "spn.pt"]

    def run() -> None:
        part = {"weights": str(files[2])}
        (job,) = make_jobs(tmp_path / "out", "a", weights=str(files[1]), part=part)
        run_jobs([replace(job, frames=(files[0],))], worker)

    for file in files:
        file.write_bytes(b"one")
    run()
    run()
    for file in files:
        file.write_bytes(b"two")
        with pytest.raises(InputError, match="changed frames" if file is files[0] else "files of"):
            run()
        file.write_bytes(b"one")


def test_a_run_that_ends_while_another_begins(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = exclusive_folder

    def waiting(folder: Path) -> AbstractContextManager[None]:
        monkeypatch.setattr(run_module, "exclusive_folder", lock)
        run_jobs(make_jobs(tmp_path / "out", "a"), worker)
        return lock(folder)

    monkeypatch.setattr(run_module, "exclusive_folder", waiting)
    report = run_jobs(make_jobs(tmp_path / "out", "ab"), worker)
    assert [r.status for r in report.results] == ["kept", "done"]
    assert calls() == {"a": 1, "b": 1}


def test_foreign_files_are_left_alone(make_jobs: MakeJobs, worker: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a/thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not written by a batch run"):
            run_jobs(make_jobs(out, "ab"), worker, RunConfig(overwrite=overwrite))
    assert (out / "a/thesis.tex").read_text() == "years of work"
    (out / "a/done.json").write_text('{"tool": "another"}')
    with pytest.raises(InputError, match=r"not written by a batch run, such as done\.json"):
        run_jobs(make_jobs(out, "a"), worker)
    run_jobs(make_jobs(out, "b"), worker)
    (out / "b/notes.txt").write_text("mine")
    run_jobs(make_jobs(out, "b"), worker)  # nothing is replaced
    with pytest.raises(InputError, match=r"such as notes\.txt"):
        run_jobs(make_jobs(out, "b"), worker, RunConfig(overwrite=True))
    (out / "b/notes.txt").unlink()
    Image.new("L", (2, 2)).save(out / "b/00001.png")  # a mask that was mended by hand
    with pytest.raises(InputError, match=r"00001\.png was changed after the run"):
        run_jobs(make_jobs(out, "b"), worker)
    record = out / "b/done.json"
    record.write_text(record.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(InputError, match="another version of vostrack wrote this result"):
        run_jobs(make_jobs(out, "b"), worker)
    run_jobs(make_jobs(out, "b"), worker, RunConfig(overwrite=True))
    (tmp_path / "link").mkdir()
    (tmp_path / "link/c").symlink_to(out / "b")  # the result lies on another disk
    run_jobs(make_jobs(tmp_path / "link", "c"), worker, RunConfig(overwrite=True))
    assert (tmp_path / "link/c").is_symlink()
    (tmp_path / "link/c").unlink()
    (tmp_path / "link/c").symlink_to(out / "nowhere")
    with pytest.raises(InputError, match="not written by a batch run"):
        run_jobs(make_jobs(tmp_path / "link", "c"), worker)
    with pytest.raises(InputError, match="is not a folder"):
        run_jobs(make_jobs(tmp_path / "mask.png", "c"), worker)


def test_failures_cost_their_own_sequence_only(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls
) -> None:
    out = tmp_path / "out"
    report = run_jobs(make_jobs(out, fail="b", refuse="c", forget="d"), worker)
    assert report.exit_status == 1
    assert [r.error for r in report.results if r.status == "done"] == [None]
    errors = {r.name: r.error for r in report.failed}
    assert errors["b"] == "ZeroDivisionError: scripted failure"
    assert errors["c"] == "scripted refusal"
    assert "no file for 1 of 4 frames, the first is 00003" in (errors["d"] or "")
    details = {r.name: r.details for r in report.failed}
    assert "scripted_worker.py" in details["b"]
    assert details["c"] == ""
    # An error that will come again is not tried again.
    assert calls() == dict.fromkeys("abcd", 1)
    assert [p.name for p in out.iterdir()] == ["a"]
    assert "b: ZeroDivisionError" in report.summary()


def test_passing_trouble_is_tried_again(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls
) -> None:
    events: list[RunEvent] = []
    report = run_jobs(
        make_jobs(tmp_path / "out", "ab", stumble="a"), worker, progress=events.append
    )
    assert report.exit_status == 0
    assert calls() == {"a": 2, "b": 1}
    assert report.results[0].attempts == 2
    assert ("retry", "a", "OSError: scripted stumble") in [
        (e.kind, e.name, e.detail) for e in events
    ]
    none = RunConfig(retries=0)
    failed = run_jobs(make_jobs(tmp_path / "two", "e", stumble="e"), worker, none).failed
    assert [r.name for r in failed] == ["e"]


def test_interrupt_keeps_what_is_finished(make_jobs: MakeJobs, worker: str, tmp_path: Path) -> None:
    from vostrack.batch.attempt import find_worker

    def interrupted(job: Job) -> JobResult:
        if job.name == "b":
            (job.folder / "00000.png").write_bytes(b"half")
            raise KeyboardInterrupt
        return find_worker(worker)(job)

    out = tmp_path / "out"
    report = run_jobs(make_jobs(out), interrupted)
    assert report.exit_status == 130
    assert [r.name for r in report.results] == ["a"]
    assert report.remaining == ("b", "c", "d")
    assert "3 sequences left to do" in report.summary()
    assert [p.name for p in out.iterdir()] == ["a"]
    assert run_jobs(make_jobs(out), worker).exit_status == 0


def test_names_and_settings_are_checked(make_jobs: MakeJobs, worker: str, tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path / "out", "a")
    with pytest.raises(InputError, match="twice"):
        run_jobs(jobs + jobs, worker)
    for name in ("../a", "a/b", ".a", ""):
        with pytest.raises(InputError, match="plain folder name"):
            replace(jobs[0], name=name)
    with pytest.raises(InputError, match="distinct names"):
        replace(jobs[0], frames=jobs[0].frames * 2)
    with pytest.raises(InputError, match="option log is a list"):
        replace(jobs[0], options={"log": []})  # type: ignore[dict-item]  # the mistake under test
    for settings in ({"workers": 0}, {"threads": 0}, {"retries": -1}, {"gpus_per_task": -1}):
        with pytest.raises(InputError, match="expected at least"):
            RunConfig(**settings)  # type: ignore[arg-type]  # one dict for fields of several types
    with pytest.raises(InputError, match="expected 0 without a cluster"):
        RunConfig(gpus_per_task=0.5)
    with pytest.raises(InputError, match="assigns the GPUs"):
        RunConfig(cluster="auto", gpus=("0",))


@pytest.mark.parametrize("name", ["scripted_worker:absent", "absent:track", "scripted_worker", ""])
def test_worker_that_is_not_there(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, name: str
) -> None:
    for config in (RunConfig(), RunConfig(workers=2)):
        with pytest.raises(InputError, match="importable module:function"):
            run_jobs(make_jobs(tmp_path / "out"), name, config)


def test_nested_worker_cannot_travel(make_jobs: MakeJobs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="top level of a module"):
        run_jobs(make_jobs(tmp_path / "out"), lambda job: JobResult(job.name), RunConfig(workers=2))


def test_progress_lines(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = make_jobs(tmp_path / "out", "ab", fail="b")
    total = sum(len(job.frames) for job in jobs)
    with progress_bar(jobs) as show:
        run_jobs(jobs, worker, progress=show)
    captured = capsys.readouterr()
    assert captured.out == ""
    first, *others = captured.err.splitlines()
    assert first == f"sequences: {len(jobs[0].frames)} of {total} frames, a"
    assert "failed b: ZeroDivisionError: scripted failure" in others
    with progress_bar(jobs, quiet=True) as show:
        run_jobs(jobs, worker, progress=show)
    assert capsys.readouterr().err == ""
