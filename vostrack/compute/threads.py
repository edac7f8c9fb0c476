"""Compiled loops on all of torch's threads.

The threads are Python's own: the loops release the GIL, and threads of this kind do not spin while
they wait, as teams of OpenMP do.
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
    """Call ``function`` with slices that part 0..count-1 among the threads; raise what it raises.

    Args:
        function: must write to its own slice alone.
        count: at least 0.
        least: a part is no smaller than this; less is done before a second thread has woken up.
    """
    workers = torch.get_num_threads()
    parts = min(workers, count // least)
    if parts < 2:
        function(slice(0, count))
        return
    ends = [count * k // parts for k in range(parts + 1)]
    slices = [slice(begin, end) for begin, end in pairwise(ends)]
    for _ in pool(workers).map(function, slices):
        pass  # drawn only to raise what a part raised


def pool(workers: int) -> ThreadPoolExecutor:
    """Return a pool of so many threads, the same one until another number is asked for."""
    # A forked child has another process number, and gets a pool with live threads.
    return _pool(workers, os.getpid())


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix=f"vostrack-{process}")
