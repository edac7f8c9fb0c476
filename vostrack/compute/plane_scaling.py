"""Scaling of maps with few channels: OpenCV takes a fraction of torch's time on a CPU.

torch computes the same where gradients are wanted, and on other devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["averaged", "scaled"]


def scaled(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Scale maps (B, C, H, W) linearly to ``size`` = h and w, without averaging: (B, C, h, w)."""
    height, width = size
    if not _can_use_opencv(maps):
        return F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    return _plane_by_plane(maps, height, width, cv2.INTER_LINEAR)


def averaged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Return the mean of each of ``size`` = h and w cells of maps (B, C, H, W): (B, C, h, w)."""
    rows, columns = size
    height, width = maps.shape[-2:]
    stride = height // rows
    if (height, width) != (stride * rows, stride * columns):
        return F.interpolate(maps, size=(rows, columns), mode="area")
    if not _can_use_opencv(maps):
        return F.avg_pool2d(maps, stride)  # the same, and twice as fast
    return _plane_by_plane(maps, rows, columns, cv2.INTER_AREA)


def _can_use_opencv(maps: Tensor) -> bool:
    follows = torch.is_grad_enabled() and maps.requires_grad
    return maps.device.type == "cpu" and maps.dtype == torch.float32 and not follows


def _plane_by_plane(maps: Tensor, height: int, width: int, how: int) -> Tensor:
    found = np.empty((*maps.shape[:2], height, width), np.float32)
    for planes, results in zip(maps.detach().numpy(), found, strict=True):
        for plane, result in zip(planes, results, strict=True):
            cv2.resize(plane, (width, height), dst=result, interpolation=how)
    return torch.from_numpy(found)
