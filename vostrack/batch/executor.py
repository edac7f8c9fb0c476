"""The interface for running jobs, and limiting the threads of each process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from vostrack.batch.job import Job, JobResult
from vostrack.compute.waiting import WAITING

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
    """The process of a job has died.

    Attributes:
        reason: the reason, as far as known.
    """

    reason: str


class Executor(Protocol):
    """Runs attempts at jobs, several at a time."""

    def submit(self, job: Job) -> None:
        """Queue a job."""
        ...

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Wait until any queued job ends, and remove it from the queue."""
        ...

    def close(self) -> None:
        """Stop immediately and terminate running processes."""
        ...


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Return environment variables that limit the threads of numerical libraries.

    Threads that wait leave their core to other processes. The variables take effect when the
    libraries are imported.
    """
    return {**dict.fromkeys(_THREAD_VARIABLES, str(threads)), **WAITING}
