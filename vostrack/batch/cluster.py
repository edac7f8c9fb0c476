"""Running jobs on a Ray cluster, with one video per task."""

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
"""A small object store suffices, because only paths and results pass through Ray."""


class RayExecutor:
    """Runs jobs as Ray tasks. The workers read the frames and write the results themselves.

    Args:
        worker: name of the tracking function, ``module:function``. Every node must be able to
            import it.
        cluster: "auto" for the cluster started by ``ray start`` on this machine, "local" for one
            that exists as long as this object, or the address of a cluster.
        workers: number of simultaneous tasks on a "local" cluster. Other clusters decide
            themselves.
        threads: cores reserved per task, and threads that it may start.
        gpus_per_task: GPUs reserved per task, such as 1 or 0.25.

    Raises:
        InputError: Ray is not installed, or the cluster does not exist.
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
        # If the caller has already connected to a cluster, use it and do not disconnect.
        self._owns_connection = not ray.is_initialized()
        if self._owns_connection:
            _connect(ray, cluster, workers * threads)
        found = self._ray.cluster_resources().get("GPU", 0.0)
        if found < gpus_per_task:
            _LOG.warning(
                "each task needs %g GPUs, but the cluster has %g; tasks wait until it has more",
                gpus_per_task,
                found,
            )
        self._task = ray.remote(
            num_cpus=threads,
            num_gpus=gpus_per_task,
            # Retries are handled by ``run_jobs``, like on a single machine.
            max_retries=0,
            runtime_env={"env_vars": thread_environment(threads)},
        )(attempt_job)

    def submit(self, job: Job) -> None:
        """Submit a job to the cluster."""
        self._running[self._task.remote(job, self._worker)] = job

    def next(self) -> tuple[Job, JobResult | Lost]:
        """Wait until any task ends or its worker is lost."""
        (ended,), _ = self._ray.wait(list(self._running), num_returns=1)
        job = self._running.pop(ended)
        try:
            result: JobResult = self._ray.get(ended)
            return job, result
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines() or [""]
            return job, Lost(f"{type(error).__name__}: {reason[0]}")

    def close(self) -> None:
        """Cancel running tasks. Disconnect if this object made the connection."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._owns_connection:
            self._ray.shutdown()


def _connect(ray: Any, cluster: str, cores: int) -> None:
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if cluster == "local":
        options |= {
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    try:
        ray.init(address=cluster, **options)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cluster {cluster!r}: cannot connect to a Ray cluster ({reason}); start one with "
            "'ray start --head', or use `cluster='local'`; for a cluster with token "
            "authentication, also set RAY_AUTH_MODE=token"
        ) from error
