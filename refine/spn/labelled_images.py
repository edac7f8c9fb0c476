"""Pictures with labels that the SPN is trained on: VOC 2012, DAVIS and made clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.datasets.synthetic import SceneRenderer, SyntheticScene, draw_scene
from vostrack.errors import InputError

__all__ = ["DavisPictures", "Picture", "Pictures", "SyntheticPictures", "VocPictures"]


class Picture(NamedTuple):
    """One picture.

    Attributes:
        image: (3, H, W) uint8 RGB.
        labels: (H, W) int64: 0 background, ids or classes from 1, 255 void.
        classes: whether the labels are VOC classes, which a semantic network scores, too.
    """

    image: Tensor
    labels: Tensor
    classes: bool


class Pictures(Sequence[Picture], ABC):
    """Pictures that are read when they are needed."""

    @abstractmethod
    def read(self, index: int) -> Picture:
        """Read the picture at ``index``, 0 .. len - 1."""

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        """Read one picture, or several."""
        if isinstance(index, slice):
            return [self.read(k) for k in range(*index.indices(len(self)))]
        return self.read(range(len(self))[index])


class DavisPictures(Pictures):
    """Every annotated frame of video sequences."""

    def __init__(self, sequences: Iterable[VideoSequence]) -> None:
        """List the frames; nothing is read.

        Raises:
            InputError: no frame is annotated.
        """
        self._items = [
            (frame, annotation, sequence.semantics == "binary")
            for sequence in sequences
            for frame, annotation in zip(sequence.frames, sequence.annotations, strict=True)
            if annotation is not None
        ]
        if not self._items:
            raise InputError("training: none of the sequences has an annotated frame")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._items)

    def read(self, index: int) -> Picture:
        """Read a frame and its ids; 1 is the one object of a binary annotation."""
        frame, annotation, binary = self._items[index]
        labels = _read_labels(annotation)
        return Picture(_read_image(frame), (labels > 0).long() if binary else labels, False)


class VocPictures(Pictures):
    """The pictures of a VOC 2012 layout with their class masks (Everingham et al. 2012)."""

    def __init__(self, root: Path, subset: str = "train") -> None:
        """List the pictures; nothing is read.

        Args:
            root: the folder that holds ``ImageSets/Segmentation``, ``JPEGImages`` and
                ``SegmentationClass``.
            subset: name of the list, without ``.txt``.

        Raises:
            InputError: the list, a picture or a mask is missing, or the list is empty.
        """
        path = root / "ImageSets" / "Segmentation" / f"{subset}.txt"
        if not path.is_file():
            raise InputError(
                f"voc: no list {path}; expected the folder with ImageSets, JPEGImages and "
                "SegmentationClass (VOCdevkit/VOC2012)"
            )
        self._items = [
            (root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png")
            for name in path.read_text().split()
        ]
        missing = [file for pair in self._items for file in pair if not file.is_file()]
        if missing or not self._items:
            reason = f"{len(missing)} files missing, first {missing[0]}" if missing else "no names"
            raise InputError(f"voc: {path} cannot be used: {reason}")

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._items)

    def read(self, index: int) -> Picture:
        """Read a picture and its classes, 1 .. 20."""
        image, mask = self._items[index]
        return Picture(_read_image(image), _read_labels(mask), True)


class SyntheticPictures(Pictures):
    """Frames of made clips; see ``vostrack.datasets.synthetic``."""

    def __init__(
        self,
        scenes: int,
        *,
        seed: int = 0,
        frames: int = 8,
        size: tuple[int, int] = (320, 480),
        objects: int = 3,
    ) -> None:
        """Number the scenes; nothing is rendered.

        Args:
            scenes: how many.
            seed: of the first; the others follow.
            frames: of each scene, spread over its course.
            size: H and W.
            objects: of each scene.

        Raises:
            InputError: a value out of its range.
        """
        if scenes < 1:
            raise InputError(f"synthetic: expected at least 1 scene, got {scenes}")
        self._first = SyntheticScene(size=size, frames=frames, objects=objects, seed=seed)
        self._scenes = scenes
        # Painting the textures takes longer than a frame: keep what several threads may want.
        self._renderer = lru_cache(maxsize=16)(self._render)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._scenes * self._first.frames

    def read(self, index: int) -> Picture:
        """Render a frame with its ids."""
        scene, frame = divmod(index, self._first.frames)
        image, labels = self._renderer(scene).render(frame)
        return Picture(_as_tensor(image), torch.from_numpy(labels.astype(np.int64)), False)

    def _render(self, scene: int) -> SceneRenderer:
        first = self._first
        numbered = SyntheticScene(
            size=first.size, frames=first.frames, objects=first.objects, seed=first.seed + scene
        )
        return SceneRenderer(draw_scene(numbered))


def _read_image(path: Path) -> Tensor:
    with Image.open(path) as image:
        return _as_tensor(np.array(image.convert("RGB")))


def _as_tensor(image: UInt8Array) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def _read_labels(path: Path) -> Tensor:
    with Image.open(path) as image:
        if image.mode not in ("P", "L"):
            raise InputError(f"{path}: expected a mask of one channel, got mode {image.mode}")
        return torch.from_numpy(np.array(image).astype(np.int64))
