"""The priority of the thread that tracks: people who paint and click come first."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

__all__ = ["give_way"]

_NICENESS = 5


def give_way() -> None:
    """Let the calling thread, and all that it starts, give way to others when the cores are busy.

    Only Linux has a priority for each thread; elsewhere nothing changes.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
