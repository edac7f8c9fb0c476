"""Running a batch: finished results are kept, and lost jobs are retried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vostrack.batch.attempt import find_worker, worker_name
from vostrack.batch.executor import Executor, Lost, available_cores
from vostrack.batch.job import Job, JobResult, Worker
from vostrack.batch.local import InlineExecutor, LocalPool
from vostrack.batch.record import DoneRecord
from vostrack.batch.report import RunReport
from vostrack.batch.store import open_store
from vostrack.checks import check_at_least
from vostrack.compute.options import ComputeOptions
from vostrack.errors import InputError
from vostrack.output_folder import exclusive_folder
from vostrack.wording import counted

__all__ = ["RunConfig", "RunEvent", "run_jobs"]


@dataclass(frozen=True, kw_only=True)
class RunConfig(ComputeOptions):
    """Run: processes and machines. Only the number of threads changes what is computed.

    With one worker, and without ``threads``, ``gpus`` and ``cluster``, everything runs in the
    calling process.
    """

    workers: int = 1
    """Processes on this machine, or tasks at a time on a local cluster. At least 1."""

    gpus: tuple[str, ...] = ()
    """Devices dealt to the processes in turn, such as 0 1."""

    cluster: str | None = None
    """auto (a running Ray cluster), local (start one here), or its address. Default: none."""

    gpus_per_task: float = 0.0
    """GPUs, or the share of one, that a task of a cluster takes."""

    retries: int = 2
    """How often a sequence is started again whose process was lost, or ran short of memory or
    files."""

    overwrite: bool = False
    """Compute everything again, also what was finished with other options."""

    def __post_init__(self) -> None:
        """Check ranges and combinations.

        Raises:
            InputError: a number is out of range, or an option would have no effect.
        """
        super().__post_init__()
        check_at_least(self, {"workers": 1, "retries": 0, "gpus_per_task": 0})
        if self.cluster is None and self.gpus_per_task:
            raise InputError(
                "gpus_per_task: expected 0 without a cluster; use `gpus`, or set `cluster`"
            )
        if self.cluster is not None and self.gpus:
            raise InputError("gpus: a cluster assigns the GPUs itself; use `gpus_per_task` instead")


@dataclass(frozen=True)
class RunEvent:
    """An event during a run.

    Attributes:
        kind: "kept" (finished before this run), "done", "failed" or "retry".
        name: name of the sequence.
        frames: number of its frames.
        detail: the reason, for "failed" and "retry".
    """

    kind: Literal["kept", "done", "failed", "retry"]
    name: str
    frames: int
    detail: str = ""


def run_jobs(
    jobs: Sequence[Job],
    worker: Worker | str,
    config: RunConfig | None = None,
    *,
    progress: Callable[[RunEvent], None] | None = None,
) -> RunReport:
    """Run all jobs that do not have a result yet.

    A failure affects only its own job. After Ctrl-C or if the process is killed, finished results
    remain, and the same call continues with the others. Only one run at a time may use an output
    folder.

    Args:
        jobs: the jobs, with distinct names.
        worker: the function that tracks one video, or its name as ``module:function``.
        config: how to run; by default ``RunConfig()``.
        progress: called with every event, in the calling thread.

    Returns:
        The results of all finished jobs, in the order of ``jobs``.

    Raises:
        InputError: two jobs have the same name, a result was made with other options, an output
            folder contains other files, another run is writing there, or the worker or the cluster
            cannot be found. It is raised before anything is computed.
    """
    config = config or RunConfig()
    tell = progress or (lambda event: None)
    jobs = [job.anchored() for job in jobs]
    settled, todo = _plan(jobs, overwrite=config.overwrite)
    for name, result in settled.items():
        tell(RunEvent("kept", name, result.frames))
    interrupted = False
    try:
        if todo:
            with ExitStack() as stack:
                for folder in sorted({Path(job.output).parent for job in todo if job.is_local}):
                    stack.enter_context(exclusive_folder(folder))
                # Another run may have finished some of them since the first look.
                more, todo = _plan(todo, overwrite=config.overwrite)
                for name, result in more.items():
                    settled[name] = result
                    tell(RunEvent("kept", name, result.frames))
                executor = _make_executor(worker, config, len(todo))
                stack.enter_context(closing(executor))
                _drain(executor, todo, config.retries, settled, tell)
    except KeyboardInterrupt:
        interrupted = True
    return RunReport(
        results=tuple(settled[job.name] for job in jobs if job.name in settled),
        remaining=tuple(job.name for job in jobs if job.name not in settled),
        interrupted=interrupted,
    )


def _plan(jobs: Sequence[Job], *, overwrite: bool) -> tuple[dict[str, JobResult], list[Job]]:
    """Split the jobs into finished results and jobs to run."""
    twice = [name for name, count in Counter(job.name for job in jobs).items() if count > 1]
    if twice:
        raise InputError(f"jobs: expected distinct names, got {', '.join(twice[:5])} twice")
    kept: dict[str, JobResult] = {}
    todo: list[Job] = []
    other: list[str] = []
    for job in jobs:
        store = open_store(job.output, job.frame_names)
        record = None if overwrite else store.read()
        if record is None:
            store.check_free()
            todo.append(job)
        elif record.fingerprint == job.fingerprint:
            kept[job.name] = JobResult(
                job.name, len(record.frames), record.seconds, attempts=0, status="kept"
            )
        else:
            other.append(f"{job.name} ({_difference(job, record)})")
    if other:
        raise InputError(
            f"output: {counted(len(other), 'result')} made with other options or inputs: "
            f"{', '.join(other[:5])}{' ...' if len(other) > 5 else ''}; use another output folder, "
            "or `overwrite=True`"
        )
    return kept, todo


def _difference(job: Job, record: DoneRecord) -> str:
    """Describe how a finished result differs from the job."""
    changed = [
        f"{key}={record.options.get(key)!r}, now {job.options.get(key)!r}"
        for key in sorted({*job.options, *record.options})
        if job.options.get(key) != record.options.get(key)
    ]
    if changed:
        return "; ".join(changed)
    if record.frames != job.frame_names:
        return "other frames"
    other = [kind for kind, found in job.inputs.items() if record.inputs.get(kind) != found]
    return f"changed {' and '.join(other) or 'inputs'}"


def _make_executor(worker: Worker | str, config: RunConfig, jobs: int) -> Executor:
    if config.cluster is None and config.workers == 1 and not config.threads and not config.gpus:
        return InlineExecutor(find_worker(worker) if isinstance(worker, str) else worker)
    name = worker if isinstance(worker, str) else worker_name(worker)
    find_worker(name)
    if config.cluster is not None:
        from vostrack.batch.cluster import RayExecutor

        return RayExecutor(
            name,
            config.cluster,
            workers=config.workers,
            threads=config.threads or 1,
            gpus_per_task=config.gpus_per_task,
        )
    # The number of threads, and thus the result, does not depend on the number of jobs left.
    threads = config.threads or max(1, available_cores() // config.workers)
    return LocalPool(name, min(config.workers, jobs), threads, config.gpus)


def _drain(
    executor: Executor,
    todo: Sequence[Job],
    retries: int,
    settled: dict[str, JobResult],
    tell: Callable[[RunEvent], None],
) -> None:
    """Run until every job is settled. Retry jobs with retryable errors."""
    attempts: Counter[str] = Counter()
    for job in todo:
        executor.submit(job)
    while any(job.name not in settled for job in todo):
        job, outcome = executor.next()
        attempts[job.name] += 1
        if isinstance(outcome, Lost):
            outcome = JobResult(job.name, error=outcome.reason, status="failed", retryable=True)
        if outcome.retryable and attempts[job.name] <= retries:
            tell(RunEvent("retry", job.name, len(job.frames), outcome.error or ""))
            executor.submit(job)
            continue
        result = replace(outcome, attempts=attempts[job.name])
        settled[job.name] = result
        kind: Literal["done", "failed"] = "failed" if result.error is not None else "done"
        tell(RunEvent(kind, job.name, len(job.frames), result.error or ""))
