"""Boxes of connected components, corrected by a light head."""

from __future__ import annotations

import numpy as np
import torch

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.models.localizer import LocalizerHead, component_boxes
from vostrack.proposers.hough_voting.boxes import (
    box_overlap,
    cell_centres,
    decode_boxes,
    encode_boxes,
)
from vostrack.proposers.hough_voting.grids import WindowGrid
from vostrack.protocols import BackboneFeatures

__all__ = ["DEFAULT_AGREEMENT", "check_agreement", "corrected_boxes"]

DEFAULT_AGREEMENT = 0.6


def check_agreement(agreement: float) -> None:
    """Raise ``InputError`` for an agreement outside of [0, 1]."""
    if not 0 <= agreement <= 1:
        raise InputError(f"agreement: expected a value in [0, 1], got {agreement}")


def corrected_boxes(
    head: LocalizerHead,
    seen: BackboneFeatures,
    frame: tuple[int, int],
    masks: FloatArray,
    rough: FloatArray,
    agreement: float,
) -> FloatArray:
    """Let a head correct the boxes of connected components.

    Args:
        head: runs once for each mask.
        seen: the features of its backbone for a window of the frame.
        frame: rows and columns, pixels.
        masks: (K, h, w) in [0, 1], by cells of the frame.
        rough: (K, 4, h, w) the boxes of ``component_boxes``, pixels of the frame.
        agreement: boxes whose intersection over union with ``rough`` is higher become ``rough``.

    Returns:
        (K, 4, h, w), ``rough`` outside of the window.
    """
    near = _predict(head, seen, frame, masks, rough)
    overlap = box_overlap(torch.from_numpy(near), torch.from_numpy(rough)).numpy()
    agree = (overlap > agreement)[:, None]
    return np.where(agree, rough, near).astype(np.float32)


def _predict(
    head: LocalizerHead,
    seen: BackboneFeatures,
    frame: tuple[int, int],
    masks: FloatArray,
    rough: FloatArray,
) -> FloatArray:
    height, width = frame
    x0, y0, x1, y1 = seen.box
    grid = WindowGrid(
        box=(x0 * width, y0 * height, x1 * width, y1 * height),
        size=seen.size,
        cells=(seen.fine.shape[-2], seen.fine.shape[-1]),
        stride=head.stride,
    )
    device = seen.fine.device
    centres = cell_centres(*grid.cells, head.stride).to(device)
    results = []
    for mask in grid.cut(masks):
        inside = torch.from_numpy(component_boxes(mask, head.stride)).to(device)
        transforms = head(
            seen.fine,
            seen.coarse,
            torch.from_numpy(mask).to(device)[None],
            encode_boxes(inside, centres)[None],
        )
        results.append(decode_boxes(transforms[0], centres).cpu().numpy())
    return grid.spread(np.stack(results), rough)
