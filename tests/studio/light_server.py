"""Servers of the page with a tracker and clicks that need no network.

For each line of its input, a JSON list of a port, a folder and perhaps a video, this process starts
a server in a copy of itself, which takes a moment where a new process takes seconds to import
everything. The server prints its process and its address. All end when the input ends, which it
does with the process that started this one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tests.studio.small_project import ShiftingTracker
from vostrack.arrays import BoolArray, UInt8Array
from vostrack.interactive import Box, Click
from vostrack.masks.validation import FirstMask
from vostrack.studio.desk import Desk
from vostrack.studio.places import Places
from vostrack.studio.serve import serve_desk
from vostrack.studio.session import Parts, StudioSession
from vostrack.tracking.frame_result import FrameResult

REACH = 40
"""Radius of the disc that a click gives, pixels."""

STEP_SECONDS = 0.1
"""What a frame takes, so that a page can be seen while it tracks."""


class SlowShiftingTracker(ShiftingTracker):
    """Takes a moment for each frame."""

    def step(self, frame: UInt8Array) -> FrameResult:
        """Wait, then step."""
        time.sleep(STEP_SECONDS)
        return super().step(frame)


class Discs:
    """Answers clicks with discs around those inside, and a box with the box."""

    def __init__(self, frame: UInt8Array | None = None) -> None:
        self._size = (0, 0) if frame is None else frame.shape[:2]

    def open(self, frame: UInt8Array) -> Discs:
        """Take a frame."""
        return Discs(frame)

    def segment(
        self, clicks: Sequence[Click], box: Box | None = None, *, start: BoolArray | None = None
    ) -> BoolArray:
        """Return the start and the discs, without a smaller one around each click outside."""
        rows, columns = np.mgrid[: self._size[0], : self._size[1]]
        mask = np.zeros(self._size, np.bool_) if start is None else start.copy()
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = True
        for click in clicks:
            near = np.hypot(columns - click.x, rows - click.y)
            if click.inside:
                mask |= near <= REACH
            else:
                mask &= near > REACH / 2
        return mask


def propose(frames: Iterable[UInt8Array]) -> FirstMask:
    """Propose a box on the left and one on the right."""
    height, width = next(iter(frames)).shape[:2]
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 8 : width // 3] = 1
    labels[height // 4 : height // 2, 2 * width // 3 : 7 * width // 8] = 2
    return FirstMask(labels, (1, 2), ("one", "two"))


def end_with(first: int) -> None:
    """End this process when the first one, which holds the other end of a pipe, has ended."""
    os.read(first, 1)
    os._exit(0)


def serve(port: int, folder: str, video: str | None = None) -> None:
    """Serve; 0 is a free port."""
    parts = Parts(SlowShiftingTracker, Discs, propose)
    desk = Desk(
        lambda project, news: StudioSession(project, parts, news), Places([Path(folder)]), 4_000_000
    )
    if video is not None:
        desk.open(video)
    serve_desk(desk, "127.0.0.1", port, lambda address: print(os.getpid(), address, flush=True))


def main() -> None:
    """Start a server for each line."""
    here, held = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for servers that were killed
    for line in sys.stdin:
        if os.fork() == 0:
            os.close(held)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            threading.Thread(target=end_with, args=(here,), daemon=True).start()
            serve(*json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    main()
