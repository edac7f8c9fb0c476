"""What every way of running jobs offers, and the threads each process may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from vostrack.batch.job import Job, JobResult

__all__ = ["Executor", "Lost", "available_cores", "thread_environment"]

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


@dataclass(frozen=True)
class Lost:
    """The process that ran a job is gone.

    Attributes:
        reason: what is known of it.
    """

    reason: str


class Executor(Protocol):
    """Runs attempts, some at a time."""

    def submit(self, job: Job) -> None:
        """Queue a job."""
        ...

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Wait for any queued job to end; it is not queued again."""
        ...

    def close(self) -> None:
        """Stop at once, ending the processes that are still at work."""
        ...


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Environment that holds numeric libraries to a number of threads from their import on."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))
