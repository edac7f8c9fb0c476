"""What the displacement network saw and found: mask, field, centres, boundary, instances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.masks.palette import VOID, davis_palette
from vostrack.proposers.output import proposal_label_map
from vostrack.proposers.visualization import enlarge, tile_panels, write_png
from vostrack.protocols import InstanceProposals

if TYPE_CHECKING:
    from vostrack.proposers.displacement.segmentation import Segmentation
    from vostrack.proposers.displacement.trace import DisplacementTrace

__all__ = ["draw_instances", "field_colours", "write_instances"]


def field_colours(field: FloatArray) -> UInt8Array:
    """Colour a field: hue for the direction, brightness for the length.

    Args:
        field: (2, h, w) displacement (dy, dx), in cells.

    Returns:
        (h, w, 3) uint8 RGB; black where the displacement is zero.
    """
    length = np.hypot(field[0], field[1])
    angle = np.arctan2(field[0], field[1])
    hue = np.rint((angle / np.pi + 1) * 90) % 180
    bright = 255 * length / max(float(length.max(initial=0)), 1e-6)
    colours = np.stack([hue, np.full_like(hue, 255), bright], axis=-1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_HSV2RGB), dtype=np.uint8)


def draw_instances(
    frame: UInt8Array,
    segmentation: Segmentation,
    proposals: InstanceProposals,
    trace: DisplacementTrace,
) -> UInt8Array:
    """Draw six panels: frame, semantic mask, field; centres (white), boundary, instances.

    Returns:
        (2 H, 3 W, 3) uint8 RGB.
    """
    size = (frame.shape[0], frame.shape[1])
    palette = davis_palette()
    numbers = (trace.instances.numbers % VOID).astype(np.uint8)
    inside = trace.instances.numbers > 0
    field = np.where(inside, trace.field.cpu().numpy(), 0).astype(np.float32)
    centres = palette[numbers] // 2
    centres[trace.instances.centres] = 255
    boundary = np.rint(trace.boundary.cpu().numpy() * 255).astype(np.uint8)
    panels = [
        frame,
        palette[segmentation.labels.cpu().numpy().astype(np.uint8)],
        enlarge(field_colours(field), size),
        enlarge(centres, size),
        enlarge(np.repeat(boundary[..., None], 3, axis=2), size),
        palette[proposal_label_map(proposals)],
    ]
    return tile_panels(panels, columns=3)


def write_instances(
    path: Path,
    frame: UInt8Array,
    segmentation: Segmentation,
    proposals: InstanceProposals,
    trace: DisplacementTrace,
) -> None:
    """Write ``draw_instances`` as a PNG file; missing folders are created."""
    write_png(path, draw_instances(frame, segmentation, proposals, trace))
