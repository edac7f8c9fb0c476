"""Training clips of annotated videos, with objects of other videos pasted in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Generator

from vostrack.arrays import AnyArray, BoolArray, UInt8Array
from vostrack.checks import check_at_least, check_fraction
from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import FrameFiles, annotated_frames, training_frames
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.online_finetune.target.pasted_object import Flight, Light, mask_extent
from vostrack.online_finetune.target.training_clip import TrainingClip

__all__ = ["VideoClipConfig", "VideoClips"]

# Frames of 480 x 854 kept decoded: 1.6 MB each with their mask.
_CACHED = 800
_MIN_PIXELS = 200
_TRIES = 100


@dataclass(frozen=True)
class VideoClipConfig:
    """How clips are drawn.

    Attributes:
        objects: at most so many objects of the video are followed.
        lost: share of clips whose first frame is any frame of the video, after which the objects'
            places are forgotten.
        resumed: share of clips whose first frame is any frame of the video, and whose objects are
            followed from the second frame on: the first masks of long videos are far away. With
            ``lost`` it makes 1 at most.
        paste: share of clips into which an object of another video is pasted, before or behind
            the video's own objects.
        twin: share of these in which it is the video's own object once more: a look-alike.
        follow_pasted: share of these in which the pasted object is followed, too.
        absent: share of clips whose last frame is another video's, without the objects.
        rotation: of the clip, standard deviation in degrees.
        zoom: of the clip, standard deviation of the logarithm of its scale.
        growth: standard deviation of the logarithm by which the scale grows from frame to frame.
    """

    objects: int = 3
    lost: float = 0.1
    resumed: float = 0.3
    paste: float = 0.5
    twin: float = 0.3
    follow_pasted: float = 0.6
    absent: float = 0.1
    rotation: float = 8.0
    zoom: float = 0.2
    growth: float = 0.06

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range, or ``lost`` and ``resumed`` are more than all.
        """
        check_at_least(self, {"objects": 1, "rotation": 0, "zoom": 0, "growth": 0})
        check_fraction(self, "lost", "resumed", "paste", "twin", "follow_pasted", "absent")
        if self.lost + self.resumed > 1 + 1e-9:
            raise InputError(
                f"lost and resumed: expected shares of all clips that make at most 1 together, got "
                f"{self.lost} and {self.resumed}"
            )


_Frames = tuple[list[AnyArray], list[UInt8Array]]


