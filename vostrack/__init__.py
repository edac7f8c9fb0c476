"""vostrack: a video and the masks of its first frame in, the mask of every object out.

    from vostrack import build_tracker

    tracker = build_tracker("balanced")
    tracker.start(first_frame, first_mask)      # (H, W, 3) uint8 RGB, (H, W) object ids
    labels = tracker.step(next_frame).labels    # (H, W) object ids

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vostrack.build import PRESETS, TrackerOptions, build_tracker
    from vostrack.errors import InputError
    from vostrack.masks import read_first_mask
    from vostrack.tracking.tracker import FrameResult, Tracker, TrackerConfig
    from vostrack.tracking.video import track_video
    from vostrack.video import open_source

__all__ = [
    "PRESETS",
    "FrameResult",
    "InputError",
    "Tracker",
    "TrackerConfig",
    "TrackerOptions",
    "build_tracker",
    "open_source",
    "read_first_mask",
    "track_video",
]

_HOMES = {
    "PRESETS": "vostrack.build",
    "FrameResult": "vostrack.tracking.tracker",
    "InputError": "vostrack.errors",
    "Tracker": "vostrack.tracking.tracker",
    "TrackerConfig": "vostrack.tracking.tracker",
    "TrackerOptions": "vostrack.build",
    "build_tracker": "vostrack.build",
    "open_source": "vostrack.video",
    "read_first_mask": "vostrack.masks",
    "track_video": "vostrack.tracking.video",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vostrack' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
