"""Training clips of three frames for a target network, from annotated videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.arrays import AnyArray, DoubleArray, FloatArray, UInt8Array
from vostrack.checks import check_at_least, check_fraction, check_multiple
from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.online_finetune.first_frame_augmentation import Placement
from vostrack.online_finetune.mask_perturbation import perturb_mask

__all__ = ["Clip", "ClipConfig", "ClipSamples"]

_VOID = 255
# Frames of 480 x 854 kept decoded: 1.6 MB each with their mask.
_CACHED = 800
_MIN_PIXELS = 200


@dataclass(frozen=True)
class ClipConfig:
    """How clips are drawn.

    Attributes:
        side: of the square windows, pixels.
        near: share of clips whose first frame lies just before the second; in the others it is any
            frame of the video, and the network is not told where the object was.
        paste: share of clips into which an object of another video is pasted. It hides the host's
            object or stands beside it.
        paste_is_target: share of these in which the pasted object is the one to follow.
        absent: share of clips whose last frame is another video's, without the object.
        context: windows are so many times the object's longer side, drawn uniformly.
        largest: longest side of a window in the frame, pixels.
        rotation: of the clip, standard deviation in degrees.
    """

    side: int = 320
    near: float = 0.5
    paste: float = 0.45
    paste_is_target: float = 0.6
    absent: float = 0.06
    context: tuple[float, float] = (1.3, 2.6)
    largest: int = 620
    rotation: float = 8.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        check_multiple(self, "side", 16, least=32)
        check_at_least(self, {"largest": 1, "rotation": 0})
        check_fraction(self, "near", "paste", "paste_is_target", "absent")
        if not 1 <= self.context[0] <= self.context[1]:
            raise InputError(f"context: expected 1 <= lowest <= highest, got {self.context}")


@dataclass(frozen=True)
class Clip:
    """Three frames: a memory, one to be segmented from it, and one from both.

    Attributes:
        images: (3, 3, S, S) float32 in [0, 1].
        masks: (3, 1, S, S) 0 or 1.
        near: whether the first frame lies just before the second, seen in the same window.
        degraded: (1, S, S) the second mask, as wrong as a tracker's.
    """

    images: Tensor
    masks: Tensor
    near: bool
    degraded: Tensor


class ClipSamples:
    """Draws clips from videos whose frames are annotated."""

    def __init__(self, sequences: Sequence[VideoSequence], config: ClipConfig) -> None:
        """List the frames; nothing is read.

        Raises:
            InputError: no video has two annotated frames.
        """
        self.config = config
        self._videos: list[list[tuple[Path, Path, bool]]] = []
        for sequence in sequences:
            pairs = zip(sequence.frames, sequence.annotations, strict=True)
            frames = [(frame, mask, sequence.semantics == "ids") for frame, mask in pairs if mask]
            if len(frames) >= 2:
                self._videos.append(frames)
        if not self._videos:
            raise InputError("training: none of the videos has two annotated frames")
        self._read = lru_cache(maxsize=_CACHED)(_read)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._videos)

    def draw(self, generator: Generator) -> Clip:
        """Draw a clip; ``generator`` is the only source of chance."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        rng = np.random.default_rng(seed)
        video = int(rng.integers(len(self._videos)))
        indices, near = self._frames(rng, len(self._videos[video]))
        images, masks = self._host(rng, video, indices)
        if rng.random() < self.config.paste:
            images, masks = self._paste(rng, video, images, masks)
        if rng.random() < self.config.absent and len(self) > 1:
            images[2], masks[2] = self._elsewhere(rng, video, masks[2])
        return self._windows(rng, images, masks, near, generator)

    def _frames(self, rng: np.random.Generator, count: int) -> tuple[list[int], bool]:
        """Choose the frames, forwards or backwards in time; the last two are neighbours."""
        step = 1 if rng.random() < 0.75 else 2
        sign = 1 if rng.random() < 0.5 else -1
        second = int(rng.integers(count))
        third = second + sign * step
        if not 0 <= third < count:
            third = second - sign * step
        third = min(max(third, 0), count - 1)
        near = bool(rng.random() < self.config.near)
        first = second - sign * int(rng.integers(1, 3)) if near else int(rng.integers(count))
        return [min(max(first, 0), count - 1), second, third], near

    def _host(
        self, rng: np.random.Generator, video: int, indices: Sequence[int]
    ) -> tuple[list[AnyArray], list[UInt8Array]]:
        """Read the frames, and the masks of one of the objects of the first."""
        frames = [self._read(*self._videos[video][index]) for index in indices]
        ids = [i for i in np.unique(frames[0][1]) if i not in (0, _VOID)] or [1]
        wanted = ids[int(rng.integers(len(ids)))]
        return [image for image, _ in frames], [
            (labels == wanted).astype(np.uint8) for _, labels in frames
        ]

    def _paste(
        self, rng: np.random.Generator, video: int, images: list[AnyArray], masks: list[UInt8Array]
    ) -> tuple[list[AnyArray], list[UInt8Array]]:
        """Lay a moving object of another video over the frames, or behind their object."""
        other = int(rng.integers(len(self._videos)))
        source = self._videos[other]
        start, sign = int(rng.integers(len(source))), 1 if rng.random() < 0.5 else -1
        path = _Flight(rng, masks[1])
        behind = rng.random() < 0.25
        follow = rng.random() < self.config.paste_is_target
        pasted: tuple[list[AnyArray], list[UInt8Array]] = ([], [])
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            index = min(max(start + sign * number, 0), len(source) - 1)
            picture, labels = self._read(*source[index])
            cut = ((labels > 0) & (labels != _VOID)).astype(np.float32)
            if other == video or not cut.any():
                return images, masks
            matrix = path.matrix(rng, number, _box(cut))
            size = (image.shape[1], image.shape[0])
            alpha = cv2.GaussianBlur(cv2.warpAffine(cut, matrix, size), (0, 0), 0.8)
            if behind:
                alpha = alpha * (1 - mask)
            colours = cv2.warpAffine(picture, matrix, size)
            mixed = image + alpha[..., None] * (colours.astype(np.float32) - image)
            hard = (alpha > 0.5).astype(np.uint8)
            pasted[0].append(mixed.astype(np.uint8))
            pasted[1].append(hard if follow else mask * (1 - hard))
        return pasted if pasted[1][0].sum() >= _MIN_PIXELS else (images, masks)

    def _elsewhere(
        self, rng: np.random.Generator, video: int, mask: UInt8Array
    ) -> tuple[AnyArray, UInt8Array]:
        """Return a frame of another video at this one's size, and an empty mask."""
        other = int(rng.integers(len(self._videos)))
        if other == video:
            other = (video + 1) % len(self._videos)
        frames = self._videos[other]
        image, _ = self._read(*frames[int(rng.integers(len(frames)))])
        size = (mask.shape[1], mask.shape[0])
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.zeros_like(mask)

    def _windows(
        self,
        rng: np.random.Generator,
        images: list[AnyArray],
        masks: list[UInt8Array],
        near: bool,
        generator: Generator,
    ) -> Clip:
        """Cut a window around the object; the last two frames share it, as in a still camera."""
        side = self.config.side
        light = _Light(rng)
        fill = tuple(float(value) for value in images[0].mean((0, 1)))
        turn, mirror = float(rng.normal(0, self.config.rotation)), bool(rng.random() < 0.5)
        matrix = self._window(rng, masks[0], turn, mirror)
        pictures, cuts = [], []
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            if number == 1 and not near:
                matrix = self._window(rng, mask, turn + float(rng.normal(0, 3)), mirror)
            shrinks = abs(np.linalg.det(matrix[:, :2])) < 0.4
            picture = cv2.warpAffine(
                image,
                matrix,
                (side, side),
                flags=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=fill,
            )
            pictures.append(light.apply(rng, picture))
            cuts.append(cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_NEAREST))
        stacked = torch.from_numpy(np.stack(cuts)).float()
        return Clip(
            images=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),
            masks=stacked[:, None],
            near=near,
            degraded=perturb_mask(stacked[1], generator)[None],
        )

    def _window(
        self, rng: np.random.Generator, mask: UInt8Array, turn: float, mirror: bool
    ) -> DoubleArray:
        height, width = mask.shape
        middle = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
        x0, y0, x1, y1 = _box(mask) if mask.any() else middle
        extent = max(x1 - x0, y1 - y0, 60)
        window = min(extent * float(rng.uniform(*self.config.context)) + 32, self.config.largest)
        jitter = rng.normal(0, 0.12, 2) * extent
        centre = ((x0 + x1) / 2 + jitter[0], (y0 + y1) / 2 + jitter[1])
        half, scale = self.config.side / 2, self.config.side / window
        return Placement(half - centre[0], half - centre[1], (scale, scale), turn, mirror).matrix(
            centre
        )


