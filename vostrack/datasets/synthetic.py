"""Synthetic clips with exact masks: textured objects that move, deform and hide one another.

Drawing and rendering are apart: ``draw_scene`` turns a ``SyntheticScene`` and its seed into plain
numbers, a ``DrawnScene``; ``SceneRenderer`` turns those into frames, any of them in any order. The
same numbers give the same bytes on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from vostrack.arrays import DoubleArray, FloatArray, UInt8Array
from vostrack.datasets.synthetic_scene import (
    DrawnObject,
    DrawnScene,
    SyntheticScene,
    Texture,
    draw_scene,
)

__all__ = [
    "DrawnObject",
    "DrawnScene",
    "SceneRenderer",
    "SyntheticScene",
    "Texture",
    "draw_scene",
    "paint_texture",
    "render_clip",
]


_SUPERSAMPLING = 4
_OUTLINE_POINTS = 96
_TEXTURE_SIZE = 256
# Half the side of the square that an object's texture covers, in radii of the object: beyond
# the farthest point of any outline.
_TEXTURE_REACH = 1.8
# Share of the frame's longer side that the background reaches over each border.
_MARGIN = 0.15
_SUBPIXEL_BITS = 4


class SceneRenderer:
    """Renders the frames of a drawn scene.

    Every pixel is a mixture of what covers it, in exact shares of its area (on a grid of 4 x 4
    samples); its label is the one with the largest share.

    Args:
        scene: the numbers.
    """

    def __init__(self, scene: DrawnScene) -> None:
        self._scene = scene
        self._textures = [paint_texture(o.texture, _TEXTURE_SIZE) for o in scene.objects]
        self._background = _paint_background(scene)

    def __len__(self) -> int:
        """Return T."""
        return self._scene.frames

    def __iter__(self) -> Iterator[tuple[UInt8Array, UInt8Array]]:
        """Render all frames in order."""
        return (self.render(index) for index in range(len(self)))

    def render(self, index: int) -> tuple[UInt8Array, UInt8Array]:
        """Render one frame.

        Args:
            index: 0..T-1.

        Returns:
            The frame (H, W, 3) uint8 RGB and its labels (H, W) uint8, 0 background, the objects
            from 1 on; nothing is void.
        """
        scene = self._scene
        time = 2 * index / max(scene.frames - 1, 1) - 1
        shares = self._shares(time)
        mixture = shares[0][..., None] * self._warp_background(time)
        for k, drawn in enumerate(scene.objects):
            rows, columns = _extent(shares[k + 1])
            if rows.start == rows.stop:
                continue
            pose = _pose(drawn, time, scene.size)
            surface = _warp_surface(self._textures[k], pose, drawn.radius, rows, columns)
            mixture[rows, columns] += shares[k + 1][rows, columns, None] * surface
        amplitude, cycles, phase = scene.light
        mixture *= (1 + amplitude * math.sin(math.pi * cycles * time + phase)) / 255
        if scene.noise:
            rng = np.random.default_rng([scene.noise_seed, index])
            grain = rng.standard_normal(mixture.shape, dtype=np.float32)
            mixture += np.float32(scene.noise) * grain
        frame = np.rint(mixture).clip(0, 255).astype(np.uint8)
        return frame, np.stack(shares).argmax(axis=0).astype(np.uint8)

    def _shares(self, time: float) -> list[FloatArray]:
        """Measure how much of each pixel the background and each object cover, 0..255."""
        height, width = self._scene.size
        canvas = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), dtype=np.uint8)
        for number, drawn in enumerate(self._scene.objects, start=1):
            points = (_outline(drawn, time, self._scene.size) + 0.5) * _SUPERSAMPLING - 0.5
            fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], number, shift=_SUBPIXEL_BITS)
        shares = []
        for number in range(len(self._scene.objects) + 1):
            covered = np.equal(canvas, number).view(np.uint8) * np.uint8(255)
            share = cv2.resize(covered, (width, height), interpolation=cv2.INTER_AREA)
            shares.append(share.astype(np.float32))
        return shares

    def _warp_background(self, time: float) -> FloatArray:
        height, width = self._scene.size
        tall, wide = self._background.shape[:2]
        x, y, turn = (half * time for half in self._scene.drift)
        centre = (wide / 2, tall / 2)
        matrix = np.array(
            cv2.getRotationMatrix2D(centre, math.degrees(turn), 1.0), dtype=np.float64
        )
        matrix[:, 2] += (width - wide) / 2 + x, (height - tall) / 2 + y
        return _warp(self._background, matrix, (width, height))


def render_clip(scene: SyntheticScene | DrawnScene) -> tuple[UInt8Array, UInt8Array]:
    """Render a whole clip.

    Args:
        scene: what kind of clip to draw, or one that was drawn.

    Returns:
        Frames (T, H, W, 3) uint8 RGB, and labels (T, H, W) uint8.
    """
    drawn = draw_scene(scene) if isinstance(scene, SyntheticScene) else scene
    frames, labels = zip(*SceneRenderer(drawn), strict=True)
    return np.stack(frames), np.stack(labels)


def paint_texture(texture: Texture, side: int) -> UInt8Array:
    """Paint a texture.

    Args:
        texture: its numbers.
        side: width and height in pixels.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    rng = np.random.default_rng(texture.seed)
    first, second = (np.array(colour, dtype=np.float32) for colour in texture.colours)
    pattern: FloatArray
    if texture.kind == "flat":
        pattern = np.zeros((side, side), dtype=np.float32)
    elif texture.kind == "stripes":
        pattern = _stripes(texture, rng, side)
    elif texture.kind == "spots":
        pattern = _spots(texture, rng, side)
    else:
        coarse, fine = _noise(rng, texture.cells, side), _noise(rng, 3 * texture.cells, side)
        pattern = np.float32(1.6) * (0.7 * coarse + 0.3 * fine) - np.float32(0.3)
    painted = first + (second - first) * pattern.clip(0, 1)[..., None]
    return np.asarray(np.rint(painted).clip(0, 255), dtype=np.uint8)


