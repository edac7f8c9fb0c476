"""Rendering a plan: pure, the same plan and sources give the same bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.atmosphere import add_noise, apply_light, apply_smoke
from vostrack.datasets.composites.coding import through_h264, through_jpeg
from vostrack.datasets.composites.layer_pixels import colour_statistics, layer_pieces
from vostrack.datasets.composites.plan import Backdrop, CompositePlan, Layer, Shadow, View
from vostrack.datasets.composites.sources import CompositeSources
from vostrack.datasets.composites.warp import (
    Patch,
    bend_field,
    pose_matrix,
    shrink_pyramid,
    warp_layer,
)

__all__ = ["Rendered", "render_plan"]

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

# Room for blur around a patch, and the longest smear of an open shutter, pixels.
_MARGIN = 16
_LONGEST_SMEAR = 25


@dataclass(frozen=True)
class Rendered:
    """A rendered plan.

    Attributes:
        images: (T, H, W, 3) uint8 RGB.
        labels: (T, H, W) uint8; ids as in the plan.
        areas: (T, N) pixels of each inside the frame, hidden ones counted, too.
    """

    images: UInt8Array
    labels: UInt8Array
    areas: NDArray[np.int64]


def render_plan(plan: CompositePlan, sources: CompositeSources) -> Rendered:
    """Compose a clip.

    A pixel belongs to the nearest layer whose alpha is at least 0.5 there; layers without
    an id hide what lies behind them. Shadow, smoke and light change no mask.

    Args:
        plan: what to render.
        sources: the pixels.
    """
    frames, cameras = _backgrounds(plan, sources)
    stats = colour_statistics(frames[0])
    stacks = [
        [shrink_pyramid(piece) for piece in layer_pieces(layer, sources, stats)]
        for layer in plan.layers
    ]
    height, width = plan.size
    labels = np.zeros((plan.frames, height, width), np.uint8)
    areas = np.zeros((plan.frames, max((layer.id for layer in plan.layers), default=0)), np.int64)
    rng = np.random.default_rng(plan.finish.seed)
    for index, frame in enumerate(frames):
        camera = cameras[index] @ np.linalg.inv(cameras[0])
        for layer, stack in zip(plan.layers, stacks, strict=True):
            area = _draw(frame, labels[index], layer, stack, index, camera)
            if layer.id:
                areas[index, layer.id - 1] = area
        frames[index] = _finish(frame, plan, index, rng)
    images = np.stack(frames)
    if plan.finish.h264 is not None:
        images = through_h264(images, plan.finish.h264)
    return Rendered(images, labels, areas)


def _backgrounds(
    plan: CompositePlan, sources: CompositeSources
) -> tuple[list[UInt8Array], list[FloatArray]]:
    """What the camera sees without the layers, and how each frame's view is placed."""
    place, frames, cameras = plan.backdrop, [], []
    for index, view in zip(place.indices, place.views, strict=True):
        image = sources.frame(place.name, index, emptied=place.emptied)
        matrix = view_matrix(view, image.shape[:2], plan.size)
        shown = matrix @ np.diag([-1.0, 1, 1]) if place.flip else matrix.copy()
        if place.flip:
            shown[:2, 2] += matrix[:2, 0] * (image.shape[1] - 1)
        frames.append(_show(image, shown, plan.size, place))
        cameras.append(matrix)
    return frames, cameras


def view_matrix(view: View, image: tuple[int, ...], size: tuple[int, int]) -> FloatArray:
    """Return the (3, 3) matrix from pixels of a background to pixels of the frame."""
    height, width = size
    scale = max(height / image[0], width / image[1]) * view.zoom
    slack_x = (image[1] * scale - width) / 2
    slack_y = (image[0] * scale - height) / 2
    cos, sin = math.cos(view.angle) * scale, math.sin(view.angle) * scale
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    centre = np.array([(image[1] - 1) / 2, (image[0] - 1) / 2])
    goal = np.array([(width - 1) / 2 - view.x * slack_x, (height - 1) / 2 - view.y * slack_y])
    matrix[:2, 2] = goal - matrix[:2, :2] @ centre
    return matrix


def _show(
    image: UInt8Array, matrix: FloatArray, size: tuple[int, int], place: Backdrop
) -> UInt8Array:
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if scale < 0.7:
        small = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        factor_x, factor_y = small[0] / image.shape[1], small[1] / image.shape[0]
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA))
        grow = np.array(
            [
                [1 / factor_x, 0, (1 / factor_x - 1) / 2],
                [0, 1 / factor_y, (1 / factor_y - 1) / 2],
                [0, 0, 1],
            ]
        )
        matrix = matrix @ grow
    shown = cv2.warpAffine(
        image,
        matrix[:2],
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if place.blur:
        shown = cv2.GaussianBlur(shown, (0, 0), place.blur)
    return np.asarray(shown, dtype=np.uint8)


def _draw(
    frame: UInt8Array,
    labels: UInt8Array,
    layer: Layer,
    stack: list[list[UInt8Array]],
    index: int,
    camera: FloatArray,
) -> int:
    """Draw a layer into a frame and its labels, in place; return its area in the frame."""
    patches = [
        patch
        for piece, levels in enumerate(stack)
        if (patch := _place(layer, levels, index, camera, frame.shape[:2], piece)) is not None
    ]
    if layer.shadow is not None:
        for patch in patches:
            _cast_shadow(frame, patch, layer.shadow)
    return sum(_paste(frame, labels, patch, layer.id) for patch in patches)


def _place(
    layer: Layer,
    levels: list[UInt8Array],
    index: int,
    camera: FloatArray,
    size: tuple[int, ...],
    piece: int,
) -> Patch | None:
    pose = layer.poses[index]
    shape = (levels[0].shape[0], levels[0].shape[1])
    if layer.parts is not None:
        apart = layer.parts.distances[index] * max(shape) / 2 * pose.scale
        apart *= 0.5 if piece == 0 else -0.5
        normal = (math.pi - layer.parts.angle if layer.flip else layer.parts.angle) + pose.angle
        spin = layer.parts.spins[index] if piece else 0.0
        pose = replace(
            pose,
            x=pose.x + apart * math.cos(normal),
            y=pose.y + apart * math.sin(normal),
            angle=pose.angle + spin,
        )
    matrix = pose_matrix(pose, shape, layer.flip)
    if layer.anchored:
        matrix = camera @ matrix
    bend = layer.bend
    field = None if bend is None else bend_field(bend.amount, bend.seed, bend.phases[index])
    patch = warp_layer(levels, matrix, field, (size[0], size[1]), _MARGIN)
    if patch is None:
        return None
    pixels = patch.pixels
    if layer.shutter:
        pixels = _smear(pixels, layer, index)
    if layer.feather > 0.2:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), layer.feather), dtype=np.uint8)
    return Patch(pixels, patch.x, patch.y)