class _Flight:
    """Where a pasted object goes: near the host's object, in a straight line, turning a little."""

    def __init__(self, rng: np.random.Generator, host: UInt8Array) -> None:
        height, width = host.shape
        middle = (width // 4, height // 4, width // 2, height // 2)
        x0, y0, x1, y1 = _box(host) if host.any() else middle
        across, along = 0.4 * (x1 - x0), 0.2 * (y1 - y0)
        self.start = np.array(
            [rng.uniform(x0 - across, x1 + across), rng.uniform(y0 - along, y1 + along)]
        )
        self.velocity = rng.normal(0, 18, 2)
        self.turn, self.spin = float(rng.normal(0, 10)), float(rng.normal(0, 5))
        self.zoom = math.exp(rng.normal(0, 0.35))
        self.mirror = bool(rng.random() < 0.5)

    def matrix(
        self, rng: np.random.Generator, number: int, box: tuple[int, int, int, int]
    ) -> DoubleArray:
        x0, y0, x1, y1 = box
        zoom = min(self.zoom, 420 / max(x1 - x0, y1 - y0)) * math.exp(rng.normal(0, 0.04))
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
        dx, dy = self.start + self.velocity * number - centre
        turn = self.turn + self.spin * number
        return Placement(float(dx), float(dy), (zoom, zoom), turn, self.mirror).matrix(centre)


class _Light:
    """One light for a clip, and a little of its own for each frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.gamma = np.float32(math.exp(rng.normal(0, 0.25)))
        self.gains = np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
        self.offset = float(rng.normal(0, 15))

    def apply(self, rng: np.random.Generator, image: AnyArray) -> FloatArray:
        light: AnyArray = np.power(image.astype(np.float32) / 255, self.gamma) * self.gains
        light = light * np.float32(math.exp(rng.normal(0, 0.05)))
        light = light + np.float32((self.offset + rng.normal(0, 4)) / 255)
        if rng.random() < 0.15:
            light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.5, 2)))
        return np.clip(light, 0, 1).astype(np.float32)


def _box(mask: AnyArray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _read(frame: Path, annotation: Path, ids: bool) -> tuple[AnyArray, UInt8Array]:
    from PIL import Image as PillowImage

    with PillowImage.open(frame) as image:
        pixels = np.array(image.convert("RGB"))
    with PillowImage.open(annotation) as image:
        values = np.array(image)
    return pixels, values.astype(np.uint8) if ids else (values > 0).astype(np.uint8)
