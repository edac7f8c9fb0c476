"""Labelled images in the layouts of PASCAL VOC, SBD, Cityscapes, PASCAL-Context and DAVIS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vostrack.arrays import AnyArray, IntArray, UInt8Array
from vostrack.datasets.annotated_frames import (
    annotated_frames,
    check_objects,
    image_tensor,
    merge_objects,
    read_annotated_frame,
    read_annotation,
)
from vostrack.datasets.davis import open_davis
from vostrack.datasets.voc import VocImage, open_voc
from vostrack.errors import InputError
from vostrack.masks.palette import VOID
from vostrack.video.images import read_image

__all__ = [
    "CITYSCAPES_TRAIN_IDS",
    "LabelledImage",
    "LabelledImages",
    "Layout",
    "open_labelled_images",
]

Layout = Literal["voc", "sbd", "cityscapes", "context", "davis"]

CITYSCAPES_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the 19 classes that are scored; class k is the k-th of them, from 0."""

# Cityscapes numbers the instances of label l as 1000 l, 1000 l + 1, ...; smaller values are stuff.
_CITYSCAPES_FACTOR = 1000


@dataclass(frozen=True)
class LabelledImage:
    """One image and what is known of its pixels.

    Attributes:
        image: (3, H, W) uint8 RGB.
        classes: (H, W) int64 class of each pixel, 255 void.
        ids: (H, W) int64 instance of each pixel, 0 none, 255 void; None where the layout has no
            instances.
        labels: (256,) int64, the class of each instance for the localisation network, 1..K; 0 for
            ids that do not occur.
    """

    image: Tensor
    classes: Tensor
    ids: Tensor | None
    labels: Tensor


@dataclass(frozen=True)
class LabelledImages:
    """The images of a subset; each is read when it is asked for.

    Attributes:
        names: of the images.
        classes: number L of classes that a semantic network tells apart, including the background
            where the layout has one.
        instance_classes: number K of classes with instances; 0 where there are none.
        load: reads the image with a given name.
        files: all that is read, each with a name that does not say where the data set lies.
    """

    names: tuple[str, ...]
    classes: int
    instance_classes: int
    load: Callable[[str], LabelledImage]
    files: tuple[tuple[str, Path], ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, index: int) -> LabelledImage:
        """Read an image."""
        return self.load(self.names[index])


def open_labelled_images(layout: Layout, root: Path, subset: str) -> LabelledImages:
    """Find the images of a subset.

    Args:
        layout: ``voc``: ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and
            ``ImageSets/Segmentation/SUBSET.txt``; without ``SegmentationObject``, as in the
            augmented VOC, there are no instances. ``sbd``: the benchmark release, ``img``, ``cls``,
            ``inst`` (.mat) and ``SUBSET.txt``. ``cityscapes``: ``leftImg8bit/SUBSET`` and
            ``gtFine/SUBSET``. ``context``: VOC 2010 with ``SegmentationClassContext`` (PNG of
            0..59) and ``ImageSets/SegmentationContext/SUBSET.txt``; no instances. ``davis``: DAVIS
            2017, every frame, two classes.
        root: the folder that holds these.
        subset: train, val, ...

    Raises:
        InputError: unknown layout, something is missing, or no mask shows an object.
    """
    if layout not in get_args(Layout):
        raise InputError(f"layout: expected one of {', '.join(get_args(Layout))}, got {layout!r}")
    if layout == "cityscapes":
        return _cityscapes(root, subset)
    if layout == "davis":
        return _davis(root, subset)
    if layout == "context":
        return _context(root, subset)
    images = {image.name: image for image in open_voc(root, subset, instances=False)}
    with_instances = next(iter(images.values())).instances is not None
    count = 20 if with_instances else 0
    files = tuple(file for image in images.values() for file in image.named_files())
    return LabelledImages(tuple(images), 21, count, lambda name: _load_voc(images[name]), files)


def _labelled(image: UInt8Array, classes: UInt8Array, ids: UInt8Array) -> LabelledImage:
    """Give each instance the class that most of its pixels have."""
    labels = np.zeros(256, dtype=np.int64)
    for number in np.unique(ids):
        if number not in (0, VOID):
            votes = np.bincount(classes[ids == number], minlength=256)
            votes[[0, VOID]] = 0
            labels[number] = votes.argmax()
    return LabelledImage(image_tensor(image), _as_long(classes), _as_long(ids), _as_long(labels))


def _as_long(values: AnyArray) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))


