"""One attempt at one job, in whichever process it lands."""

from __future__ import annotations

import importlib
import time
import traceback
from dataclasses import replace

from vostrack.batch.job import Job, JobResult, Worker
from vostrack.batch.record import record_result
from vostrack.batch.store import open_store
from vostrack.errors import InputError

__all__ = ["attempt_job", "find_worker", "worker_name"]


def attempt_job(job: Job, worker: str | Worker) -> JobResult:
    """Track one video and put the result in its place.

    Args:
        job: what to do.
        worker: the function that tracks, or its name as ``module:function``.

    Returns:
        The worker's result, or a failed one that says why; only ``KeyboardInterrupt`` and its like
        come through as exceptions.
    """
    started = time.perf_counter()
    try:
        track = find_worker(worker) if isinstance(worker, str) else worker
        store = open_store(job.output)
        scratch = store.begin()
        try:
            result = track(replace(job, output=str(scratch)))
            seconds = result.seconds or time.perf_counter() - started
            result = replace(result, name=job.name, seconds=seconds)
            if result.error is not None:
                return replace(result, status="failed")
            store.commit(scratch, record_result(job, result, scratch))
            return replace(result, status="done")
        finally:
            # After a commit there is nothing left to remove.
            store.discard(scratch)
    except Exception as error:
        expected = isinstance(error, InputError)
        return JobResult(
            name=job.name,
            seconds=time.perf_counter() - started,
            error=str(error) if expected else f"{type(error).__name__}: {error}",
            details="" if expected else traceback.format_exc(),
            status="failed",
            retryable=_may_pass(error),
        )


def worker_name(worker: Worker) -> str:
    """Name a function so that another process finds it.

    Args:
        worker: a function at the top of an importable module.

    Returns:
        ``module:function``.

    Raises:
        InputError: the function is nested, a lambda, or of the script that is running.
    """
    module, name = getattr(worker, "__module__", None), getattr(worker, "__qualname__", "")
    if not module or module == "__main__" or not name.isidentifier():
        raise InputError(
            f"worker {name or worker!r} of {module}: other processes cannot import it; expected a "
            "function at the top of a module, not of the script itself"
        )
    return f"{module}:{name}"


def find_worker(name: str) -> Worker:
    """Import the function that ``worker_name`` named.

    Raises:
        InputError: there is no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        found: Worker = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"worker {name!r}: expected module:function that can be imported ({error})"
        ) from error
    return found


def _may_pass(error: Exception) -> bool:
    """Whether the cause may be gone next time: memory was short, or a shared disk stumbled."""
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    return isinstance(error, OSError | MemoryError) or type(error).__name__ == "OutOfMemoryError"
