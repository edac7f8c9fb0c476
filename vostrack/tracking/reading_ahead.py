"""Reading the next frames while the present one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from vostrack.video import Frame

__all__ = ["reading_ahead"]

# Frames that are read, or being read, beside the one that is worked on.
_AHEAD = 2


def reading_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield the same frames; a thread reads the next ones meanwhile.

    What reading raises is raised here, at the place of the frame that could not be read. When this
    iterator is closed, at most the frames that are being read are waited for.

    Args:
        frames: used by the thread alone until this iterator ends, and closed then.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="vostrack-reader")
    try:
        pending = deque(thread.submit(next, frames, None) for _ in range(_AHEAD))
        while (frame := pending.popleft().result()) is not None:
            pending.append(thread.submit(next, frames, None))
            yield frame
    finally:
        thread.shutdown(cancel_futures=True)
        close = getattr(frames, "close", None)
        if close is not None:
            close()
