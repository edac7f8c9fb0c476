"""Where objects are: their boxes and areas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import FloatArray
from vostrack.online_finetune.target.window import Box

__all__ = ["Place", "find_places"]


@dataclass(frozen=True)
class Place:
    """Position of an object.

    Attributes:
        box: bounding box; None if it has no pixel.
        area: pixels.
    """

    box: Box | None
    area: int


def find_places(masks: Tensor) -> tuple[Place, ...]:
    """Find the objects of masks (N, h, w) in [0, 1], where the mask is above one half.

    On a GPU all of it is computed there and copied from there once, whatever the number of objects.
    """
    if masks.device.type == "cpu":
        return tuple(_place(mask) for mask in masks.detach().float().numpy())
    height = masks.shape[1]
    # Bytes are reduced ten times faster than truth values.
    inside = (masks > 0.5).view(torch.uint8)
    areas = inside.sum((1, 2), dtype=torch.int32)[:, None]
    packed = torch.cat([areas, inside.amax(2).int(), inside.amax(1).int()], dim=1).cpu().numpy()
    places = []
    for area, sides in zip(packed[:, 0], packed[:, 1:], strict=True):
        rows, columns = np.flatnonzero(sides[:height]), np.flatnonzero(sides[height:])
        box = None
        if len(rows):
            box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        places.append(Place(box, int(area)))
    return tuple(places)


def _place(mask: FloatArray) -> Place:
    """Return the place of one object in (h, w); OpenCV takes a fifth of torch's time."""
    inside = (mask > 0.5).view(np.uint8)
    left, top, width, height = cv2.boundingRect(inside)
    box = (left, top, left + width, top + height) if width else None
    return Place(box, cv2.countNonZero(inside))
