"""Compiled loops when no cache folder is writable."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numba
import pytest

from vostrack.compute.jit import jit


def test_without_a_folder_for_it_the_code_is_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    njit = numba.njit
    asked: list[bool] = []

    def refusing(*, cache: bool = False, **options: Any) -> Callable[..., Any]:
        def decorate(function: Any) -> Any:
            asked.append(cache)
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return njit(**options)(function)

        return decorate

    monkeypatch.setattr("vostrack.compute.jit.numba", SimpleNamespace(njit=refusing))

    @jit(fastmath={"contract"})
    def double(x: float) -> float:
        return 2 * x

    assert double(4.5) == 9
    assert asked == [True, False]
