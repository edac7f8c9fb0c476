"""What a tracker knows after a frame, to be saved while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vostrack.tracking.tracker import Tracker

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """What a tracker knows after a frame; what it does later changes nothing here.

    Attributes:
        start: what ``start`` computed.
        running: what changes between frames.
    """

    start: Mapping[str, Any]
    running: Mapping[str, Any]

    @staticmethod
    def of(tracker: Tracker) -> Snapshot:
        """Take a tracker's state. Only label maps are copied: trackers replace what they change."""
        return Snapshot(tracker.start_state(), tracker.state())
