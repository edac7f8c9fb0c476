"""The server of the page with a tracker and clicks that need no network: it starts in a second.

python light_server.py FOLDER [VIDEO] prints the address and serves until its input ends, which it
does with the process that started it.
"""

from __future__ import annotations

import os
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


def end_with_input() -> None:
    """End this process when its input ends."""
    sys.stdin.read()
    os._exit(0)


def main(folder: str, video: str | None = None) -> None:
    """Serve."""
    threading.Thread(target=end_with_input, daemon=True).start()
    parts = Parts(SlowShiftingTracker, Discs, propose)
    desk = Desk(
        lambda project, news: StudioSession(project, parts, news), Places([Path(folder)]), 4_000_000
    )
    if video is not None:
        desk.open(video)
    serve_desk(desk, "127.0.0.1", 0, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
