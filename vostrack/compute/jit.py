"""Just-in-time compilation with numba.

Importing this module imports numba, so only modules with compiled loops import it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

import numba

__all__ = ["jit"]

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(*, fastmath: Collection[str] = ()) -> Callable[[Function], Function]:
    """Compile a function on its first call and release the GIL while it runs.

    The compiled code is cached on disk for later processes: beside the source, else in the user's
    cache folder, or in the folder that ``NUMBA_CACHE_DIR`` names. If none of them is writable, it
    is kept in memory. Division by zero follows numpy, because checking every divisor would prevent
    vectorization.

    Args:
        fastmath: LLVM fast-math flags that allow sums and products to be reordered.

    Returns:
        The decorator.
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
