"""Writing CVAT for video 1.1."""

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
from vostrack.masks.video_masks import VideoMasks, present

__all__ = ["write"]


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write a track for each object, with a mask on each frame, ``outside`` where it is gone.

    Frames with names of their own are counted from 0, as CVAT counts the images of a task.
    """
    tracks: dict[int, list[str]] = {entry.id: [] for entry in masks.objects}
    last: dict[int, str] = {}
    positions, void = frame_positions(masks.frames), 0
    for k, frame in enumerate(positions):
        labels = masks.labels(k)
        void += int((labels == VOID).sum())
        seen = {}
        for entry, mask in present(masks, labels):
            shape = _mask(mask)
            seen[entry.id] = shape
            tracks[entry.id].append(_element(frame, shape, outside=False))
        for number in last.keys() - seen.keys():
            tracks[number].append(_element(frame, last[number], outside=True))
        last = seen
    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_head(masks, positions))
        for entry in masks.objects:
            label = quoteattr(entry.category)
            file.write(f'  <track id="{entry.id}" label={label} source="auto">\n')
            file.writelines(tracks[entry.id])
            file.write("  </track>\n")
        file.write("</annotations>\n")
    return losses(masks, names="objects", frame_names=True, void=void)


def _head(masks: VideoMasks, positions: list[int]) -> Iterator[str]:
    height, width = masks.size
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield "  <meta>\n    <task>\n"
    yield f"      <name>{escape(masks.video)}</name>\n      <size>{max(positions) + 1}</size>\n"
    yield "      <mode>interpolation</mode>\n      <start_frame>0</start_frame>\n"
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


def _element(frame: int, shape: str, *, outside: bool) -> str:
    state = f'outside="{int(outside)}" occluded="0" keyframe="1"'
    return f'    <mask frame="{frame}" {state} {shape} z_order="0"></mask>\n'
