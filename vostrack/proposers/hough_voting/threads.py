"""Compiled loops over many votes on all of torch's threads.

The threads are Python's own: the loops release the GIL, and threads of this kind do not spin while
they wait, as teams of OpenMP do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch

__all__ = ["in_parts"]

# Fewer votes are done before a second thread has woken up.
_PART = 4096


def in_parts(function: Callable[[slice], None], count: int) -> None:
    """Call ``function`` with slices that part 0..count-1 among the threads; raise what it raises.

    Args:
        function: must write to its own slice alone.
        count: at least 0.
    """
    workers = torch.get_num_threads()
    parts = min(workers, count // _PART)
    if parts < 2:
        function(slice(0, count))
        return
    ends = [count * k // parts for k in range(parts + 1)]
    slices = [slice(begin, end) for begin, end in pairwise(ends)]
    for _ in _pool(workers, os.getpid()).map(function, slices):
        pass  # drawn only to raise what a part raised


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Return the pool; a forked child has another ``process`` and gets a pool with live threads."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"vostrack-votes-{process}")