def _load_voc(image: VocImage) -> LabelledImage:
    if image.instances is None:
        frame, classes = read_annotated_frame(image.image, image.classes).tensors()
        return LabelledImage(frame, classes, None, torch.zeros(256, dtype=torch.long))
    sample = image.read()
    return _labelled(sample.frame, sample.classes, sample.instances)


def _context(root: Path, subset: str) -> LabelledImages:
    path = root / "ImageSets" / "SegmentationContext" / f"{subset}.txt"
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise InputError(
            f"images: no list at {path} ({error.strerror}); give the root of the data set and "
            "one of its subsets"
        ) from None
    if not names:
        raise InputError(f"images: {path} names no image")
    masks = (read_annotation(root / "SegmentationClassContext" / f"{name}.png") for name in names)
    check_objects(masks, str(path))
    return LabelledImages(
        names,
        60,
        0,
        lambda name: _load_context(root, name),
        _named(root, (path for name in names for path in _context_files(root, name))),
    )


def _context_files(root: Path, name: str) -> tuple[Path, Path]:
    masks = root / "SegmentationClassContext"
    return root / "JPEGImages" / f"{name}.jpg", masks / f"{name}.png"


def _named(root: Path, files: Iterable[Path]) -> tuple[tuple[str, Path], ...]:
    return tuple((path.relative_to(root).as_posix(), path) for path in files)


def _load_context(root: Path, name: str) -> LabelledImage:
    image, classes = read_annotated_frame(*_context_files(root, name)).tensors()
    return LabelledImage(image, classes, None, torch.zeros(256, dtype=torch.long))


def _cityscapes(root: Path, subset: str) -> LabelledImages:
    ending = "_leftImg8bit.png"
    images = sorted((root / "leftImg8bit" / subset).glob(f"*/*{ending}"))
    if not images:
        raise InputError(
            f"images: no *{ending} below {root / 'leftImg8bit' / subset}; expected the "
            "root of Cityscapes"
        )
    names = tuple(f"{p.parent.name}/{p.name.removesuffix(ending)}" for p in images)
    return LabelledImages(
        names,
        19,
        19,
        lambda name: _load_cityscapes(root, subset, name),
        _named(root, (path for name in names for path in _cityscapes_files(root, subset, name))),
    )


def _cityscapes_files(root: Path, subset: str, name: str) -> tuple[Path, Path, Path]:
    """Return the image, its classes and its instances."""
    truth = root / "gtFine" / subset
    return (
        root / "leftImg8bit" / subset / f"{name}_leftImg8bit.png",
        truth / f"{name}_gtFine_labelIds.png",
        truth / f"{name}_gtFine_instanceIds.png",
    )


def _load_cityscapes(root: Path, subset: str, name: str) -> LabelledImage:
    table = np.full(256, VOID, dtype=np.int64)
    table[list(CITYSCAPES_TRAIN_IDS)] = np.arange(len(CITYSCAPES_TRAIN_IDS))
    picture, kinds, instances = _cityscapes_files(root, subset, name)
    classes = table[read_annotation(kinds)]
    numbers = _read_instance_numbers(instances)
    ids = np.zeros_like(numbers)
    labels = torch.zeros(256, dtype=torch.long)
    # More than 254 instances do not fit into one byte; the rest of the largest crowds is void.
    for place, number in enumerate(np.unique(numbers[numbers >= _CITYSCAPES_FACTOR]), start=1):
        known = table[number // _CITYSCAPES_FACTOR] != VOID and place < VOID
        ids[numbers == number] = place if known else VOID
        if known:
            labels[place] = int(table[number // _CITYSCAPES_FACTOR]) + 1
    image = read_image(picture)
    return LabelledImage(image_tensor(image), _as_long(classes), _as_long(ids), labels)


def _read_instance_numbers(path: Path) -> IntArray:
    """Read the 16-bit values that hold both label and instance."""
    try:
        with Image.open(path) as image:
            return np.array(image).astype(np.int64)
    except OSError as error:
        raise InputError(f"images: {path} cannot be read ({error})") from None


def _davis(root: Path, subset: str) -> LabelledImages:
    frames = {
        f"{sequence.name}/{files.image.stem}": files
        for sequence in open_davis(root, year=2017, subset=subset)
        for files in annotated_frames([sequence])
    }
    check_objects((files.read_labels() for files in frames.values()), f"DAVIS 2017 {subset}")

    def load(name: str) -> LabelledImage:
        frame = frames[name].read()
        return _labelled(frame.image, merge_objects(frame.labels), frame.labels)

    files = (file for frame in frames.values() for file in (frame.image, frame.annotation))
    return LabelledImages(tuple(frames), 2, 1, load, _named(root, files))
