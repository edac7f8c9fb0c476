"""Lucid-style augmentation of the first frame.

After Khoreva et al. 2019, "Lucid Data Dreaming for Video Object Segmentation": the objects are cut
out, the background is inpainted, and each object is pasted at another position and scale with
feathered edges and other lighting. Drawing the parameters is separate from applying them, so every
sample can be reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Generator

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.checks import check_at_least, check_fraction
from vostrack.errors import InputError
from vostrack.online_finetune.affine_warp import reached, warp
from vostrack.online_finetune.placement import Placement

__all__ = [
    "FirstFrameAugmentationConfig",
    "FirstFrameAugmentationParams",
    "FirstFrameAugmenter",
    "FirstFrameSample",
    "Placement",
    "draw_first_frame_augmentation",
]

_VOID = 255


@dataclass(frozen=True)
class FirstFrameAugmentationConfig:
    """Strength of the augmentation: standard deviations unless stated otherwise.

    Attributes:
        still: probability that nothing moves.
        shift: shift of an object, as a fraction of its longer side.
        scale: logarithm of an object's scale.
        stretch: logarithm of the change of an object's aspect ratio.
        rotation: rotation of an object, in degrees.
        flip: probability that an object is mirrored.
        background_moves: probability that the background moves too.
        background_shift: shift of the background, as a fraction of the frame's sides.
        background_scale: logarithm of the background's scale.
        background_rotation: rotation of the background, in degrees.
        occluder: probability that a piece of background occludes the objects.
        gamma: logarithm of the gamma exponent.
        gain: logarithm of the brightness.
        tint: logarithm of the brightness of each colour channel.
        blur: probability of a Gaussian blur with a standard deviation of 0.5 to 1.8 pixels.
    """

    still: float = 0.2
    shift: float = 0.25
    scale: float = 0.2
    stretch: float = 0.06
    rotation: float = 8.0
    flip: float = 0.25
    background_moves: float = 0.5
    background_shift: float = 0.05
    background_scale: float = 0.08
    background_rotation: float = 3.0
    occluder: float = 0.25
    gamma: float = 0.15
    gain: float = 0.08
    tint: float = 0.03
    blur: float = 0.2

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a probability is outside [0, 1], or a deviation is negative.
        """
        check_fraction(self, "still", "flip", "background_moves", "occluder", "blur")
        check_at_least(self, dict.fromkeys(vars(self), 0))


@dataclass(frozen=True)
class FirstFrameAugmentationParams:
    """Parameters of one sample.

    Attributes:
        objects: transform of each object, in the order of the slots; None if nothing moves.
        order: slots from the farthest to the nearest object.
        background: transform of the background.
        occluder: x, y, half width, half height (pixels) and angle (degrees) of an occluding
            ellipse filled with background; None for no occluder.
        gamma: exponent of the image.
        gains: factors of red, green and blue.
        blur: standard deviation of the blur in pixels; 0 for none.
    """

    objects: tuple[Placement, ...] | None
    order: tuple[int, ...]
    background: Placement
    occluder: tuple[float, float, float, float, float] | None
    gamma: float
    gains: tuple[float, float, float]
    blur: float


def draw_first_frame_augmentation(
    config: FirstFrameAugmentationConfig,
    generator: Generator,
    boxes: Sequence[tuple[int, int, int, int]],
    frame: Sequence[int],
) -> FirstFrameAugmentationParams:
    """Draw the parameters of a sample.

    Args:
        config: strength of the augmentation.
        generator: a CPU generator, the only source of randomness.
        boxes: x0, y0, x1, y1 of each object, in pixels.
        frame: H and W of the frame, in pixels.

    Returns:
        The parameters, for ``FirstFrameAugmenter.apply``.
    """
    # The number of draws is fixed, so that one sample does not affect the next.
    n = torch.randn(16, generator=generator).tolist()
    u = torch.rand(12, generator=generator).tolist()
    moved = u[0] >= config.still
    objects = [_draw_placement(config, generator, box) for box in boxes]
    order = torch.randperm(len(boxes), generator=generator).tolist()
    height, width = frame
    background = Placement()
    if moved and u[1] < config.background_moves:
        zoom = math.exp(config.background_scale * n[0])
        background = Placement(
            config.background_shift * n[1] * width,
            config.background_shift * n[2] * height,
            (zoom, zoom),
            config.background_rotation * n[3],
        )
    occluder = None
    if moved and u[2] < config.occluder:
        x0, y0, x1, y1 = boxes[int(u[3] * len(boxes))]
        side = max(x1 - x0, y1 - y0)
        x, y = x0 + u[4] * (x1 - x0), y0 + u[5] * (y1 - y0)
        # Half of the occluders are as tall as the frame, like a post or a tree.
        tall = 2.0 * height if u[6] < 0.5 else side * (0.05 + 0.25 * u[7])
        occluder = (x, y, side * (0.03 + 0.12 * u[8]) + 1, tall, 20 * (u[9] - 0.5))
    gain = config.gain * n[4]
    gains = tuple(math.exp(gain + config.tint * value) for value in n[5:8])
    return FirstFrameAugmentationParams(
        objects=tuple(objects) if moved else None,
        order=tuple(slot + 1 for slot in order),
        background=background,
        occluder=occluder,
        gamma=math.exp(config.gamma * n[8]),
        gains=(gains[0], gains[1], gains[2]),
        blur=0.5 + 1.3 * u[11] if u[10] < config.blur else 0.0,
    )


