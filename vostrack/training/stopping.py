"""Ctrl-C and SIGTERM in a training: the step under way is finished, and a checkpoint is written."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["StopRequest"]

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody has asked the training to stop, while the context lasts.

    The second signal does what it would have done without this: Ctrl-C stops at once.

    Args:
        enabled: whether signals are noted at all. They can be in the main thread only. Of several
            processes each would stop in a step of its own, so there they are not.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._enabled = enabled and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> StopRequest:
        """Note signals, but for those that are ignored."""
        if self._enabled:
            for one in _SIGNALS:
                before = signal.getsignal(one)
                # None: a handler that Python does not know, and could not put back.
                if before not in (signal.SIG_IGN, None):
                    self._before[one] = before
                    signal.signal(one, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do with signals as before."""
        self._put_back()

    def raise_again(self, step: int, steps: int) -> None:
        """Do now what the signal would have done at first; call it after the context.

        Raises:
            KeyboardInterrupt: for Ctrl-C, and wherever SIGTERM is taken for it; it says what was
                done.
        """
        if self.asked is None:
            return
        try:
            signal.raise_signal(self.asked)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                f"stopped after step {step} of {steps}, with a checkpoint: give the same command "
                "to go on"
            ) from stop

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number)
        self._put_back()
        _log.warning("stopping after the step under way; once more stops at once")

    def _put_back(self) -> None:
        while self._before:
            one, handler = self._before.popitem()
            signal.signal(one, handler)
