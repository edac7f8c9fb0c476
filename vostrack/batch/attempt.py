"""One attempt at a job, in any process."""

from __future__ import annotations

import errno
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
    """Track one video and store the result.

    Args:
        job: the job.
        worker: the tracking function, or its name as ``module:function``.

    Returns:
        The result of the worker, or a failed result with the reason. Only exceptions such as
        ``KeyboardInterrupt`` are raised.
    """
    started = time.perf_counter()
    try:
        track = find_worker(worker) if isinstance(worker, str) else worker
        store = open_store(job.output, job.frame_names)
        scratch = store.begin()
        try:
            result = track(replace(job, output=str(scratch)))
            seconds = result.seconds or time.perf_counter() - started
            warnings = (*job.notes, *result.warnings)
            result = replace(result, name=job.name, seconds=seconds, warnings=warnings)
            if result.error is not None:
                return replace(result, status="failed")
            store.commit(scratch, record_result(job, result, scratch))
            return replace(result, status="done")
        finally:
            # After a commit, the scratch folder no longer exists.
            store.discard(scratch)
    except Exception as error:
        expected = isinstance(error, InputError)
        return JobResult(
            name=job.name,
            seconds=time.perf_counter() - started,
            error=str(error) if expected else f"{type(error).__name__}: {error}",
            details="" if expected else traceback.format_exc(),
            status="failed",
            retryable=_is_retryable(error),
        )


def worker_name(worker: Worker) -> str:
    """Return the name of a function by which another process can import it.

    Args:
        worker: a function at the top level of an importable module.

    Returns:
        The name, ``module:function``.

    Raises:
        InputError: the function is nested, a lambda, or defined in the running script.
    """
    module, name = getattr(worker, "__module__", None), getattr(worker, "__qualname__", "")
    if not module or module == "__main__" or not name.isidentifier():
        raise InputError(
            f"worker {name or worker!r} of {module}: other processes cannot import it; expected a "
            "function at the top level of a module, not of the running script"
        )
    return f"{module}:{name}"


def find_worker(name: str) -> Worker:
    """Import a function by its name from ``worker_name``.

    Raises:
        InputError: the module or the function does not exist.
    """
    module, _, function = name.partition(":")
    try:
        found: Worker = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"worker {name!r}: expected an importable module:function ({error})"
        ) from error
    return found


def _is_retryable(error: Exception) -> bool:
    """Tell whether a retry may help, as after a lack of memory or an error of a shared disk."""
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return False
    return isinstance(error, OSError | MemoryError) or type(error).__name__ == "OutOfMemoryError"