def _noise(rng: np.random.Generator, cells: float, side: int) -> FloatArray:
    """Make smooth noise in about [0, 1] with ``cells`` random values across."""
    grid = rng.random((max(round(cells), 2),) * 2, dtype=np.float32)
    return np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _stripes(texture: Texture, rng: np.random.Generator, side: int) -> FloatArray:
    axis = np.linspace(0, 1, side, dtype=np.float32)
    along = axis * math.cos(texture.angle) + axis[:, None] * math.sin(texture.angle)
    bent = texture.cells * along + 0.8 * _noise(rng, 4, side)
    wave = 0.5 + 0.8 * np.sin(2 * math.pi * bent) + 0.3 * (_noise(rng, 24, side) - 0.5)
    return np.asarray(wave, dtype=np.float32)


def _spots(texture: Texture, rng: np.random.Generator, side: int) -> FloatArray:
    pattern = 0.3 * _noise(rng, texture.cells, side)
    cell = side / texture.cells
    for _ in range(round(texture.cells**2 * 0.5)):
        x, y = rng.uniform(0, side, 2)
        axes = rng.uniform(0.15, 0.5, 2) * cell
        box = ((float(x), float(y)), (float(axes[0]) * 2, float(axes[1]) * 2), 57 * texture.angle)
        cv2.ellipse(pattern, box, float(rng.uniform(0.5, 1.0)), thickness=-1)
    return np.asarray(cv2.GaussianBlur(pattern, (0, 0), 1.0), dtype=np.float32)


def _paint_background(scene: DrawnScene) -> UInt8Array:
    """Paint a sheet that reaches beyond the frame on all sides."""
    height, width = scene.size
    side = round(max(height, width) * (1 + 2 * _MARGIN))
    far, near = (paint_texture(texture, side) for texture in scene.background)
    return np.asarray(cv2.addWeighted(far, 0.55, near, 0.45, 0), dtype=np.uint8)


def _pose(drawn: DrawnObject, time: float, size: tuple[int, int]) -> DoubleArray:
    """Return the matrix (2, 3) from the object's own coordinates to pixels."""
    angle = drawn.spin[0] + drawn.spin[1] * time
    amplitude, cycles, phase = drawn.stretch
    swell = amplitude * math.sin(math.pi * cycles * time + phase)
    squeeze = 0.5 * amplitude * math.cos(math.pi * cycles * time + 2 * phase)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    scale = np.diag([1 + swell + squeeze, 1 + swell - squeeze])
    own = time - drawn.delay
    way = np.array(drawn.travel)
    side = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-9)
    place = (np.array(size[::-1]) - 1) / 2 + own * way + drawn.bow * math.sin(math.pi * own) * side
    place += (1 - own**2) * np.array(drawn.aside)
    return np.column_stack([turn @ scale, place])


def _outline(drawn: DrawnObject, time: float, size: tuple[int, int]) -> DoubleArray:
    """Return the outline as points (P, 2), x and y in pixels."""
    angles = np.linspace(0, 2 * math.pi, _OUTLINE_POINTS, endpoint=False)
    amplitude, cycles, phase = drawn.wobble
    radius = np.ones_like(angles)
    for order, (bump, start) in enumerate(drawn.harmonics, start=2):
        swing = amplitude * math.sin(math.pi * cycles * time + phase + order) / order
        radius += (bump + swing) * np.cos(order * angles + start)
    own = drawn.radius * radius * np.stack([np.cos(angles), np.sin(angles)])
    pose = _pose(drawn, time, size)
    return np.asarray((pose[:, :2] @ own).T + pose[:, 2])


def _extent(share: FloatArray) -> tuple[slice, slice]:
    """Return the rows and columns that an object touches."""
    bounds = []
    for axis in (1, 0):
        touched = np.flatnonzero(share.any(axis=axis))
        bounds.append(slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 0))
    return bounds[0], bounds[1]


def _warp_surface(
    texture: UInt8Array, pose: DoubleArray, radius: float, rows: slice, columns: slice
) -> FloatArray:
    """Lay an object's texture on the frame's part that it touches; the texture moves with it."""
    step = 2 * _TEXTURE_REACH * radius / len(texture)
    linear = pose[:, :2] * step
    centre = (len(texture) - 1) / 2
    offset = pose[:, 2] - linear @ np.array([centre, centre]) - (columns.start, rows.start)
    extent = (columns.stop - columns.start, rows.stop - rows.start)
    return _warp(texture, np.column_stack([linear, offset]), extent)


def _warp(image: UInt8Array, matrix: DoubleArray, size: tuple[int, int]) -> FloatArray:
    warped = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, dtype=np.float32)
