"""Running jobs on a Ray cluster; a task is one video."""

from __future__ import annotations

import logging
from typing import Any

from vostrack.batch.attempt import attempt_job
from vostrack.batch.executor import Lost, thread_environment
from vostrack.batch.job import Job, JobResult
from vostrack.errors import InputError

__all__ = ["RayExecutor"]

_LOG = logging.getLogger("vostrack")

_OBJECT_STORE_BYTES = 100_000_000
"""Only paths and results travel through Ray, so a small store does."""


class RayExecutor:
    """Runs jobs as Ray tasks. The workers read the frames and write the results themselves.

    Args:
        worker: name of the function that tracks, ``module:function``; every node can import it.
        cluster: "auto" for the cluster that ``ray start`` made on this machine, "local" for one
            that lives as long as this object, or a cluster's address.
        workers: tasks at a time on a "local" cluster; elsewhere the cluster decides.
        threads: cores that a task takes, and threads it may start.
        gpus_per_task: GPUs that a task takes, such as 1 or 0.25.

    Raises:
        InputError: Ray is not installed, or there is no such cluster.
    """

    def __init__(
        self, worker: str, cluster: str, *, workers: int, threads: int, gpus_per_task: float
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError(
                "cluster: Ray is not installed; pip install 'vostrack[cluster]'"
            ) from error
        self._ray: Any = ray
        self._worker = worker
        self._running: dict[Any, Job] = {}
        # A cluster that the caller has joined already is used and left alone.
        self._owns_connection = not ray.is_initialized()
        if self._owns_connection:
            _connect(ray, cluster, workers * threads)
        found = self._ray.cluster_resources().get("GPU", 0.0)
        if found < gpus_per_task:
            _LOG.warning(
                "each task asks for %g GPUs and the cluster has %g; tasks wait until it has more",
                gpus_per_task,
                found,
            )
        self._task = ray.remote(
            num_cpus=threads,
            num_gpus=gpus_per_task,
            # Whoever runs the batch counts the attempts, alike on one machine and on many.
            max_retries=0,
            runtime_env={"env_vars": thread_environment(threads)},
        )(attempt_job)

    def submit(self, job: Job) -> None:
        """Hand a job to the cluster."""
        self._running[self._task.remote(job, self._worker)] = job

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Wait for any task to end, or for its worker to be lost."""
        (ended,), _ = self._ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(ended)
        try:
            result: JobResult = self._ray.get(ended)
            return job, result
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines() or [""]
            return job, Lost(f"{type(error).__name__}: {reason[0]}")

    def close(self) -> None:
        """Stop the tasks still at work, and leave the cluster if it was joined here."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._owns_connection:
            self._ray.shutdown()


def _connect(ray: Any, cluster: str, cores: int) -> None:
    settings: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if cluster == "local":
        settings |= {
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    try:
        ray.init(address=cluster, **settings)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cluster {cluster!r}: no Ray cluster takes us in there ({reason}); start one with "
            "'ray start --head', or use 'local'. One that asks for a token also needs "
            "RAY_AUTH_MODE=token here"
        ) from error
