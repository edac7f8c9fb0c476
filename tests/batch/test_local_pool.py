"""Several processes: killed workers, a killed run, and the same bytes whatever the number."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vostrack.batch import Job, RunConfig, RunEvent, run_jobs

MakeJobs = Callable[..., list[Job]]
Calls = Callable[[], dict[str, int]]
Contents = Callable[[Path], dict[str, bytes]]

RUN = """
import pickle, sys
from vostrack.batch import RunConfig, run_jobs
if __name__ == "__main__":
    jobs = pickle.loads(open(sys.argv[1], "rb").read())
    report = run_jobs(jobs, "scripted_worker:track", RunConfig(workers=2))
    print(report.summary())
    sys.exit(report.exit_status)
"""


@pytest.fixture
def reference(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, contents: Contents
) -> dict[str, bytes]:
    """The results of a run in one process, undisturbed."""
    run_jobs(make_jobs(tmp_path / "reference", log=str(tmp_path / "reference_log")), worker)
    return contents(tmp_path / "reference")


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_killed_worker_costs_nothing_but_its_time(
    make_jobs: MakeJobs,
    worker: str,
    tmp_path: Path,
    calls: Calls,
    contents: Contents,
    reference: dict[str, bytes],
) -> None:
    events: list[RunEvent] = []
    before = dict(os.environ)
    jobs = make_jobs(tmp_path / "out", kill="b", pause=0.02)
    report = run_jobs(jobs, worker, RunConfig(workers=2, threads=3), progress=events.append)
    assert report.exit_status == 0, report.summary()
    assert calls() == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert [e.name for e in events if e.kind == "retry"] == ["b"]
    assert {r.name: r.attempts for r in report.results} == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert contents(tmp_path / "out") == reference
    lines = [line.split() for name in "abcd" for line in (tmp_path / "log" / name).open()]
    assert {threads for _, threads in lines} == {"3"}
    assert str(os.getpid()) not in {pid for pid, _ in lines}
    assert dict(os.environ) == before


def test_worker_that_always_dies_is_given_up(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls
) -> None:
    jobs = make_jobs(tmp_path / "out", "abc", kill="a", always=True)
    report = run_jobs(jobs, worker, RunConfig(workers=2, retries=1))
    assert report.exit_status == 1
    assert [(r.name, r.attempts) for r in report.failed] == [("a", 2)]
    assert "process died" in (report.failed[0].error or "")
    assert calls() == {"a": 2, "b": 1, "c": 1}
    assert "a: its process died (killed, or out of memory) (after 2 attempts)" in (report.summary())


def _started_run(jobs: list[Job], tmp_path: Path) -> subprocess.Popen[str]:
    (tmp_path / "jobs.pickle").write_bytes(pickle.dumps(jobs))
    script = tmp_path / "run.py"
    script.write_text(RUN)
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "jobs.pickle")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that was started in the background hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_killed_run_resumes(
    make_jobs: MakeJobs,
    worker: str,
    tmp_path: Path,
    calls: Calls,
    contents: Contents,
    reference: dict[str, bytes],
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    jobs = make_jobs(out, pause=0.25)
    process = _started_run(jobs, tmp_path)
    _wait(lambda: len(list(out.glob("*/done.json"))) >= 1 and len(calls()) >= 3)
    # The run alone is killed, as the out-of-memory killer would do, not its group.
    process.send_signal(signal.SIGKILL)
    process.communicate()
    workers = {int(line.split()[0]) for path in log.iterdir() for line in path.open()}
    _wait(lambda: all(_gone(pid) for pid in workers), 10)
    finished = {path.parent.name for path in out.glob("*/done.json")}
    cut = set(calls()) - finished
    assert finished
    assert cut
    assert list(out.glob(".partial-*"))
    assert run_jobs(jobs, worker, RunConfig(workers=2)).exit_status == 0
    assert calls() == {name: 2 if name in cut else 1 for name in "abcd"}
    assert contents(out) == reference
    assert sorted(path.name for path in out.iterdir()) == list("abcd")


def test_ctrl_c_ends_the_workers_and_keeps_the_finished(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls
) -> None:
    out = tmp_path / "out"
    process = _started_run(make_jobs(out, "abc", pause=0.7), tmp_path)
    # One process tracks the last sequence while the other waits for work.
    _wait(lambda: len(list(out.glob("*/done.json"))) == 2 and len(calls()) == 3)
    os.killpg(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted:" in printed
    assert complaints == ""
    assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == ["a", "b"]
    workers = {
        int(line.split()[0]) for path in (tmp_path / "log").iterdir() for line in path.open()
    }
    _wait(lambda: all(_gone(pid) for pid in workers), 10)
