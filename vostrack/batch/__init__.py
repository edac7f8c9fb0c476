"""Running whole data sets: resumable, on local processes or a cluster, one video per task."""

from vostrack.batch.job import Job, JobResult, Option, Worker, dataset_jobs, davis_jobs
from vostrack.batch.progress import progress_bar
from vostrack.batch.report import RunReport
from vostrack.batch.run import RunConfig, RunEvent, run_jobs

__all__ = [
    "Job",
    "JobResult",
    "Option",
    "RunConfig",
    "RunEvent",
    "RunReport",
    "Worker",
    "dataset_jobs",
    "davis_jobs",
    "progress_bar",
    "run_jobs",
]
