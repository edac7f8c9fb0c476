"""How much freed memory the process keeps for the next frame."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["keep_freed_memory"]

# glibc raises its limits up to blocks of 32 MiB, with what stands before the block and its
# alignment.
_LARGEST = (32 << 20) - (64 << 10)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Free one large block, once per process.

    From it glibc takes the size up to which it reuses blocks, and it keeps up to twice as much of
    what is freed (``M_MMAP_THRESHOLD`` in mallopt(3)). Without it, what earlier steps happened to
    free decides. Where that was little, feature maps are handed back to the system and asked for
    anew in every frame: up to 7,000 page faults, 11 of the 76 ms of a step of ``balanced``. Other C
    libraries do nothing of this kind.
    """
    np.empty(_LARGEST, np.uint8)
