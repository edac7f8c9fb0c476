"""Mattes as PNG sequences."""

from __future__ import annotations

from pathlib import Path

from vostrack.masks.palette import write_matte
from vostrack.masks.video_masks import VideoMasks
from vostrack.runs.editors.matted_frames import matted_frames

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write ``ID/NAME.png`` of each object and frame, 8-bit gray.

    Raises:
        InputError: the video cannot be read again.
    """
    with matted_frames(masks, "png-mattes") as frames:
        for frame in frames:
            for entry, alpha in zip(masks.objects, frame.mattes, strict=True):
                write_matte(output / str(entry.id) / f"{frame.name}.png", alpha)
    return ()
