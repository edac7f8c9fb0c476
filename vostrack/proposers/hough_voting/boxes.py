"""Boxes as the localisation network gives them, and as the voting compares them.

A *transform* is what a pixel at (x, y) says of the box of its instance: the offset to the centre
and the size, ``((cx - x) / u, (cy - y) / u, w / u, h / u)`` (Wu et al. 2016, section 2.1). The
paper regresses plain pixels; the unit u = 100 pixels, about the spread of the four numbers on
PASCAL VOC, keeps the targets near 1. A *box* is x0, y0, x1, y1 in pixels, the end exclusive.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["UNIT", "box_overlap", "cell_centres", "decode_boxes", "encode_boxes"]

UNIT = 100.0
"""Pixels per unit of a transform."""


def cell_centres(height: int, width: int, stride: float) -> Tensor:
    """Return the centres of the cells of a grid, in pixels of the image.

    Args:
        height: rows h of the grid.
        width: columns w of the grid.
        stride: pixels per cell.

    Returns:
        (2, h, w) float32, x and y: ``(column + 0.5) * stride``, ``(row + 0.5) * stride``.
    """
    y = (torch.arange(height) + 0.5) * stride
    x = (torch.arange(width) + 0.5) * stride
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def encode_boxes(boxes: Tensor, centres: Tensor) -> Tensor:
    """Write boxes as transforms of the pixels that belong to them.

    Args:
        boxes: (..., 4, h, w) x0, y0, x1, y1 in pixels.
        centres: (2, h, w) x, y in pixels.

    Returns:
        (..., 4, h, w), in units of ``UNIT`` pixels.
    """
    low, high = boxes[..., :2, :, :], boxes[..., 2:, :, :]
    return torch.cat([(low + high) / 2 - centres, high - low], dim=-3) / UNIT


def decode_boxes(transforms: Tensor, centres: Tensor, *, min_size: float | None = 1.0) -> Tensor:
    """Undo ``encode_boxes``.

    Args:
        transforms: (..., 4, h, w), in units of ``UNIT`` pixels.
        centres: (2, h, w) x, y in pixels.
        min_size: width and height, in pixels, that a box has at least; None leaves them as they
            are, so that a box may end before it begins.

    Returns:
        (..., 4, h, w) x0, y0, x1, y1 in pixels.
    """
    middle = transforms[..., :2, :, :] * UNIT + centres
    size = transforms[..., 2:, :, :] * UNIT
    if min_size is not None:
        size = size.clamp(min=min_size)
    return torch.cat([middle - size / 2, middle + size / 2], dim=-3)


def box_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes, pair by pair; 0 where either is empty.

    Args:
        first: (..., 4, h, w) x0, y0, x1, y1.
        second: the same shape.

    Returns:
        (..., h, w) in [0, 1].
    """
    size = torch.minimum(first[..., 2:, :, :], second[..., 2:, :, :]) - torch.maximum(
        first[..., :2, :, :], second[..., :2, :, :]
    )
    common = size.clamp(min=0).prod(dim=-3)
    one, other = (
        (b[..., 2:, :, :] - b[..., :2, :, :]).clamp(min=0).prod(dim=-3) for b in (first, second)
    )
    return common / (one + other - common).clamp(min=1e-9)
