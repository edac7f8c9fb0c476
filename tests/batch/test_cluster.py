"""A real Ray of this machine: several worker processes, one of them killed in mid-run."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vostrack.batch import Job, RunConfig, RunEvent, run_jobs
from vostrack.errors import InputError

MakeJobs = Callable[..., list[Job]]
Calls = Callable[[], dict[str, int]]
Contents = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray with a token of this test's own."""
    with pytest.MonkeyPatch.context() as patch:
        # Set first: Ray reads them when it is imported.
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        module = pytest.importorskip("ray", reason="needs Ray (extra cluster)")
        yield module
        module.shutdown()


@pytest.fixture
def head(ray: Any, worker: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster as a user starts it, found through RAY_ADDRESS so that no other is joined."""
    # Ray's sockets need a short path.
    folder = tempfile.mkdtemp(prefix="ray-")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"start --head --block --port={port} --num-cpus=2 --include-dashboard=false"
    limits = f"--object-store-memory=100000000 --temp-dir={folder}"
    process = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *command.split(), *limits.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ray runtime started" in line:
            break
    else:
        pytest.fail("ray start --head: " + "".join(said))
    # Keeps the pipe from filling up.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    yield
    ray.shutdown()
    process.terminate()
    process.wait(timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow  # by default, a killed worker of the local pool stands for it
@pytest.mark.usefixtures("head")
def test_killed_worker_on_a_cluster(
    ray: Any, make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls, contents: Contents
) -> None:
    reference = make_jobs(tmp_path / "reference", log=str(tmp_path / "reference_log"))
    run_jobs(reference, worker)
    events: list[RunEvent] = []
    jobs = make_jobs(tmp_path / "out", kill="b", pause=0.1)
    config = RunConfig(cluster="auto")
    report = run_jobs(jobs, worker, config, progress=events.append)
    assert report.exit_status == 0, report.summary()
    assert calls() == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert [e.name for e in events if e.kind == "retry"] == ["b"]
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")
    lines = [line.split() for name in "abcd" for line in (tmp_path / "log" / name).open()]
    processes = {pid for pid, _ in lines}
    assert len(processes) >= 2
    assert str(os.getpid()) not in processes
    assert {threads for _, threads in lines} == {"1"}
    assert not ray.is_initialized()
    # A cluster that is joined already stays so. An object store's kind of URL, written by other
    # processes, is read here.
    ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
    url = make_jobs(f"file://{tmp_path}/url", "ab", log=str(tmp_path / "url_log"))
    assert run_jobs(url, worker, config).exit_status == 0
    assert [r.status for r in run_jobs(url, worker, config).results] == ["kept", "kept"]
    assert ray.is_initialized()
    first_two = {k: v for k, v in contents(tmp_path / "reference").items() if k[0] in "ab"}
    assert contents(tmp_path / "url") == first_two


@pytest.mark.usefixtures("ray")
def test_cluster_of_its_own(make_jobs: MakeJobs, worker: str, tmp_path: Path, calls: Calls) -> None:
    jobs = make_jobs(tmp_path / "out", "ab", kill="a", always=True, fail="b")
    report = run_jobs(jobs, worker, RunConfig(cluster="local", workers=2, retries=0))
    assert report.exit_status == 1
    assert calls() == {"a": 1, "b": 1}
    errors = {r.name: (r.error, r.attempts) for r in report.failed}
    assert errors["b"] == ("ZeroDivisionError: scripted failure", 1)
    assert (errors["a"][0] or "").startswith("WorkerCrashedError")
    assert errors["a"][1] == 1


def test_cluster_that_is_not_there(
    ray: Any, make_jobs: MakeJobs, worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**settings: Any) -> None:
        assert settings["address"] == "auto"
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(InputError, match=r"Could not find any.*ray start --head"):
        run_jobs(make_jobs(tmp_path / "out"), worker, RunConfig(cluster="auto"))


def test_ray_is_not_installed(
    make_jobs: MakeJobs, worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'vostrack\[cluster\]'"):
        run_jobs(make_jobs(tmp_path / "out"), worker, RunConfig(cluster="auto"))
