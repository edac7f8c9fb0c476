"""Bringing a layer into the frame: placed, turned, scaled and bent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.plan import Pose

__all__ = ["Patch", "bend_field", "pose_matrix", "shrink_pyramid", "warp_layer"]

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

# Bent layers are placed exactly at every eighth pixel, and linearly in between.
_CELL = 8
# Control points along each side of a bent layer, and how far they reach (1 is the layer's edge).
_CONTROLS, _FIELD_REACH = 4, 1.5
_FINE = 24


@dataclass(frozen=True)
class Patch:
    """Part of a frame.

    Attributes:
        pixels: (h, w, 4) uint8 RGBA, colours multiplied by alpha.
        x: column of its left edge, pixels of the frame; may lie outside.
        y: row of its upper edge.
    """

    pixels: UInt8Array
    x: int
    y: int


def shrink_pyramid(pixels: UInt8Array) -> list[UInt8Array]:
    """Halve an image until it is small, so that scaling down does not alias.

    Args:
        pixels: (h, w, 4) uint8, colours multiplied by alpha.
    """
    levels = [pixels]
    while min(levels[-1].shape[:2]) > 16:
        height, width = levels[-1].shape[:2]
        half = ((width + 1) // 2, (height + 1) // 2)
        levels.append(np.asarray(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA)))
    return levels


def pose_matrix(pose: Pose, layer: tuple[int, int], flip: bool) -> FloatArray:
    """Return the matrix that takes pixels of a layer to pixels of the frame.

    Args:
        pose: where the layer's centre goes, its scale and rotation.
        layer: h and w of the layer.
        flip: mirror the layer before all else.

    Returns:
        (3, 3), on columns (x, y, 1); whole numbers are centres of pixels.
    """
    cos, sin = math.cos(pose.angle) * pose.scale, math.sin(pose.angle) * pose.scale
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if flip:
        matrix[:, 0] *= -1
    centre = np.array([(layer[1] - 1) / 2, (layer[0] - 1) / 2])
    matrix[:2, 2] = np.array([pose.x - 0.5, pose.y - 0.5]) - matrix[:2, :2] @ centre
    return matrix


def bend_field(amount: float, seed: int, phase: float) -> Float32Array:
    """Compute one state of a smooth displacement.

    Returns:
        (24, 24, 2) float32 x and y, in half sides of the layer, over -1.5 .. 1.5 of them.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 1, (2, _CONTROLS, _CONTROLS, 2))
    control = amount * (math.sin(phase) * first + math.cos(phase) * second)
    fine = cv2.resize(control.astype(np.float32), (_FINE, _FINE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, dtype=np.float32)


def warp_layer(
    levels: list[UInt8Array],
    matrix: FloatArray,
    field: Float32Array | None,
    size: tuple[int, int],
    margin: int,
) -> Patch | None:
    """Resample a layer where it lies in the frame or within ``margin`` of it.

    Args:
        levels: of ``shrink_pyramid``.
        matrix: (3, 3) from layer to frame.
        field: of ``bend_field``, or None.
        size: H and W of the frame.
        margin: pixels around the frame and around the layer that are computed, too.

    Returns:
        The patch; None where the layer is elsewhere.
    """
    height, width = levels[0].shape[:2]
    slack = 0.0
    if field is not None:
        slack = float(np.abs(field).max()) * max(height, width) / 2
    corners = np.array(
        [[x, y, 1] for x in (-slack, width + slack) for y in (-slack, height + slack)]
    )
    placed = (matrix @ corners.T)[:2]
    low = np.floor(placed.min(axis=1)).astype(int) - margin
    high = np.ceil(placed.max(axis=1)).astype(int) + margin + 1
    low = np.maximum(low, -margin)
    high = np.minimum(high, (size[1] + margin, size[0] + margin))
    if (high <= low).any():
        return None
    x, y = int(low[0]), int(low[1])
    extent = (int(high[0]) - x, int(high[1]) - y)
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    level = min(max(math.floor(0.35 - math.log2(max(scale, 1e-6))), 0), len(levels) - 1)
    source = levels[level]
    # From the frame back to the layer's level; its pixels' centres lie between those of level 0.
    shrink_x, shrink_y = source.shape[1] / width, source.shape[0] / height
    to_level = np.array(
        [[shrink_x, 0, (shrink_x - 1) / 2], [0, shrink_y, (shrink_y - 1) / 2], [0, 0, 1]]
    )
    from_patch = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    if field is None:
        back = (to_level @ np.linalg.inv(matrix) @ from_patch)[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = cv2.warpAffine(source, back, extent, flags=flags)
        return Patch(np.asarray(pixels, dtype=np.uint8), x, y)
    grid = _bent_grid(np.linalg.inv(matrix) @ from_patch, field, (height, width), extent)
    grid[..., 0] = grid[..., 0] * shrink_x + (shrink_x - 1) / 2
    grid[..., 1] = grid[..., 1] * shrink_y + (shrink_y - 1) / 2
    fine = cv2.resize(grid, None, fx=_CELL, fy=_CELL, interpolation=cv2.INTER_LINEAR)
    fine = fine[_CELL : _CELL + extent[1], _CELL : _CELL + extent[0]]
    bent = cv2.remap(source, fine[..., 0], fine[..., 1], cv2.INTER_LINEAR)
    return Patch(np.asarray(bent, dtype=np.uint8), x, y)


def _bent_grid(
    back: FloatArray, field: Float32Array, layer: tuple[int, int], extent: tuple[int, int]
) -> Float32Array:
    """Where in the layer the centres of cells come from, one cell more on every side.

    Returns:
        (rows, columns, 2) float32 x and y, pixels of the layer.
    """
    columns = np.arange(-1, math.ceil(extent[0] / _CELL) + 1) * _CELL + (_CELL - 1) / 2
    rows = np.arange(-1, math.ceil(extent[1] / _CELL) + 1) * _CELL + (_CELL - 1) / 2
    x, y = np.meshgrid(columns, rows)
    height, width = layer
    half = max(height, width) / 2
    source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    per_cell = _FINE / (2 * _FIELD_REACH)
    at_x = ((source_x - (width - 1) / 2) / half + _FIELD_REACH) * per_cell - 0.5
    at_y = ((source_y - (height - 1) / 2) / half + _FIELD_REACH) * per_cell - 0.5
    shift = cv2.remap(
        field,
        at_x.astype(np.float32),
        at_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    grid = np.stack([source_x, source_y], axis=-1) + shift * half
    return np.asarray(grid, dtype=np.float32)