class VideoClips:
    """Draws clips from videos whose frames are annotated."""

    def __init__(self, sequences: Sequence[VideoSequence], config: VideoClipConfig) -> None:
        """List the frames; see ``training_frames``.

        Args:
            sequences: of one data set.
            config: how clips are drawn.

        Raises:
            InputError: no video has two annotated frames, or no frame shows an object.
        """
        self.config = config
        listed = (annotated_frames([sequence]) for sequence in sequences)
        self._videos = [frames for frames in listed if len(frames) >= 2]
        if not self._videos:
            raise InputError("training: none of the videos has two annotated frames")
        training_frames(sequences)
        self._read = lru_cache(maxsize=_CACHED)(_read)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self._videos)

    def draw(self, generator: Generator, length: int) -> TrainingClip:
        """Draw a clip of ``length`` frames; ``generator`` is the only source of chance.

        Raises:
            InputError: none of many first frames shows an object that is large enough to follow.
        """
        seed = int(torch.randint(2**62, (1,), generator=generator))
        rng = np.random.default_rng(seed)
        for _ in range(_TRIES):
            video = int(rng.integers(len(self._videos)))
            u = float(rng.random()) - self.config.lost
            lost, resumed = u < 0, 0 <= u < self.config.resumed
            images, labels = self._host(rng, video, length, lost or resumed)
            if rng.random() < self.config.paste:
                images, labels = self._paste(rng, video, images, labels)
            if rng.random() < self.config.absent and len(self) > 1:
                images[-1], labels[-1] = self._elsewhere(rng, video, labels[-1])
            images, labels = self._seen(rng, images, labels)
            count = _renumber(labels)
            if count:
                break
        else:
            raise InputError(
                f"training: none of {_TRIES} clips drawn at random shows an object of at least "
                f"{_MIN_PIXELS} pixels in its first frame; expected videos with larger objects, or "
                "with objects in more frames"
            )
        pixels = np.stack(images).transpose(0, 3, 1, 2)
        return TrainingClip(
            images=torch.from_numpy(np.ascontiguousarray(pixels)),
            labels=torch.from_numpy(np.stack(labels)),
            lost=lost,
            resumed=resumed,
            seed=seed,
        )

    def _host(self, rng: np.random.Generator, video: int, length: int, far: bool) -> _Frames:
        """Read successive frames, forwards or backwards, with some of the first one's objects."""
        count = len(self._videos[video])
        step = 2 if rng.random() < 0.2 and 2 * (length - 1) < count else 1
        reach = min(step * (length - 1), count - 1)
        start = int(rng.integers(count - reach))
        indices = [min(start + step * k, count - 1) for k in range(length)]
        if rng.random() < 0.5:
            indices.reverse()
        if far:
            indices[0] = int(rng.integers(count))
        frames = [self._read(self._videos[video][index]) for index in indices]
        ids = [i for i in np.unique(frames[0][1]) if i not in (0, VOID)]
        kept = rng.permutation(ids)[: self.config.objects]
        table = _numbers(kept.tolist())
        return [image for image, _ in frames], [table[values] for _, values in frames]

    def _paste(
        self, rng: np.random.Generator, video: int, images: list[AnyArray], labels: list[UInt8Array]
    ) -> _Frames:
        """Lay a moving object over the frames, or behind their objects; all of it or nothing."""
        twin = rng.random() < self.config.twin
        other = video if twin else int(rng.integers(len(self._videos)))
        source = self._videos[other]
        start, sign = int(rng.integers(len(source))), 1 if rng.random() < 0.5 else -1
        path = Flight(rng, _marked(labels[1]))
        behind = rng.random() < 0.3
        numbers = labels[0][_marked(labels[0])]
        number = 0
        if rng.random() < self.config.follow_pasted:
            number = int(numbers.max(initial=0)) + 1
        pasted: _Frames = ([], [])
        for time, (image, values) in enumerate(zip(images, labels, strict=True)):
            index = min(max(start + sign * time, 0), len(source) - 1)
            picture, marked = self._read(source[index])
            cut = _marked(marked).astype(np.float32)
            if not cut.any():
                return images, labels
            matrix = path.matrix(rng, time, mask_extent(cut))
            size = (image.shape[1], image.shape[0])
            alpha = cv2.GaussianBlur(cv2.warpAffine(cut, matrix, size), (0, 0), 0.8)
            if behind:
                alpha = alpha * (values == 0)
            colours = cv2.warpAffine(picture, matrix, size).astype(np.float32)
            mixed = image + alpha[..., None] * (colours - image)
            pasted[0].append(mixed.astype(np.uint8))
            pasted[1].append(np.where(alpha > 0.5, number, values).astype(np.uint8))
        return pasted

    def _elsewhere(
        self, rng: np.random.Generator, video: int, labels: UInt8Array
    ) -> tuple[AnyArray, UInt8Array]:
        """Return a frame of another video at this one's size, and empty labels."""
        other = int(rng.integers(len(self._videos)))
        if other == video:
            other = (video + 1) % len(self._videos)
        frames = self._videos[other]
        image, _ = self._read(frames[int(rng.integers(len(frames)))])
        size = (labels.shape[1], labels.shape[0])
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.zeros_like(labels)

    def _seen(
        self, rng: np.random.Generator, images: list[AnyArray], labels: list[UInt8Array]
    ) -> _Frames:
        """Turn, scale and relight the clip, as if another camera had seen it."""
        config, light = self.config, Light(rng)
        height, width = labels[0].shape
        fill = tuple(float(value) for value in images[0].mean((0, 1)))
        turn, mirror = float(rng.normal(0, config.rotation)), bool(rng.random() < 0.5)
        zoom, growth = float(rng.normal(0, config.zoom)), float(rng.normal(0, config.growth))
        x0, y0, x1, y1 = mask_extent(_marked(labels[len(labels) // 2]))
        # The objects stay where they are, so that a nearer camera does not lose them.
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
        seen: _Frames = ([], [])
        for time, (image, values) in enumerate(zip(images, labels, strict=True)):
            scale = math.exp(min(zoom + growth * (time - len(images) / 2), 0.7))
            matrix = cv2.getRotationMatrix2D(centre, turn, scale)
            if mirror:
                matrix[0] = np.array([0, 0, width - 1.0]) - matrix[0]
            picture = cv2.warpAffine(
                image,
                matrix,
                (width, height),
                flags=cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=fill,
            )
            seen[0].append((light.apply(rng, picture) * 255).round().astype(np.uint8))
            moved = cv2.warpAffine(values, matrix, (width, height), flags=cv2.INTER_NEAREST)
            seen[1].append(moved.astype(np.uint8, copy=False))
        return seen


def _marked(labels: UInt8Array) -> BoolArray:
    """Return where there is an object; void is none."""
    marked: BoolArray = (labels > 0) & (labels != VOID)
    return marked


def _numbers(kept: Sequence[int]) -> UInt8Array:
    """Return (256,) uint8: 1, 2, ... for ids that are kept, in their order, and void for void."""
    table = np.zeros(256, np.uint8)
    table[sorted(kept)] = np.arange(1, len(kept) + 1)
    table[VOID] = VOID
    return table


def _renumber(labels: list[UInt8Array]) -> int:
    """Number the objects of the first frame from 1 on, in place; drop those too small to follow.

    Void stays. Return how many objects there are.
    """
    sizes = np.bincount(labels[0].ravel(), minlength=256)
    kept = [i for i in range(1, VOID) if sizes[i] >= _MIN_PIXELS]
    table = _numbers(kept)
    for values in labels:
        values[...] = table[values]
    return len(kept)


def _read(files: FrameFiles) -> tuple[AnyArray, UInt8Array]:
    frame = files.read()
    return frame.image, frame.labels
