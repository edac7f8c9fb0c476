"""Training clips of single photographs, moved and bent as a whole: objects in their own scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Generator

from vostrack.arrays import AnyArray, DoubleArray, UInt8Array
from vostrack.checks import check_at_least
from vostrack.datasets.composites.matted_photos import MattedPhoto
from vostrack.datasets.composites.mattes import read_matte
from vostrack.datasets.composites.warp import bend_field
from vostrack.errors import InputError
from vostrack.online_finetune.target.pasted_object import Light, mask_extent
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.video.images import read_image

__all__ = ["PhotoClipConfig", "PhotoClips"]

# H and W of the frames: upright, level and square windows in turn.
_SIZES = ((384, 384), (320, 448), (448, 320))
# Photographs kept decoded: 0.6 MB each with their matte.
_CACHED = 600
# ``bend_field`` reaches over 1.5 times the sides: the photograph is its middle.
_MIDDLE = 4
# Logarithm of how much larger the photograph may be than what just fills the frame.
_NEARER = 0.6


@dataclass(frozen=True)
class PhotoClipConfig:
    """How far a photograph moves from frame to frame; each is a standard deviation.

    Attributes:
        rotation: of a frame against the first, degrees.
        zoom: of the logarithm of a frame's scale against the first.
        shift: of a frame against the first, in sides of the object's box.
        shear: of a frame, as a share.
        bend: of the control points of a smooth displacement, in half sides of the photograph.
    """

    rotation: float = 12.0
    zoom: float = 0.2
    shift: float = 0.15
    shear: float = 0.06
    bend: float = 0.03

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is below 0.
        """
        check_at_least(self, dict.fromkeys(("rotation", "zoom", "shift", "shear", "bend"), 0))


class PhotoClips:
    """Draws clips from photographs with mattes, without pasting anything.

    The first stage of training of STM (Oh et al., ICCV 2019, section 3.4): what moves is the whole
    picture, so that outlines are those of real objects in front of what was really behind them.
    """

    def __init__(self, photos: Sequence[MattedPhoto], config: PhotoClipConfig) -> None:
        """Take the photographs; nothing is read.

        Raises:
            InputError: there is none.
        """
        if not photos:
            raise InputError("training: expected at least one photograph with a matte, got none")
        self.photos, self.config = tuple(photos), config
        self._read = lru_cache(maxsize=_CACHED)(_read)

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        """Draw a clip of ``length`` frames; ``generator`` is the only source of chance."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        rng = np.random.default_rng(seed)
        photo = self.photos[int(rng.integers(len(self.photos)))]
        picture, mask = self._read(photo)
        size = _SIZES[int(rng.integers(len(_SIZES)))]
        first = _fitted(rng, mask, size)
        light = Light(rng)
        images, labels = [], []
        for time in range(length):
            matrix = self._moved(rng, mask, first) if time else first
            image, moved = self._frame(rng, picture, mask, matrix, size)
            images.append((light.apply(rng, image) * 255).round().astype(np.uint8))
            labels.append(moved)
        pixels = np.stack(images).transpose(0, 3, 1, 2)
        return TrainingClip(
            images=torch.from_numpy(np.ascontiguousarray(pixels)),
            labels=torch.from_numpy(np.stack(labels)),
            lost=False,
            resumed=False,
            seed=seed,
        )

    def _moved(self, rng: np.random.Generator, mask: UInt8Array, first: DoubleArray) -> DoubleArray:
        """Return the matrix (2, 3) of another frame, moved about the object's centre."""
        config = self.config
        x0, y0, x1, y1 = mask_extent(mask)
        centre = first @ [(x0 + x1) / 2, (y0 + y1) / 2, 1]
        sides = np.abs(first[:, :2]) @ [x1 - x0, y1 - y0]
        turn = math.radians(rng.normal(0, config.rotation))
        scale = math.exp(rng.normal(0, config.zoom))
        shear = rng.normal(0, config.shear, (2, 2))
        turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        linear = scale * turned @ (np.eye(2) + shear)
        shift = rng.normal(0, config.shift, 2) * sides
        moved = linear @ first
        moved[:, 2] = linear @ (first[:, 2] - centre) + centre + shift
        return np.asarray(moved, np.float64)

    def _frame(
        self,
        rng: np.random.Generator,
        picture: AnyArray,
        mask: UInt8Array,
        matrix: DoubleArray,
        size: tuple[int, int],
    ) -> tuple[AnyArray, UInt8Array]:
        """Resample the photograph; what lies beyond its edges has its mean colour."""
        height, width = size
        back = cv2.invertAffineTransform(matrix)
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        x = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
        y = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
        field = bend_field(
            self.config.bend, int(rng.integers(2**31)), float(rng.uniform(0, math.tau))
        )
        bend = field[_MIDDLE:-_MIDDLE, _MIDDLE:-_MIDDLE]
        bend = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC) * (
            max(mask.shape) / 2
        )
        x, y = (x + bend[..., 0]).astype(np.float32), (y + bend[..., 1]).astype(np.float32)
        fill = tuple(map(float, picture.mean((0, 1))))
        image = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderValue=fill)
        moved = cv2.remap(mask, x, y, cv2.INTER_LINEAR)
        return image, (moved >= 128).astype(np.uint8)


def _fitted(rng: np.random.Generator, mask: UInt8Array, size: tuple[int, int]) -> DoubleArray:
    """Place the photograph so that it fills the frame, with its object inside."""
    box = np.array(mask_extent(mask), np.float64).reshape(2, 2)
    photo, frame = np.array(mask.shape[::-1], np.float64), np.array(size[::-1], np.float64)
    cover = float((frame / photo).max())
    fits = max(float((frame / (box[1] - box[0])).min()), cover)
    scale = min(cover * math.exp(rng.uniform(0, _NEARER)), fits)
    # The corner of the frame on the scaled photograph: inside it, and around the object.
    lowest = np.maximum(0, scale * box[1] - frame)
    highest = np.minimum(scale * photo - frame, scale * box[0])
    middle = np.clip(scale * box.mean(0) - frame / 2, 0, scale * photo - frame)
    corner = np.where(lowest < highest, rng.uniform(np.minimum(lowest, highest), highest), middle)
    matrix = np.column_stack([scale * np.eye(2), -corner])
    if rng.random() < 0.5:
        matrix[0] = [-scale, 0, frame[0] - 1 + corner[0]]
    return matrix


def _read(photo: MattedPhoto) -> tuple[AnyArray, UInt8Array]:
    return read_image(photo.image), read_matte(photo.matte)
