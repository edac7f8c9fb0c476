"""The width that help and error messages are laid out for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["NARROWEST", "wide_enough"]

NARROWEST = 40
"""Columns that the longest flags and their borders need."""


@contextmanager
def wide_enough() -> Iterator[None]:
    """Lay text out for at least ``NARROWEST`` columns while the block runs.

    In narrower terminals lines are broken by the terminal. The parser would fill memory for ever
    where its borders leave no column for text.
    """
    if shutil.get_terminal_size().columns >= NARROWEST:
        yield
        return
    given = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(NARROWEST)  # Python reads it before it asks the terminal
    try:
        yield
    finally:
        if given is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = given
