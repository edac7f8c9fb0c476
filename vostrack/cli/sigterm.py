"""SIGTERM, as schedulers and service managers send it, does what Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "TERMINATED", "Termination", "termination_as_interrupt"]

# What a shell reports of a process that such a signal ended: 128 and its number.
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class Termination:
    """Whether the process was asked to end."""

    def __init__(self) -> None:
        self.asked = False

    def status(self, status: int) -> int:
        """Return the exit status, told apart from that of Ctrl-C."""
        return TERMINATED if self.asked and status == INTERRUPTED else status

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Raise what Ctrl-C raises.

        Raises:
            KeyboardInterrupt: always.
        """
        self.asked = True
        raise KeyboardInterrupt


@contextmanager
def termination_as_interrupt() -> Iterator[Termination]:
    """Take SIGTERM for Ctrl-C while the context lasts, unless something else handles it.

    What was done so far is then written as after Ctrl-C; by default the process ends at once.
    """
    termination = Termination()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield termination
        return
    signal.signal(signal.SIGTERM, termination.interrupt)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
