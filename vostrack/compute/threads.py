"""Running compiled loops on as many threads as torch uses.

These are Python threads. The compiled loops release the GIL, and unlike OpenMP threads these do not
spin while they wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import torch

__all__ = ["cpu_threads", "in_parts", "pool"]


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many CPU threads in a block; None changes nothing."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_parts(function: Callable[[slice], None], count: int, least: int) -> None:
    """Split the range 0..count-1 into slices and run ``function`` on them in parallel.

    An exception in ``function`` is raised here.

    Args:
        function: called with each slice; it must write to its own slice only.
        count: length of the range, at least 0.
        least: minimum length of a slice. Shorter ones finish before a second thread wakes up.
    """
    workers = torch.get_num_threads()
    parts = min(workers, count // least)
    if parts < 2:
        function(slice(0, count))
        return
    ends = [count * k // parts for k in range(parts + 1)]
    slices = [slice(begin, end) for begin, end in pairwise(ends)]
    for _ in pool(workers).map(function, slices):
        pass  # Iterate to raise exceptions of the slices.


def pool(workers: int) -> ThreadPoolExecutor:
    """Return a pool of ``workers`` threads, which is reused until the number changes."""
    # A forked child has no live threads. Its process id differs, so it gets a new pool.
    return _pool(workers, os.getpid())


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix=f"vostrack-{process}")
