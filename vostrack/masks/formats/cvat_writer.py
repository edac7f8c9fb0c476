"""Writing CVAT for video 1.1 and CVAT for images 1.1, as CVAT itself writes masks.

CVAT does not track masks. In a file for video, each mask is a track of one frame: of a track with
several masks, CVAT keeps the first one only. The group says which masks are one object.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.files import atomic_path
from vostrack.masks.formats.losses import frame_positions, losses
from vostrack.masks.formats.shapes import cropped
from vostrack.masks.palette import VOID
from vostrack.masks.video_masks import VideoMasks, file_name, present

__all__ = ["write", "write_images"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a track for each mask, which is ``outside`` on the next frame.

    Frames with names of their own are counted from 0, as CVAT counts the images of a task.
    """
    positions, void, tracks = frame_positions(masks.frames), 0, 0
    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_head(masks, positions, "interpolation"))
        for k, frame in enumerate(positions):
            labels = masks.labels(k)
            void += int((labels == VOID).sum())
            for entry, mask in present(masks, labels):
                owner = f'label={quoteattr(entry.category)} source="auto" group_id="{entry.id}"'
                shape = _mask(mask)
                file.write(f'  <track id="{tracks}" {owner}>\n')
                file.write(_tracked(frame, shape, outside=False))
                file.writelines(_tracked(n, shape, outside=True) for n in positions[k + 1 : k + 2])
                file.write("  </track>\n")
                tracks += 1
        file.write("</annotations>\n")
    return losses(masks, names="objects", frame_names=True, void=void)


def write_images(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write an image for each frame, with its name, its size and a mask for each object.

    The frames of a video file are called as CVAT calls them, ``frame_000000``.
    """
    height, width = masks.size
    positions, void = frame_positions(masks.frames), 0
    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_head(masks, positions, "annotation"))
        for k, (frame, number) in enumerate(zip(masks.frames, positions, strict=True)):
            labels = masks.labels(k)
            void += int((labels == VOID).sum())
            own = frame.named or frame.file is not None
            name = quoteattr(file_name(frame) if own else f"frame_{number:06d}")
            size = f'width="{width}" height="{height}"'
            file.write(f'  <image id="{number}" name={name} {size}>\n')
            for entry, mask in present(masks, labels):
                owner = f'label={quoteattr(entry.category)} source="auto" occluded="0"'
                place = f'z_order="0" group_id="{entry.id}"'
                file.write(f"    <mask {owner} {_mask(mask)} {place}></mask>\n")
            file.write("  </image>\n")
        file.write("</annotations>\n")
    return losses(masks, names="objects", void=void)


def _head(masks: VideoMasks, positions: list[int], mode: str) -> Iterator[str]:
    height, width = masks.size
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield "  <meta>\n    <task>\n"
    yield f"      <name>{escape(masks.video)}</name>\n      <size>{max(positions) + 1}</size>\n"
    yield f"      <mode>{mode}</mode>\n      <start_frame>0</start_frame>\n"
    yield f"      <stop_frame>{max(positions)}</stop_frame>\n      <labels>\n"
    for name in masks.categories:
        yield f"        <label><name>{escape(name)}</name><attributes></attributes></label>\n"
    yield "      </labels>\n"
    yield f"      <original_size><width>{width}</width><height>{height}</height></original_size>\n"
    yield f"      <source>{escape(masks.video)}</source>\n    </task>\n  </meta>\n"


def _mask(mask: BoolArray) -> str:
    """Return the attributes of a mask: run lengths in its box, row by row, background first."""
    box, left, top = cropped(mask)
    values = box.ravel()
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    runs = np.diff(np.concatenate(([0], edges, [values.size]))).tolist()
    if values[0]:
        runs.insert(0, 0)
    height, width = box.shape
    text = ", ".join(map(str, runs))
    return f'rle="{text}" left="{left}" top="{top}" width="{width}" height="{height}"'


def _tracked(frame: int, shape: str, *, outside: bool) -> str:
    state = f'outside="{int(outside)}" occluded="0" keyframe="1"'
    return f'    <mask frame="{frame}" {state} {shape} z_order="0"></mask>\n'
