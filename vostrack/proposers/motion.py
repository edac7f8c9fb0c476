"""How much each pixel moves against the background, from dense optical flow."""

from __future__ import annotations

import cv2
import numpy as np

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.compute.optical_flow import flow_between

__all__ = ["dense_flow", "motion_contrast", "warped_back"]

# Pixels between the points that the background's motion is fitted to.
_GRID = 8
# A point belongs to the background if its flow is this close to the fitted motion, pixels.
_TOLERANCE = 1.0
# Flow is never exact: this much residual counts for nothing even in a still background, pixels.
_NOISE = 0.5


def dense_flow(first: UInt8Array, second: UInt8Array) -> FloatArray:
    """Compute the optical flow between two frames; see ``flow_between``.

    Args:
        first: (H, W, 3) uint8 RGB.
        second: (H, W, 3) uint8 RGB.

    Returns:
        (H, W, 2) float32, x and y: pixel p of the first frame is at p + flow(p) in the second.
    """
    grays = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)])
    return flow_between(grays[0], grays[1])


def motion_contrast(flow: FloatArray) -> FloatArray:
    """Tell the pixels that do not move with the background.

    The background's motion is a homography, fitted by RANSAC: it is the motion that most of the
    frame shares.

    Args:
        flow: (H, W, 2) from ``dense_flow``, at least 9 x 9 pixels.

    Returns:
        (H, W) float32 in [0, 1]: 0 moves with the background, 1 certainly does not.
    """
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[_GRID // 2 : height : _GRID, _GRID // 2 : width : _GRID]
    points = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    moved = points + flow[rows, columns].reshape(-1, 2)
    homography = None
    if len(points) >= 4:  # the fewest that fix a homography
        cv2.setRNGSeed(0)
        homography, _ = cv2.findHomography(points, moved, cv2.RANSAC, _TOLERANCE)
    expected: FloatArray = np.zeros_like(flow)
    if homography is not None:
        grid = _pixel_grid(height, width)
        moved_grid = cv2.perspectiveTransform(grid.reshape(-1, 1, 2), homography)
        expected = np.asarray(moved_grid, np.float32).reshape(flow.shape) - grid
    residual = np.linalg.norm(flow - expected, axis=2)
    scale = _NOISE + 2 * float(np.median(residual))
    contrast: FloatArray = (1 - np.exp(-0.5 * (residual / scale) ** 2)).astype(np.float32)
    return contrast


def warped_back(values: FloatArray, flow: FloatArray) -> FloatArray:
    """Bring a map of the second frame to the pixels of the first.

    Args:
        values: (H, W) float32, of the second frame.
        flow: (H, W, 2), from the first frame to the second.

    Returns:
        (H, W) float32; 0 where the flow leads out of the frame.
    """
    places = _pixel_grid(*values.shape) + flow
    warped = cv2.remap(values, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    return np.asarray(warped, np.float32)


def _pixel_grid(height: int, width: int) -> FloatArray:
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)
