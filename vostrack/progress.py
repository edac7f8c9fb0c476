"""Progress on standard error: a bar on a terminal, and a line every so often anywhere else.

Progress that cannot be written, because who read it has gone, ends no work: it is left out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from vostrack.wording import counted

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ProgressBar", "ProgressLines", "open_progress", "print_progress"]

# Seconds until the second line; then twice as long each time, up to the longest.
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 60.0
# Columns under which a bar has no room for its numbers.
_NARROWEST = 40


class ProgressBar(ABC):
    """What is shown of some work; closed at the end of a ``with`` block.

    Attributes:
        n: how much is done.
    """

    n: int

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    @abstractmethod
    def update(self, n: int = 1) -> None:
        """Add to what is done."""

    @abstractmethod
    def set_postfix(self, text: str) -> None:
        """Set what is said after the numbers."""

    @abstractmethod
    def write(self, line: str) -> None:
        """Write a line of its own."""

    @abstractmethod
    def close(self) -> None:
        """End it."""


def open_progress(
    total: int | None, unit: str, name: str = "", *, initial: int = 0, quiet: bool = False
) -> ProgressBar:
    """Begin to show progress.

    Args:
        total: where it ends; None where that is unknown.
        unit: of what it counts, in the singular.
        name: what is done.
        initial: how much was done before.
        quiet: show nothing.
    """
    if quiet or _is_terminal(sys.stderr):
        return _Bar(total, unit, name, initial=initial, hidden=quiet)
    return ProgressLines(total, unit, name, initial=initial)


def print_progress(line: str, stream: TextIO | None = None) -> None:
    """Print a line, or leave it out where nobody reads any more.

    Args:
        line: without a line break at its end.
        stream: where it goes; by default standard error.
    """
    with contextlib.suppress(OSError):
        print(line, file=stream or sys.stderr, flush=True)


class _Lossy:
    """A stream that drops what cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_terminal(stream: TextIO) -> bool:
    """Tell whether a bar can be drawn: some terminals are narrow, or say they have no columns."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return stream.isatty() and os.get_terminal_size(stream.fileno()).columns >= _NARROWEST
    return False  # closed, replaced, or absent as under pythonw


class _Bar(ProgressBar):
    """A bar of tqdm."""

    def __init__(
        self, total: int | None, unit: str, name: str, *, initial: int, hidden: bool
    ) -> None:
        from tqdm import tqdm

        self.n, self._stream = initial, _Lossy(sys.stderr)
        self._bar = tqdm(
            total=total,
            unit=unit,
            desc=name or None,
            initial=initial,
            disable=hidden,
            file=self._stream,
        )

    def update(self, n: int = 1) -> None:
        self.n += n
        self._bar.update(n)

    def set_postfix(self, text: str) -> None:
        self._bar.set_postfix_str(text)

    def write(self, line: str) -> None:
        self._bar.write(line, file=self._stream)

    def close(self) -> None:
        self._bar.close()


class ProgressLines(ProgressBar):
    """Lines for logs: at the beginning, at growing distances, and at the end."""

    def __init__(
        self,
        total: int | None,
        unit: str,
        name: str = "",
        *,
        initial: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            total: where it ends; None where that is unknown.
            unit: of what it counts, in the singular.
            name: what is done.
            initial: how much was done before.
            stream: where lines go; by default standard error.
            clock: gives seconds.
        """
        self.n = self._initial = initial
        self._total, self._unit, self._name = total, unit, name
        self._stream = stream or sys.stderr
        self._clock, self._began = clock, clock()
        self._pause = 0.0
        self._last, self._shown = self._began, -1
        self._postfix = ""

    def update(self, n: int = 1) -> None:
        """Add to what is done, and print a line if the last one is long ago."""
        self.n += n
        if n and self._clock() - self._last >= self._pause:
            self._print()

    def set_postfix(self, text: str) -> None:
        """Set what is said after the numbers."""
        self._postfix = text

    def write(self, line: str) -> None:
        """Print a line of its own."""
        print_progress(line, self._stream)

    def close(self) -> None:
        """Print the last line, unless it has been printed."""
        if self._shown not in (-1, self.n):
            self._print()

    def _print(self) -> None:
        self._last = self._clock()
        self._pause = min(max(_FIRST_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._shown = self.n
        things = counted(self.n if self._total is None else self._total, self._unit)
        parts = [things if self._total is None else f"{self.n} of {things}"]
        seconds = self._last - self._began
        done = self.n - self._initial
        if seconds >= 1 and done:
            parts.append(f"{seconds:.0f} s")
            if self._total is not None and self.n < self._total:
                parts.append(f"{(self._total - self.n) * seconds / done:.0f} s left")
        if self._postfix:
            parts.append(self._postfix)
        self.write(f"{self._name}: {', '.join(parts)}" if self._name else ", ".join(parts))
