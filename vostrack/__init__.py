"""vostrack: give a video and the masks of its first frame; get the masks of every frame.

    from vostrack import ClipRequest, track_clip

    track_clip(ClipRequest(video="clip.mp4", first_mask=("mask.png",), output=Path("out")))

Frame by frame, with nothing written:

    from vostrack import build_tracker

    tracker = build_tracker("balanced")
    tracker.start(first_frame, first_mask)      # (H, W, 3) uint8 RGB, (H, W) object ids
    labels = tracker.step(next_frame).labels    # (H, W) object ids

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vostrack.compute.waiting import wait_without_spinning

wait_without_spinning()

if TYPE_CHECKING:
    from vostrack.build import build_tracker
    from vostrack.errors import InputError
    from vostrack.eval.dataset import evaluate
    from vostrack.masks import (
        FirstMask,
        VideoMasks,
        export_results,
        read_first_mask,
        read_results,
        write_label_map,
    )
    from vostrack.presets.named import PRESETS
    from vostrack.presets.options import TrackerOptions
    from vostrack.proposers.first_mask import propose_first_mask
    from vostrack.runs.clip import track_clip
    from vostrack.runs.request import ClipRequest, ClipSummary
    from vostrack.tracking.config import TrackerConfig
    from vostrack.tracking.edited_video import EditedVideo
    from vostrack.tracking.tracker import FrameResult, Tracker
    from vostrack.tracking.video import TrackedFrame, track_video
    from vostrack.video import Frame, FrameSource, open_source, write_overlay

__all__ = [
    "PRESETS",
    "ClipRequest",
    "ClipSummary",
    "EditedVideo",
    "FirstMask",
    "Frame",
    "FrameResult",
    "FrameSource",
    "InputError",
    "TrackedFrame",
    "Tracker",
    "TrackerConfig",
    "TrackerOptions",
    "VideoMasks",
    "build_tracker",
    "evaluate",
    "export_results",
    "open_source",
    "propose_first_mask",
    "read_first_mask",
    "read_results",
    "track_clip",
    "track_video",
    "write_label_map",
    "write_overlay",
]

_HOMES = {
    "PRESETS": "vostrack.presets.named",
    "ClipRequest": "vostrack.runs.request",
    "ClipSummary": "vostrack.runs.request",
    "EditedVideo": "vostrack.tracking.edited_video",
    "FirstMask": "vostrack.masks",
    "Frame": "vostrack.video",
    "FrameResult": "vostrack.tracking.tracker",
    "FrameSource": "vostrack.video",
    "InputError": "vostrack.errors",
    "TrackedFrame": "vostrack.tracking.video",
    "Tracker": "vostrack.tracking.tracker",
    "TrackerConfig": "vostrack.tracking.config",
    "TrackerOptions": "vostrack.presets.options",
    "VideoMasks": "vostrack.masks",
    "build_tracker": "vostrack.build",
    "evaluate": "vostrack.eval.dataset",
    "export_results": "vostrack.masks",
    "open_source": "vostrack.video",
    "propose_first_mask": "vostrack.proposers.first_mask",
    "read_first_mask": "vostrack.masks",
    "read_results": "vostrack.masks",
    "track_clip": "vostrack.runs.clip",
    "track_video": "vostrack.tracking.video",
    "write_label_map": "vostrack.masks",
    "write_overlay": "vostrack.video",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vostrack' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
