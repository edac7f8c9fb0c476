"""What the voting saw: the votes, the accumulator and the instances, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.proposers.hough_voting.votes import ClassVotes, accumulate
from vostrack.proposers.visualization import enlarge, instance_colour, tile_panels, write_png
from vostrack.protocols import InstanceProposals

__all__ = ["draw_votes", "write_votes"]

# Every second cell of a row or column: arrows any closer cannot be told apart.
_EVERY = 2


def write_votes(
    path: Path,
    frame: UInt8Array,
    votes: Sequence[ClassVotes],
    proposals: InstanceProposals,
    stride: int,
) -> None:
    """Write ``draw_votes`` as a PNG file; missing folders are created.

    Args:
        path: file to write.
        frame: (H, W, 3) uint8 RGB.
        votes: all votes that were cast.
        proposals: the instances found.
        stride: pixels per cell.
    """
    write_png(path, draw_votes(frame, votes, proposals, stride))


def draw_votes(
    frame: UInt8Array, votes: Sequence[ClassVotes], proposals: InstanceProposals, stride: int
) -> UInt8Array:
    """Draw the three panels.

    Left: an arrow from every second cell to the centre it votes for, in the colour of its cluster,
    gray where it was dropped. Middle: the accumulator of all classes, bright where many meet.
    Right: the instances with their class and confidence. Only first masks (rank 1) are drawn left
    and in the middle.

    Returns:
        (H, 3 W, 3) uint8 RGB.
    """
    first = [v for v in votes if v.rank == 1]
    panels = [_arrows(frame, first, stride), _heat(frame, first, stride), _masks(frame, proposals)]
    return tile_panels(panels, columns=3)


def _arrows(frame: UInt8Array, votes: Sequence[ClassVotes], stride: int) -> UInt8Array:
    canvas = frame // 2
    numbered = 0
    for cast in votes:
        middles = (cast.boxes[:, :2] + cast.boxes[:, 2:]) / 2
        for index in range(len(cast.rows)):
            row, column = int(cast.rows[index]), int(cast.columns[index])
            if row % _EVERY or column % _EVERY:
                continue
            start = (int((column + 0.5) * stride), int((row + 0.5) * stride))
            end = (int(middles[index, 0]), int(middles[index, 1]))
            owner = int(cast.owners[index])
            colour = (128, 128, 128) if owner < 0 else instance_colour(numbered + owner)
            cv2.arrowedLine(canvas, start, end, colour, 1, cv2.LINE_AA, tipLength=0.1)
        for cluster, mode in enumerate(cast.modes):
            x0, y0, x1, y1 = (int(value) for value in cast.boxes[mode])
            cv2.rectangle(canvas, (x0, y0), (x1, y1), instance_colour(numbered + cluster), 1)
        numbered += len(cast.modes)
    return canvas


def _heat(frame: UInt8Array, votes: Sequence[ClassVotes], stride: int) -> UInt8Array:
    height, width = frame.shape[:2]
    shape = (-(-height // stride), -(-width // stride))
    heap = np.zeros(shape, np.float32)
    for cast in votes:
        heap += accumulate(cast, shape, stride)
    # The square root shows small heaps beside large ones.
    levels = np.sqrt(heap / max(float(heap.max()), 1e-6)) * 255
    full = enlarge(levels.astype(np.uint8), (shape[0] * stride, shape[1] * stride))
    full = full[:height, :width]
    coloured = cv2.applyColorMap(full, cv2.COLORMAP_INFERNO)
    return np.asarray(coloured[..., ::-1], np.uint8)


def _masks(frame: UInt8Array, proposals: InstanceProposals) -> UInt8Array:
    canvas = frame.copy()
    for index in reversed(range(len(proposals))):
        mask = proposals.masks[index]
        colour = np.array(instance_colour(index), np.uint8)
        canvas[mask] = canvas[mask] // 2 + colour // 2
    for index in range(len(proposals)):
        x0, y0, x1, y1 = (int(value) for value in proposals.boxes[index])
        text = f"{proposals.labels[index]}: {proposals.scores[index]:.2f}"
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), instance_colour(index), 1)
        cv2.putText(
            canvas, text, (x0 + 3, y0 + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1
        )
    return canvas
