"""A progress bar for the frames of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from vostrack.batch.job import Job
from vostrack.batch.run import RunEvent
from vostrack.progress import open_progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    jobs: Sequence[Job], *, quiet: bool = False
) -> Iterator[Callable[[RunEvent], None]]:
    """Show progress on standard error, with a line for every failure and retry.

    It counts frames and advances when a sequence ends: a bar on a terminal, else a line every so
    often.

    Args:
        jobs: all jobs.
        quiet: whether to show neither.

    Yields:
        The ``progress`` callback for ``run_jobs``.
    """
    total = sum(len(job.frames) for job in jobs)
    with open_progress(total, "frame", "sequences", quiet=quiet) as bar:

        def show(event: RunEvent) -> None:
            if event.kind != "retry":
                bar.set_postfix(event.name)
                bar.update(event.frames)
            if event.detail and not quiet:
                bar.write(f"{event.kind} {event.name}: {event.detail}")

        yield show
