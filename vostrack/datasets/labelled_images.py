"""Labelled images in the layouts of PASCAL VOC, SBD, Cityscapes, PASCAL-Context and DAVIS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import AnyArray, UInt8Array
from vostrack.datasets.annotated_frames import (
    FrameFiles,
    annotated_frames,
    check_objects,
    image_tensor,
    merge_objects,
    read_annotated_frame,
    read_annotation,
)
from vostrack.datasets.cityscapes import CITYSCAPES_TRAIN_IDS, open_cityscapes
from vostrack.datasets.davis import open_davis
from vostrack.datasets.sample_checks import (
    check_classes,
    check_each,
    whole_size,
)
from vostrack.datasets.voc import CLASSES, VocImage, listed_images, open_voc
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = [
    "CITYSCAPES_TRAIN_IDS",
    "LabelledImage",
    "LabelledImages",
    "Layout",
    "open_labelled_images",
]

Layout = Literal["voc", "sbd", "cityscapes", "context", "davis"]

_CONTEXT_CLASSES = 60


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
        InputError: unknown layout, something is missing, an image or mask is cut off or cannot be
            read, they differ in size, no mask shows an object, or a mask of ``voc``, ``sbd`` or
            ``context`` holds a value that is no class.
    """
    if layout not in get_args(Layout):
        raise InputError(f"layout: expected one of {', '.join(get_args(Layout))}, got {layout!r}")
    if layout == "cityscapes":
        return _cityscapes(root, subset)
    if layout == "davis":
        return _davis(root, subset)
    if layout == "context":
        return _context(root, subset)
    found = open_voc(root, subset, instances=False, release=layout)
    images = {image.name: image for image in found}
    with_instances = next(iter(images.values())).instances is not None
    count = 20 if with_instances else 0
    files = tuple(file for image in images.values() for file in image.named_files())
    return LabelledImages(
        tuple(images), CLASSES, count, lambda name: _load_voc(images[name]), files
    )


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
        frame, classes = image.read_classes()
        return _without_instances(frame, classes)
    sample = image.read()
    return _labelled(sample.frame, sample.classes, sample.instances)


def _context(root: Path, subset: str) -> LabelledImages:
    path = root / "ImageSets" / "SegmentationContext" / f"{subset}.txt"
    if not path.is_file():
        raise InputError(
            f"images: no list at {path}; give the root of the data set and one of its subsets"
        )
    names = tuple(listed_images(path, root / "JPEGImages"))
    if not names:
        raise InputError(f"images: {path} names no image")
    masks = (read_annotation(_context_files(root, name)[1]) for name in names)
    check_objects(masks, str(path))
    check_each(lambda name: _check_context(*_context_files(root, name)), names)
    return LabelledImages(
        names,
        _CONTEXT_CLASSES,
        0,
        lambda name: _load_context(root, name),
        _named(root, (path for name in names for path in _context_files(root, name))),
    )


def _context_files(root: Path, name: str) -> tuple[Path, Path]:
    masks = root / "SegmentationClassContext"
    return root / "JPEGImages" / f"{name}.jpg", masks / f"{name}.png"


def _named(root: Path, files: Iterable[Path]) -> tuple[tuple[str, Path], ...]:
    return tuple((path.relative_to(root).as_posix(), path) for path in files)


def _check_context(image: Path, mask: Path) -> None:
    classes = read_annotation(mask)
    check_classes(classes, _CONTEXT_CLASSES, mask)
    if whole_size(image) != classes.shape:
        read_annotated_frame(image, mask)


def _load_context(root: Path, name: str) -> LabelledImage:
    image, mask = _context_files(root, name)
    frame = read_annotated_frame(image, mask)
    check_classes(frame.labels, _CONTEXT_CLASSES, mask)
    return _without_instances(frame.image, frame.labels)


def _without_instances(image: UInt8Array, classes: UInt8Array) -> LabelledImage:
    nothing = torch.zeros(256, dtype=torch.long)
    return LabelledImage(image_tensor(image), _as_long(classes), None, nothing)


def _cityscapes(root: Path, subset: str) -> LabelledImages:
    images = {image.name: image for image in open_cityscapes(root, subset)}
    classes = len(CITYSCAPES_TRAIN_IDS)

    def load(name: str) -> LabelledImage:
        sample = images[name].read()
        return LabelledImage(
            image_tensor(sample.frame),
            _as_long(sample.classes),
            _as_long(sample.instances),
            _as_long(sample.labels),
        )

    files = (path for image in images.values() for path in image.files)
    return LabelledImages(tuple(images), classes, classes, load, _named(root, files))


def _davis(root: Path, subset: str) -> LabelledImages:
    frames = {
        f"{sequence.name}/{files.image.stem}": files
        for sequence in open_davis(root, year=2017, subset=subset)
        for files in annotated_frames([sequence])
    }
    check_objects((files.read_labels() for files in frames.values()), f"DAVIS 2017 {subset}")
    check_each(FrameFiles.check, frames.values())

    def load(name: str) -> LabelledImage:
        frame = frames[name].read()
        return _labelled(frame.image, merge_objects(frame.labels), frame.labels)

    files = (file for frame in frames.values() for file in (frame.image, frame.annotation))
    return LabelledImages(tuple(frames), 2, 1, load, _named(root, files))
