"""The server of the page with a tracker and clicks that need no network: it starts in a second.

python light_server.py VIDEO PROJECT prints the address and serves until it is ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.studio.small_project import ShiftingTracker
from vostrack.arrays import BoolArray, UInt8Array
from vostrack.interactive import Box, Click
from vostrack.studio.frames import video_facts
from vostrack.studio.project import Project
from vostrack.studio.serve import serve_session
from vostrack.studio.session import StudioSession
from vostrack.tracking.frame_result import FrameResult

REACH = 40
"""Radius of the disc that a click gives, pixels."""


class SlowShiftingTracker(ShiftingTracker):
    """Takes a moment for each frame, so that a page can be seen while it tracks."""

    def step(self, frame: UInt8Array) -> FrameResult:
        """Wait, then step."""
        time.sleep(0.05)
        return super().step(frame)


class Discs:
    """Answers clicks with discs around those inside, and a box with the box."""

    def __init__(self, frame: UInt8Array | None = None) -> None:
        self._size = (0, 0) if frame is None else frame.shape[:2]

    def open(self, frame: UInt8Array) -> Discs:
        """Take a frame."""
        return Discs(frame)

    def segment(self, clicks: Sequence[Click], box: Box | None = None) -> BoolArray:
        """Return the discs, without a smaller one around each click outside."""
        rows, columns = np.mgrid[: self._size[0], : self._size[1]]
        mask = np.zeros(self._size, np.bool_)
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2]] = True
        for click in clicks:
            near = np.hypot(columns - click.x, rows - click.y)
            if click.inside:
                mask |= near <= REACH
            else:
                mask &= near > REACH / 2
        return mask


def main(video: str, folder: str) -> None:
    """Serve."""
    project = Project(Path(folder), video_facts(video))
    session = StudioSession(project, SlowShiftingTracker, Discs)
    serve_session(session, "127.0.0.1", 0, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
