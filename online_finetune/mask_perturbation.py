"""Perturbing true masks, to imitate the errors of a tracker in training."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.arrays import AnyArray, UInt8Array

__all__ = ["perturb_mask"]

# Radius of the largest dilation or erosion, in pixels at 480 rows.
_RADIUS = 8


def perturb_mask(mask: Tensor, generator: Generator) -> Tensor:
    """Dilate or erode a mask, warp it slightly, and sometimes remove or add a disk.

    Args:
        mask: (H, W), 0 or 1.
        generator: a CPU generator, the only source of randomness.

    Returns:
        (H, W) float32, 0 or 1. An empty mask stays empty.
    """
    array: AnyArray = _as_bytes(mask)
    u = torch.rand(6, generator=generator).tolist()
    n = torch.randn(6, generator=generator).tolist()
    height, width = array.shape
    if not cv2.countNonZero(array):
        return torch.zeros(height, width)
    side = 2 * (1 + int(_RADIUS * u[0])) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    if u[1] < 0.6:
        array = _grown(array, kernel, shrink=u[1] >= 0.3)
    matrix = np.array(
        [
            [1 + 0.04 * n[0], 0.03 * n[1], 0.0],
            [0.03 * n[2], 1 + 0.04 * n[3], 0.0],
        ]
    )
    rows, columns = _filled(array)
    if len(rows):
        centre = np.array([columns.mean(), rows.mean()])
        extent = max(np.ptp(columns), np.ptp(rows)) + 1
        shift = 0.05 * extent * np.array(n[4:6])
        matrix[:, 2] = centre + shift - matrix[:, :2] @ centre
        array = cv2.warpAffine(array, matrix, (width, height), flags=cv2.INTER_NEAREST)
        if u[2] < 0.3:
            index = int(u[3] * len(rows))
            value = 0 if u[4] < 0.6 else 1
            radius = int(0.25 * extent) + 2
            cv2.circle(array, (int(columns[index]), int(rows[index])), radius, value, -1)
    return torch.from_numpy(array.astype(np.float32))


def _as_bytes(mask: Tensor) -> UInt8Array:
    """Return a mask (H, W), 0 or 1, as bytes, which are not to be overwritten."""
    if mask.dtype == torch.uint8:
        return mask.cpu().numpy()
    return (mask > 0.5).view(torch.uint8).cpu().numpy()


def _grown(array: AnyArray, kernel: AnyArray, *, shrink: bool) -> AnyArray:
    """Dilate or erode a mask (H, W) that has pixels, in the box that they can reach."""
    height, width = array.shape
    margin = len(kernel) // 2
    left, top, across, down = cv2.boundingRect(array)
    x, y = max(0, left - margin), max(0, top - margin)
    right, bottom = min(width, left + across + margin), min(height, top + down + margin)
    grown = np.zeros_like(array)
    part = array[y:bottom, x:right]
    grown[y:bottom, x:right] = (cv2.erode if shrink else cv2.dilate)(part, kernel)
    return grown


def _filled(array: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return the rows and columns of all pixels of a mask (H, W), as ``np.nonzero`` does."""
    left, top, across, down = cv2.boundingRect(array)
    rows, columns = np.nonzero(array[top : top + down, left : left + across])
    return rows + top, columns + left
