"""Images with labels on which the SPN is trained: VOC 2012, DAVIS, photographs, synthetic clips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from vostrack.datasets import VideoSequence
from vostrack.datasets.annotated_frames import (
    AnnotatedFrame,
    check_objects,
    read_annotated_frame,
    read_annotation,
    training_frames,
)
from vostrack.datasets.read_on_demand import ReadOnDemand
from vostrack.datasets.sample_checks import check_classes, check_each, whole_size
from vostrack.datasets.synthetic import SceneRenderer, SyntheticScene, draw_scene
from vostrack.datasets.voc import CLASSES, listed_images
from vostrack.errors import InputError
from vostrack.wording import counted

__all__ = [
    "DavisImages",
    "PhotoImages",
    "SyntheticImages",
    "TrainingImage",
    "TrainingImages",
    "VocImages",
]


class TrainingImage(NamedTuple):
    """One image with its labels.

    Attributes:
        image: (3, H, W) uint8 RGB.
        labels: (H, W) int64: 0 background, ids or classes from 1, 255 void.
        classes: whether the labels are VOC classes, which a semantic network can score too.
    """

    image: Tensor
    labels: Tensor
    classes: bool


TrainingImages = ReadOnDemand[TrainingImage]


class DavisImages(TrainingImages):
    """Every annotated frame of video sequences."""

    def __init__(self, sequences: Sequence[VideoSequence]) -> None:
        """List the frames; see ``training_frames``.

        Raises:
            InputError: no frame is annotated, or none shows an object.
        """
        self._frames = training_frames(sequences)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def read(self, index: int) -> TrainingImage:
        """Read a frame and its ids; the one object of a binary annotation has id 1."""
        return TrainingImage(*self._frames[index].read().tensors(), False)


class VocImages(TrainingImages):
    """The images of a VOC 2012 layout with their class masks (Everingham et al. 2012)."""

    def __init__(self, root: Path, subset: str = "train") -> None:
        """List the images; masks are read until one of them shows an object.

        Args:
            root: the folder that holds ``ImageSets/Segmentation``, ``JPEGImages`` and
                ``SegmentationClass``.
            subset: name of the list, without ``.txt``.

        Raises:
            InputError: the list, an image or a mask is missing or cannot be read, an image and its
                mask differ in size, the list is empty, no mask shows an object, or one holds other
                values than 0..20 and 255.
        """
        path = root / "ImageSets" / "Segmentation" / f"{subset}.txt"
        if not path.is_file():
            raise InputError(
                f"voc: no list {path}; expected the folder with ImageSets, JPEGImages and "
                "SegmentationClass (VOCdevkit/VOC2012)"
            )
        self._items = [
            (root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png")
            for name in listed_images(path, root / "JPEGImages")
        ]
        missing = [file for pair in self._items for file in pair if not file.is_file()]
        if missing or not self._items:
            lost = counted(len(missing), "file")
            reason = f"{lost} missing, first {missing[0]}" if missing else "no names"
            raise InputError(f"voc: {path} cannot be used: {reason}")
        check_objects((read_annotation(mask) for _, mask in self._items), str(path))
        check_each(self._check, self._items)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._items)

    @staticmethod
    def _check(files: tuple[Path, Path]) -> None:
        image, mask = files
        classes = read_annotation(mask)
        check_classes(classes, CLASSES, mask)
        if whole_size(image) != classes.shape:
            read_annotated_frame(image, mask)

    def named_files(self) -> list[tuple[str, Path]]:
        """Return the files, each with a name that does not say where the data set lies."""
        return [(f"{path.parent.name}/{path.name}", path) for pair in self._items for path in pair]

    def read(self, index: int) -> TrainingImage:
        """Read an image and its classes, 1 .. 20."""
        return TrainingImage(*read_annotated_frame(*self._items[index]).tensors(), True)


class PhotoImages(TrainingImages):
    """Photographs of one object each: (3, H, W) uint8, and (H, W) int64 of 0, 1 and 255."""

    def __init__(self, photos: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._photos = photos

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self._photos)

    def read(self, index: int) -> TrainingImage:
        """Read a photograph; its object has id 1."""
        return TrainingImage(*self._photos[index], False)


class SyntheticImages(TrainingImages):
    """Frames of synthetic clips; see ``vostrack.datasets.synthetic``."""

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
            seed: of the first scene; the others follow.
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
        # Painting the textures takes longer than rendering a frame: keep what threads may share.
        self._renderer = lru_cache(maxsize=16)(self._render)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._scenes * self._first.frames

    def read(self, index: int) -> TrainingImage:
        """Render a frame with its ids."""
        scene, frame = divmod(index, self._first.frames)
        rendered = AnnotatedFrame(*self._renderer(scene).render(frame))
        return TrainingImage(*rendered.tensors(), False)

    def _render(self, scene: int) -> SceneRenderer:
        first = self._first
        numbered = SyntheticScene(
            size=first.size, frames=first.frames, objects=first.objects, seed=first.seed + scene
        )
        return SceneRenderer(draw_scene(numbered))
