"""ProRes 4444 with alpha, a video of each object."""

from __future__ import annotations

from pathlib import Path

from vostrack.masks.video_masks import VideoMasks
from vostrack.runs.editors.videos import write_videos
from vostrack.video.alpha_video import PRORES

__all__ = ["write", "write_premultiplied"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write the videos with straight alpha into the folder ``output``; see ``write_videos``."""
    return write_videos(masks, output, "prores", PRORES, "straight", ".mov")


def write_premultiplied(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write the same with colours times alpha."""
    return write_videos(masks, output, "prores", PRORES, "premultiplied", ".mov")
