"""VP9 with straight alpha in WebM, a video of each object."""

from __future__ import annotations

from pathlib import Path

from vostrack.masks.video_masks import VideoMasks
from vostrack.runs.editors.videos import write_videos
from vostrack.video.alpha_video import WEBM

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write the videos into the folder ``output``; see ``write_videos``."""
    return write_videos(masks, output, "webm", WEBM, "straight", ".webm")
