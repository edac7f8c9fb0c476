"""Loops compiled by numba; only modules of such loops import this one, and with it numba."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, fastmath: Collection[str] = ()) -> Callable[[Function], Function]:
    """Compile a function when it is first called, and let go of the GIL while it runs.

    The result is kept on disk for the next process, or in memory only where no folder for it can
    be written (numba looks beside the source, then in the user's cache; ``NUMBA_CACHE_DIR`` names
    another). Divisions follow numpy: a check of every divisor would keep vectors out.

    Args:
        fastmath: LLVM's flags for what may be done to sums and products.
    """
    make = functools.partial(
        numba.njit, nogil=True, fastmath=set(fastmath) or False, error_model="numpy"
    )

    def decorate(function: Function) -> Function:
        try:
            return cast(Function, make(cache=True)(function))
        except RuntimeError:  # numba: "no locator available"
            return cast(Function, make()(function))

    return decorate
