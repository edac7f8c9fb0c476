"""The folder of a training: one training at a time writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from vostrack.files import exclusive_folder
from vostrack.training.processes import is_first_process

__all__ = ["training_folder"]

# Those that the caller keeps: a command keeps its folder while the loop inside it asks again.
_KEPT: ContextVar[frozenset[Path]] = ContextVar("kept", default=frozenset())


@contextmanager
def training_folder(folder: Path) -> Iterator[None]:
    """Keep other trainings from writing to a folder while the block runs.

    Under ``torchrun``, the first process keeps it for all: the others write nothing there. A block
    inside another one for the same folder goes through.

    Args:
        folder: made where absent, with its parents, and removed again if the block leaves it empty.

    Raises:
        InputError: another process keeps it, or it is no folder.
    """
    place = folder.resolve()
    if not is_first_process() or place in _KEPT.get():
        yield
        return
    absent = [path for path in (place, *place.parents) if not path.exists()]
    token = _KEPT.set(_KEPT.get() | {place})
    try:
        with exclusive_folder(folder):
            yield
    finally:
        _KEPT.reset(token)
        with suppress(OSError):  # something lies in it
            for path in absent:
                path.rmdir()
