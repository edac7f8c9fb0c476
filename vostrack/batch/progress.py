"""A progress bar for the frames of a batch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from vostrack.batch.job import Job
from vostrack.batch.run import RunEvent

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    jobs: Sequence[Job], *, quiet: bool = False
) -> Iterator[Callable[[RunEvent], None]]:
    """Show a progress bar on standard error, with a line for every failure and retry.

    The bar counts frames and advances when a sequence ends. It is shown only on a terminal; the
    lines are always shown.

    Args:
        jobs: all jobs.
        quiet: whether to show neither.

    Yields:
        The ``progress`` callback for ``run_jobs``.
    """
    from tqdm import tqdm

    total = sum(len(job.frames) for job in jobs)
    hidden = True if quiet else None
    with tqdm(total=total, unit="frame", disable=hidden, file=sys.stderr) as bar:

        def show(event: RunEvent) -> None:
            if event.kind != "retry":
                bar.update(event.frames)
                bar.set_postfix_str(event.name)
            if event.detail and not quiet:
                bar.write(f"{event.kind} {event.name}: {event.detail}", file=sys.stderr)

        yield show
