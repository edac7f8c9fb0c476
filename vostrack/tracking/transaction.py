"""All or nothing: a call that is stopped leaves the tracker as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["OneCallAtATime", "restored_afterwards", "undo_on_failure"]


@contextmanager
def undo_on_failure(*parts: object) -> Iterator[None]:
    """Put the attributes of ``parts`` back if the block raises anything, Ctrl-C included.

    Lists, dictionaries and sets are copied, one level deep. Arrays, tensors and other objects are
    only referred to: a part must replace what it holds between frames, never write into it.

    Args:
        parts: objects with attributes; others, such as functions and None, are skipped.
    """
    saved = _saved(parts)
    try:
        yield
    except BaseException:
        _restore(saved)
        raise


@contextmanager
def restored_afterwards(*parts: object) -> Iterator[None]:
    """Put the attributes of ``parts`` back when the block ends; see ``undo_on_failure``."""
    saved = _saved(parts)
    try:
        yield
    finally:
        _restore(saved)


def _saved(parts: Iterable[object]) -> list[tuple[object, dict[str, Any]]]:
    return [(part, _attributes(part)) for part in parts if hasattr(part, "__dict__")]


def _restore(saved: Iterable[tuple[object, dict[str, Any]]]) -> None:
    for part, attributes in saved:
        vars(part).clear()
        vars(part).update(attributes)


def _attributes(part: object) -> dict[str, Any]:
    return {
        name: value.copy() if isinstance(value, list | dict | set) else value
        for name, value in vars(part).items()
    }


class OneCallAtATime:
    """A lock that refuses a second caller instead of making it wait.

    Copies and pickles of it are new and open, so the objects that hold one can be copied.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[OneCallAtATime], tuple[()]]:
        """Copy as a new lock."""
        return OneCallAtATime, ()

    @contextmanager
    def hold(self, what: str) -> Iterator[None]:
        """Hold the lock while the block runs.

        Args:
            what: names the call in the error.

        Raises:
            RuntimeError: another call holds the lock.
        """
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                f"{what} was called while another call on the same tracker is running; a tracker "
                "follows one video in one thread: build a second tracker for a second thread"
            )
        try:
            yield
        finally:
            self._lock.release()
