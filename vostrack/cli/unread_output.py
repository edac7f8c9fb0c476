"""Printing that ends no work: what nobody reads any more, as after ``| head``, is dropped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

__all__ = ["STANDARD_OUTPUT", "unread_output_dropped"]

STANDARD_OUTPUT = "standard output"
"""The name, as of a file, in the errors of printing."""


class _Dropping:
    """A stream that drops what cannot be written for some reasons.

    Attributes:
        failed: whether anything could not be written, for whatever reason; it may wait still.
    """

    def __init__(self, stream: TextIO, reasons: type[OSError]) -> None:
        self.stream, self.failed = stream, False
        self._reasons = reasons

    def write(self, text: str) -> int:
        with self._naming():
            self.stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._naming():
            self.stream.flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except self._reasons:
            self.failed = True
        except OSError as error:
            self.failed, error.filename = True, STANDARD_OUTPUT
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def unread_output_dropped(*, ends_process: bool) -> Iterator[None]:
    """Let a block go on when whoever read its standard output or standard error has gone.

    Standard output that cannot be written for another reason, such as a full disk, is an error with
    ``STANDARD_OUTPUT`` as the name of its file: what it goes to would lack something. Messages are
    dropped for any reason.

    Args:
        ends_process: whether the process ends after the block. What then waits to be written for
            nobody is dropped, too, or Python would complain and change the exit status.
    """
    for name, reasons in (("stdout", BrokenPipeError), ("stderr", OSError)):
        if getattr(sys, name) is not None:  # as under pythonw
            setattr(sys, name, cast(TextIO, _Dropping(getattr(sys, name), reasons)))
    try:
        yield
    finally:
        for name in ("stdout", "stderr"):
            _restore(name, ends_process)


def _restore(name: str, ends_process: bool) -> None:
    found = getattr(sys, name)
    if not isinstance(found, _Dropping):  # somebody has put another in its place
        return
    if ends_process and not found.failed:
        try:
            found.flush()
        except OSError:
            setattr(sys, name, found.stream)  # Python says it at its end
            return
    setattr(sys, name, None if ends_process and found.failed else found.stream)
