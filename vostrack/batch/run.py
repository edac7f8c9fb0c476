"""Running a batch to its end: what is finished is kept, what is lost is tried again."""

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
from vostrack.errors import InputError
from vostrack.files import exclusive_folder

__all__ = ["RunConfig", "RunEvent", "run_jobs"]


@dataclass(frozen=True)
class RunConfig:
    """How a batch is run. Nothing here changes what is computed, but for ``threads``.

    Attributes:
        workers: processes on this machine, or tasks at a time on a "local" cluster; 1 without
            ``threads``, ``gpus`` and ``cluster`` runs in the calling process.
        threads: threads that numeric libraries may start in each process; by default the cores
            shared among the workers, on a cluster 1. Sums may round differently with another
            number, so fix it where results must be the same to the bit.
        gpus: devices dealt to local processes in turn, such as ("0", "1").
        cluster: None for this machine; "auto", "local" or an address for Ray.
        gpus_per_task: GPUs that a task of a cluster takes.
        retries: how often a job is started again whose process was lost, or which ran short of
            memory or files.
        overwrite: compute everything again, in place of results of whatever options.
    """

    workers: int = 1
    threads: int | None = None
    gpus: tuple[str, ...] = ()
    cluster: str | None = None
    gpus_per_task: float = 0.0
    retries: int = 2
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check ranges and combinations.

        Raises:
            InputError: a number is out of range, or a setting would have no effect.
        """
        for name, value, least in (
            ("workers", self.workers, 1),
            ("threads", self.threads if self.threads is not None else 1, 1),
            ("retries", self.retries, 0),
            ("gpus_per_task", self.gpus_per_task, 0),
        ):
            if value < least:
                raise InputError(f"{name}: expected at least {least}, got {value}")
        if self.cluster is None and self.gpus_per_task:
            raise InputError("gpus_per_task: only a cluster shares GPUs; use gpus, or a cluster")
        if self.cluster is not None and self.gpus:
            raise InputError("gpus: a cluster deals the GPUs itself; use gpus_per_task")


@dataclass(frozen=True)
class RunEvent:
    """Something that happened during a run.

    Attributes:
        kind: "kept" (finished before this run), "done", "failed" or "retry".
        name: the sequence.
        frames: how many it has.
        detail: why, for "failed" and "retry".
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
    """Run all jobs, except those whose results are there already.

    A failure costs its own job only. After Ctrl-C, or a kill of any kind, finished results stay
    and the same call goes on with the others. One run at a time may use an output folder.

    Args:
        jobs: what to do, each with a name of its own.
        worker: the function that tracks one video, or its name as ``module:function``.
        config: how to run.
        progress: called for every event, in the calling thread.

    Returns:
        A result for every job that ended, in the order of ``jobs``.

    Raises:
        InputError: before anything is computed: two jobs write to the same place, a result there
            was made with other options, something else is there, another run is writing there, or
            the worker or the cluster cannot be found.
    """
    config = config or RunConfig()
    tell = progress or (lambda event: None)
    settled, todo = _plan(jobs, overwrite=config.overwrite)
    for name, result in settled.items():
        tell(RunEvent("kept", name, result.frames))
    interrupted = False
    try:
        if todo:
            with ExitStack() as stack:
                for folder in sorted({Path(job.output).parent for job in todo if job.is_local}):
                    stack.enter_context(exclusive_folder(folder))
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
    """Split the jobs into results that are kept and work to do."""
    twice = [name for name, count in Counter(job.name for job in jobs).items() if count > 1]
    if twice:
        raise InputError(f"jobs: expected names of their own, got {', '.join(twice[:5])} twice")
    kept: dict[str, JobResult] = {}
    todo: list[Job] = []
    other: list[str] = []
    for job in jobs:
        store = open_store(job.output)
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
            f"output: {len(other)} results were made differently: {', '.join(other[:5])}"
            f"{' ...' if len(other) > 5 else ''}; use another output folder, or overwrite them "
            "(--overwrite)"
        )
    return kept, todo


def _difference(job: Job, record: DoneRecord) -> str:
    """Say in what a finished result differs from what is asked for."""
    changed = [
        f"{key}={record.options.get(key)!r}, now {job.options.get(key)!r}"
        for key in sorted({*job.options, *record.options})
        if job.options.get(key) != record.options.get(key)
    ]
    if changed:
        return "; ".join(changed)
    return "other frames" if record.frames != job.frame_names else "other masks"


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
    # The share of a worker does not depend on how many jobs are left, nor do its results.
    threads = config.threads or max(1, available_cores() // config.workers)
    return LocalPool(name, min(config.workers, jobs), threads, config.gpus)


def _drain(
    executor: Executor,
    todo: Sequence[Job],
    retries: int,
    settled: dict[str, JobResult],
    tell: Callable[[RunEvent], None],
) -> None:
    """Run until every job is settled, submitting again what may go better next time."""
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
