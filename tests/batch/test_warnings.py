"""What a reader of results should know: printed with the summary, and kept with the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vostrack.batch import Job, JobResult, RunReport, run_jobs

MakeJobs = Callable[..., list[Job]]


def write(job: Job) -> JobResult:
    for name in job.frame_names:
        (job.folder / f"{name}.png").write_bytes(b"mask")
    return JobResult(job.name, len(job.frames), warnings=("the mask is small",))


def test_warnings_are_printed_and_kept(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path / "out", "a")
    job = replace(job, notes=("object 3 is left out",))
    report = run_jobs([job], write)
    both = ("object 3 is left out", "the mask is small")
    assert report.results[0].warnings == both
    lines = report.summary().splitlines()
    assert lines[1:] == [f"  warning: a: {text}" for text in both]
    path = tmp_path / "out" / "a" / "done.json"
    record = json.loads(path.read_text())
    assert record["warnings"] == list(both)
    # Notes do not make another result; a record without warnings is one of an earlier version.
    assert run_jobs([replace(job, notes=())], write).results[0].status == "kept"
    del record["warnings"]
    path.write_text(json.dumps(record))
    assert run_jobs([job], write).results[0].status == "kept"


def test_of_many_warnings_the_first_are_shown() -> None:
    results = tuple(JobResult(f"s{number}", warnings=("small",)) for number in range(30))
    lines = RunReport(results).summary().splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 10 more warnings; see done.json of the results"