def _draw_placement(
    config: FirstFrameAugmentationConfig, generator: Generator, box: tuple[int, int, int, int]
) -> Placement:
    n = torch.randn(5, generator=generator).tolist()
    mirror = float(torch.rand(1, generator=generator)) < config.flip
    side = max(box[2] - box[0], box[3] - box[1])
    zoom, stretch = math.exp(config.scale * n[0]), math.exp(config.stretch * n[1])
    return Placement(
        dx=config.shift * side * n[2],
        # Objects move more sideways than up and down.
        dy=0.6 * config.shift * side * n[3],
        scale=(zoom * stretch, zoom),
        rotation=config.rotation * n[4],
        mirror=mirror,
    )


class FirstFrameSample(NamedTuple):
    """An augmented frame.

    Attributes:
        image: (H, W, 3) float32 RGB in [0, 1].
        labels: (H, W) uint8; 0 background, 1..N object slots, 255 void.
    """

    image: FloatArray
    labels: UInt8Array


class FirstFrameAugmenter:
    """Generates samples from one frame. The background is inpainted only once."""

    # Mixed pixels along the cut are inpainted too. Inpainting at half size is four times as fast,
    # and the hole itself does not matter.
    _SEAM = 9
    _SHRINK = 2
    _RADIUS = 5
    _FEATHER = 0.7

    def __init__(self, frame: UInt8Array, labels: UInt8Array) -> None:
        """Cut out the objects and inpaint the background.

        Args:
            frame: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8; 0 background, 1..N object slots, 255 void. Every slot must have
                pixels.

        Raises:
            InputError: a slot has no pixels.
        """
        self.frame, self.labels = frame, labels
        count = int(labels[labels != _VOID].max(initial=0))
        self.boxes = [_box(labels == slot) for slot in range(1, count + 1)]
        self._background = self._inpaint(frame, labels > 0)

    def _inpaint(self, frame: UInt8Array, hole: BoolArray) -> UInt8Array:
        height, width = hole.shape
        wide = cv2.dilate(hole.astype(np.uint8), np.ones((self._SEAM, self._SEAM), np.uint8))
        size = max(1, width // self._SHRINK), max(1, height // self._SHRINK)
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(wide, size, interpolation=cv2.INTER_NEAREST)
        closed = cv2.inpaint(small, mask, self._RADIUS, cv2.INPAINT_TELEA)
        closed = cv2.resize(closed, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where(wide[..., None] > 0, closed, frame).astype(np.uint8)

    def apply(self, params: FirstFrameAugmentationParams) -> FirstFrameSample:
        """Generate the sample with these parameters."""
        image, labels = self._compose(params)
        if params.occluder is not None:
            image, labels = self._occlude(image, labels, params.occluder)
        image /= 255
        if params.gamma != 1:
            np.power(image, np.float32(params.gamma), out=image)
        image *= np.array(params.gains, np.float32)
        np.clip(image, 0, 1, out=image)
        if params.blur:
            image = cv2.GaussianBlur(image, (0, 0), params.blur).astype(np.float32, copy=False)
        return FirstFrameSample(image, labels)

    def _compose(self, params: FirstFrameAugmentationParams) -> tuple[FloatArray, UInt8Array]:
        """Return an image in [0, 255] and labels, both to be overwritten."""
        if params.objects is None:
            return self.frame.astype(np.float32), self.labels.copy()
        height, width = self.labels.shape
        matrix = params.background.matrix((width / 2, height / 2))
        image = warp(self._background.astype(np.float32), matrix, cv2.BORDER_REFLECT_101)
        labels = np.zeros_like(self.labels)
        frame = self.frame.astype(np.float32)
        for slot in params.order:
            x0, y0, x1, y1 = box = self.boxes[slot - 1]
            matrix = params.objects[slot - 1].matrix(((x0 + x1) / 2, (y0 + y1) / 2))
            where = reached(box, matrix, labels.shape)
            if where is None:
                continue
            cut = warp((self.labels == slot).astype(np.float32), matrix, cv2.BORDER_CONSTANT, where)
            alpha = cv2.GaussianBlur(cut, (0, 0), self._FEATHER)
            colours = warp(frame, matrix, cv2.BORDER_REFLECT_101, where)
            image[where] += alpha[..., None] * (colours - image[where])
            labels[where][alpha > 0.5] = slot
        return image, labels

    def _occlude(
        self,
        image: FloatArray,
        labels: UInt8Array,
        ellipse: tuple[float, float, float, float, float],
    ) -> tuple[FloatArray, UInt8Array]:
        x, y, half_width, half_height, angle = ellipse
        cover = np.zeros(labels.shape, np.uint8)
        axes = (max(1, round(half_width)), max(1, round(half_height)))
        cv2.ellipse(cover, (round(x), round(y)), axes, angle, 0, 360, 1, -1)
        # The occluder shows the background half a frame away, so it differs from what it hides.
        other = np.roll(self._background, labels.shape[1] // 2, axis=1).astype(np.float32)
        image = np.where(cover[..., None] > 0, other, image)
        return image, np.where(cover > 0, np.uint8(0), labels)


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise InputError(
            "labels: expected every slot up to the highest to have pixels; renumber the objects"
        )
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