def _smear(pixels: UInt8Array, layer: Layer, index: int) -> UInt8Array:
    """Blur a patch along its way from one frame to the next."""
    here, there = (
        layer.poses[index],
        layer.poses[index - 1 if index else min(1, len(layer.poses) - 1)],
    )
    x, y = (here.x - there.x) * layer.shutter, (here.y - there.y) * layer.shutter
    length = math.hypot(x, y)
    if length < 1.5:
        return pixels
    factor = min(1.0, _LONGEST_SMEAR / length) / 2
    side = 2 * math.ceil(length * factor) + 3
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    # Coordinates with four binary places, for a line that is not bound to whole pixels.
    ends = [
        (round((middle + sign * x * factor) * 16), round((middle + sign * y * factor) * 16))
        for sign in (-1, 1)
    ]
    drawn = np.zeros((side, side), np.uint8)
    cv2.line(drawn, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
    kernel += drawn
    kernel /= max(float(kernel.sum()), 1.0)
    return np.asarray(cv2.filter2D(pixels, -1, kernel), dtype=np.uint8)


def _paste(frame: UInt8Array, labels: UInt8Array, patch: Patch, label: int) -> int:
    """Lay a patch over a frame, in place; return how many pixels it covers."""
    cut = _inside(patch, frame.shape[:2])
    if cut is None:
        return 0
    pixels, rows, columns = cut
    alpha = pixels[..., 3]
    place = frame[rows, columns]
    transparent = cv2.bitwise_not(cv2.merge([alpha] * 3))
    cv2.add(cv2.multiply(place, transparent, scale=1 / 255), pixels[..., :3], dst=transparent)
    place[:] = transparent
    covered = alpha >= 128
    labels[rows, columns][covered] = label
    return int(np.count_nonzero(covered))


def _cast_shadow(frame: UInt8Array, patch: Patch, shadow: Shadow) -> None:
    """Darken what lies behind a patch, in place, at a quarter of the resolution."""
    alpha = patch.pixels[..., 3]
    size = math.sqrt(max(float(cv2.mean(alpha)[0]) / 255 * alpha.size, 1.0))
    grow = round(size * shadow.softness * 2) // 4 + 1
    small = cv2.resize(
        alpha, (alpha.shape[1] // 4 + 1, alpha.shape[0] // 4 + 1), interpolation=cv2.INTER_AREA
    )
    small = cv2.copyMakeBorder(small, grow, grow, grow, grow, cv2.BORDER_CONSTANT, value=0)
    small = cv2.GaussianBlur(small, (0, 0), max(size * shadow.softness / 4, 0.5))
    light = cv2.convertScaleAbs(small, alpha=-shadow.strength, beta=0)
    light = cv2.bitwise_not(light)
    fine = cv2.resize(light, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    x = patch.x - 4 * grow + round(shadow.x * size)
    y = patch.y - 4 * grow + round(shadow.y * size)
    cut = _inside(Patch(np.asarray(fine, dtype=np.uint8), x, y), frame.shape[:2])
    if cut is not None:
        light, rows, columns = cut
        place = frame[rows, columns]
        place[:] = cv2.multiply(place, cv2.merge([light] * 3), scale=1 / 255)


def _inside(patch: Patch, size: tuple[int, ...]) -> tuple[UInt8Array, slice, slice] | None:
    """The part of a patch that lies in the frame, and where."""
    height, width = patch.pixels.shape[:2]
    top, left = max(patch.y, 0), max(patch.x, 0)
    bottom, right = min(patch.y + height, size[0]), min(patch.x + width, size[1])
    if bottom <= top or right <= left:
        return None
    pixels = patch.pixels[top - patch.y : bottom - patch.y, left - patch.x : right - patch.x]
    return pixels, slice(top, bottom), slice(left, right)


def _finish(
    frame: UInt8Array, plan: CompositePlan, index: int, rng: np.random.Generator
) -> UInt8Array:
    """What light, air, camera and JPEG do to a frame."""
    for smoke in plan.smokes:
        frame = apply_smoke(frame, smoke, index)
    if plan.light is not None:
        frame = apply_light(frame, plan.light, index)
    if plan.finish.blur:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), plan.finish.blur), dtype=np.uint8)
    if plan.finish.noise:
        frame = add_noise(frame, plan.finish.noise, plan.finish.noise_size, rng)
    if plan.finish.jpeg is not None:
        frame = through_jpeg(frame, plan.finish.jpeg)
    return frame
