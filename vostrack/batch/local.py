"""Running jobs on this machine, in this process or in several others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from vostrack.batch.attempt import attempt_job
from vostrack.batch.executor import Lost, thread_environment
from vostrack.batch.job import Job, JobResult, Worker

__all__ = ["InlineExecutor", "LocalPool"]


class InlineExecutor:
    """Runs one job after another in this process.

    Args:
        worker: the tracking function.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queue: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._queue.append(job)

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Run the first job in the queue."""
        job = self._queue.popleft()
        return job, attempt_job(job, self._worker)

    def close(self) -> None:
        """Clear the queue."""
        self._queue.clear()


@dataclass
class _Slot:
    """One worker process and its current job."""

    environment: Mapping[str, str]
    pool: futures.ProcessPoolExecutor | None = None
    lifeline: Connection | None = None
    job: Job | None = None
    future: futures.Future[JobResult] | None = None


class LocalPool:
    """Runs jobs in spawned processes, each with one job at a time.

    Every process has its own pool, so that a process that dies affects only its own job. A process
    always ends with its parent. Otherwise an orphan could write into a folder that a resumed run is
    using.

    Args:
        worker: name of the tracking function, ``module:function``.
        workers: number of processes.
        threads: threads that numerical libraries may start in each process.
        gpus: values of ``CUDA_VISIBLE_DEVICES``, assigned to the processes in turn.
    """

    def __init__(self, worker: str, workers: int, threads: int, gpus: Sequence[str] = ()) -> None:
        self._worker = worker
        self._queue: deque[Job] = deque()
        self._slots = []
        for index in range(workers):
            environment = thread_environment(threads)
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
            self._slots.append(_Slot(environment))

    def submit(self, job: Job) -> None:
        """Queue a job. It starts when ``next`` is called and a process is idle."""
        self._queue.append(job)

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Start queued jobs on idle processes, and wait until a job ends or a process dies."""
        for slot in self._slots:
            if slot.future is None and self._queue:
                self._start(slot, self._queue.popleft())
        running = {slot.future: slot for slot in self._slots if slot.future is not None}
        ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
        slot = running[ended.pop()]
        job, future = slot.job, slot.future
        slot.job = slot.future = None
        assert job is not None
        assert future is not None
        try:
            return job, future.result()
        except BrokenProcessPool:
            _stop(slot)
            return job, Lost("its process died (killed, or out of memory)")

    def close(self) -> None:
        """Terminate all processes."""
        self._queue.clear()
        for slot in self._slots:
            _stop(slot)

    def _start(self, slot: _Slot, job: Job) -> None:
        if slot.pool is None:
            context = multiprocessing.get_context("spawn")
            reader, slot.lifeline = context.Pipe(duplex=False)
            slot.pool = futures.ProcessPoolExecutor(
                1, mp_context=context, initializer=_start_process, initargs=(reader,)
            )
        slot.job = job
        # The process is spawned here and inherits this environment.
        with _environment(slot.environment):
            slot.future = slot.pool.submit(attempt_job, job, self._worker)


def _stop(slot: _Slot) -> None:
    if slot.lifeline is not None:
        slot.lifeline.close()
    if slot.pool is not None:
        slot.pool.shutdown(wait=True, cancel_futures=True)
    slot.pool = slot.lifeline = slot.job = slot.future = None


def _start_process(lifeline: Connection) -> None:
    """Ignore Ctrl-C, and exit when the parent closes the lifeline or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
