"""The targets of the two networks, at the resolution of their output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.ndimage import find_objects
from torch import Tensor

from vostrack.masks.palette import VOID

__all__ = ["CellTargets", "cell_labels", "instance_boxes", "instance_targets"]

_NUMBERS = 256


@dataclass(frozen=True)
class CellTargets:
    """What the network is to predict for the cells of one image.

    Attributes:
        ids: (h, w) int64, the instance under the centre of the cell; 0 none, 255 void.
        boxes: (4, h, w) float32, x0, y0, x1, y1 in pixels, of that instance; 0 where there is none.
    """

    ids: Tensor
    boxes: Tensor


def cell_labels(labels: Tensor, stride: int) -> Tensor:
    """Sample labels at the centres of the cells.

    Args:
        labels: (H, W).
        stride: pixels per cell.

    Returns:
        (ceil(H / stride), ceil(W / stride)).
    """
    rows, columns = (
        (torch.arange(-(-size // stride)) * stride + stride // 2).clamp(max=size - 1)
        for size in labels.shape
    )
    return labels[rows[:, None], columns]


def instance_boxes(ids: Tensor) -> Tensor:
    """Return the bounding box of each instance.

    Args:
        ids: (H, W) integers, 0 background, 255 void.

    Returns:
        (256, 4) float32, x0, y0, x1, y1 in pixels, the end exclusive; 0 for ids that do
        not occur, the background and void.
    """
    boxes = torch.zeros(_NUMBERS, 4)
    for number, extent in enumerate(find_objects(ids.numpy().astype("int32")), start=1):
        if extent is not None and number != VOID:
            y, x = extent
            boxes[number] = torch.tensor([x.start, y.start, x.stop, y.stop])
    return boxes


def instance_targets(ids: Tensor, stride: int) -> CellTargets:
    """Make the targets of one image.

    Args:
        ids: (H, W) int64 instance ids, 0 background, 255 void.
        stride: pixels per cell.
    """
    cells = cell_labels(ids, stride)
    return CellTargets(cells, instance_boxes(ids)[cells].permute(2, 0, 1).contiguous())
