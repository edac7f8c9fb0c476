"""Saying what a format loses of the masks that are written in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vostrack.masks.annotations import shortened
from vostrack.masks.video_masks import MaskFrame, VideoMasks

__all__ = ["frame_positions", "losses"]


def losses(
    masks: VideoMasks,
    *,
    names: str = "",
    times: bool = True,
    frame_names: bool = False,
    void: int = 0,
    others: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return one sentence about everything that is lost; empty if nothing is.

    Args:
        masks: the masks that are written.
        names: ``objects`` if the names of objects are lost where they differ from the class,
            ``all`` if the classes are lost too.
        times: the times of frames are lost.
        frame_names: the names and numbers of frames are lost, and frames are counted.
        void: number of void pixels that become background.
        others: further things.
    """
    lost: list[str] = []
    own = [
        entry.name
        for entry in masks.objects
        if (names == "all" and entry.name != str(entry.id))
        or (names == "objects" and entry.name not in (entry.category, str(entry.id)))
    ]
    if own:
        shown = ", ".join(shortened(name, 40) for name in own[:4])
        lost.append(f"the names of objects ({shown}{', ...' if len(own) > 4 else ''})")
    if frame_names and any(frame.named for frame in masks.frames):
        first = frame_positions(masks.frames)[0]
        lost.append(f"the names of frames ({masks.frames[0].name} is frame {first})")
    if times and any(frame.time is not None for frame in masks.frames):
        lost.append("the times of frames")
    if void:
        lost.append(f"void ({void} pixels, now background)")
    lost += others
    return (f"the format does not keep {'; '.join(lost)}",) if lost else ()


def frame_positions(frames: Sequence[MaskFrame]) -> list[int]:
    """Return the index by which a tool that counts the frames of a video finds each frame.

    It is the number if frames are counted in the video, and the position in it if they have own
    names. Where that is unknown, the video is taken to have these frames only.
    """
    if not any(frame.named for frame in frames):
        return [frame.number for frame in frames]
    known = [frame.position for frame in frames if frame.position is not None]
    ascending = len(known) == len(frames) and all(a < b for a, b in pairwise(known))
    return known if ascending else list(range(len(frames)))
