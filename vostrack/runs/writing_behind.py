"""Writing finished frames while the next ones are tracked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

__all__ = ["WritingBehind"]

# Frames whose results may wait to be written. Each holds its results and the tracker's state.
_WAITING = 3


class WritingBehind:
    """A thread that does one piece of work after the other, in the order in which they came.

    When the block ends, all work that was given is done. What a piece of work raises is raised by
    the next ``add``, or at the end of the block, and the work behind it is dropped.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vostrack-writer")
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def add(self, work: Callable[[], object]) -> None:
        """Leave work to the thread; wait if it has fallen behind.

        Raises:
            Exception: what earlier work raised.
        """
        while self._pending and (len(self._pending) >= _WAITING or self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._do, work))

    def _do(self, work: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> WritingBehind:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all is done; an error of the block itself comes first."""
        try:
            for future in self._pending:
                if kind is None:
                    future.result()
                else:
                    future.exception()
        finally:
            self._thread.shutdown()
