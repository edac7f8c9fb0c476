"""Labelled pictures in the layouts of PASCAL VOC, SBD, Cityscapes, PASCAL-Context and DAVIS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vostrack.arrays import IntArray
from vostrack.datasets import open_davis
from vostrack.errors import InputError
from vostrack.masks.palette import read_label_map
from vostrack.proposers.hough_voting.targets import VOID

__all__ = ["CITYSCAPES_TRAIN_IDS", "LabelledPicture", "Layout", "Pictures", "open_pictures"]

Layout = Literal["voc", "sbd", "cityscapes", "context", "davis"]

CITYSCAPES_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the 19 classes that are scored; class k is the k-th of them, from 0."""

# Cityscapes counts the instances of label l as 1000 l, 1000 l + 1, ...; smaller values are stuff.
_CITYSCAPES_FACTOR = 1000


@dataclass(frozen=True)
class LabelledPicture:
    """One picture and what is known of its pixels.

    Attributes:
        image: (3, H, W) uint8 RGB.
        classes: (H, W) int64 class of each pixel, 255 void.
        ids: (H, W) int64 instance of each pixel, 0 none, 255 void; None where the layout knows no
            instances.
        labels: (256,) int64, the class of each instance for the localisation network, 1..K; 0 for
            ids that are not there.
    """

    image: Tensor
    classes: Tensor
    ids: Tensor | None
    labels: Tensor


@dataclass(frozen=True)
class Pictures:
    """The pictures of a subset; each is read when asked for.

    Attributes:
        names: of the pictures.
        classes: number L of classes that a semantic network tells apart, with the background where
            the layout has one.
        instance_classes: number K of classes with instances; 0 where there are none.
        load: reads the picture of a name.
    """

    names: tuple[str, ...]
    classes: int
    instance_classes: int
    load: Callable[[str], LabelledPicture]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    def __getitem__(self, index: int) -> LabelledPicture:
        """Read a picture."""
        return self.load(self.names[index])


def open_pictures(layout: Layout, root: Path, subset: str) -> Pictures:
    """Find the pictures of a subset.

    Args:
        layout: ``voc``: ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and
            ``ImageSets/Segmentation/SUBSET.txt``. ``sbd``: the benchmark release, ``img``, ``cls``,
            ``inst`` (.mat) and ``SUBSET.txt``. ``cityscapes``: ``leftImg8bit/SUBSET`` and
            ``gtFine/SUBSET``. ``context``: VOC 2010 with ``SegmentationClassContext`` (PNG of
            0..59) and ``ImageSets/SegmentationContext/SUBSET.txt``; no instances. ``davis``: DAVIS
            2017, every frame, two classes.
        root: the folder that holds these.
        subset: train, val, ...

    Raises:
        InputError: unknown layout, or something is missing.
    """
    if layout not in get_args(Layout):
        raise InputError(f"layout: expected one of {', '.join(get_args(Layout))}, got {layout!r}")
    if layout == "cityscapes":
        return _cityscapes(root, subset)
    if layout == "davis":
        return _davis(root, subset)
    lists = {
        "voc": root / "ImageSets" / "Segmentation" / f"{subset}.txt",
        "sbd": root / f"{subset}.txt",
        "context": root / "ImageSets" / "SegmentationContext" / f"{subset}.txt",
    }
    names = _read_list(lists[layout])
    if layout == "voc":
        return Pictures(names, 21, 20, lambda name: _load_voc(root, name))
    if layout == "sbd":
        return Pictures(names, 21, 20, lambda name: _load_sbd(root, name))
    return Pictures(names, 60, 0, lambda name: _load_context(root, name))


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise InputError(
            f"pictures: no list at {path} ({error.strerror}); give the root of the data set and "
            "one of its subsets"
        ) from None
    if not names:
        raise InputError(f"pictures: {path} names no picture")
    return names


def _read_image(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise InputError(f"pictures: {path} cannot be read ({error})") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _instance_labels(classes: IntArray, ids: IntArray) -> Tensor:
    """Give each instance the class that most of its pixels have."""
    labels = torch.zeros(256, dtype=torch.long)
    for number in np.unique(ids):
        if number not in (0, VOID):
            votes = np.bincount(classes[ids == number], minlength=256)
            votes[[0, VOID]] = 0
            labels[int(number)] = int(votes.argmax())
    return labels


def _labelled(image: Tensor, classes: IntArray, ids: IntArray) -> LabelledPicture:
    return LabelledPicture(
        image, torch.from_numpy(classes), torch.from_numpy(ids), _instance_labels(classes, ids)
    )


def _load_voc(root: Path, name: str) -> LabelledPicture:
    classes = read_label_map(root / "SegmentationClass" / f"{name}.png").astype(np.int64)
    ids = read_label_map(root / "SegmentationObject" / f"{name}.png").astype(np.int64)
    return _labelled(_read_image(root / "JPEGImages" / f"{name}.jpg"), classes, ids)


def _load_sbd(root: Path, name: str) -> LabelledPicture:
    classes = _read_mat(root / "cls" / f"{name}.mat", "GTcls")
    ids = _read_mat(root / "inst" / f"{name}.mat", "GTinst")
    return _labelled(_read_image(root / "img" / f"{name}.jpg"), classes, ids)


def _read_mat(path: Path, variable: str) -> IntArray:
    from scipy.io import loadmat

    try:
        content: Any = loadmat(path, mat_dtype=True)[variable]["Segmentation"][0, 0]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(f"pictures: {path} holds no {variable}.Segmentation ({error})") from None
    return np.asarray(content, dtype=np.int64)


def _load_context(root: Path, name: str) -> LabelledPicture:
    classes = read_label_map(root / "SegmentationClassContext" / f"{name}.png").astype(np.int64)
    return LabelledPicture(
        _read_image(root / "JPEGImages" / f"{name}.jpg"),
        torch.from_numpy(classes),
        None,
        torch.zeros(256, dtype=torch.long),
    )


def _cityscapes(root: Path, subset: str) -> Pictures:
    images = sorted((root / "leftImg8bit" / subset).glob("*/*_leftImg8bit.png"))
    if not images:
        raise InputError(
            f"pictures: no *_leftImg8bit.png below {root / 'leftImg8bit' / subset}; expected the "
            "root of Cityscapes"
        )
    ending = "_leftImg8bit.png"
    names = tuple(f"{p.parent.name}/{p.name.removesuffix(ending)}" for p in images)
    return Pictures(names, 19, 19, lambda name: _load_cityscapes(root, subset, name))


def _load_cityscapes(root: Path, subset: str, name: str) -> LabelledPicture:
    table = np.full(256, VOID, dtype=np.int64)
    table[list(CITYSCAPES_TRAIN_IDS)] = np.arange(len(CITYSCAPES_TRAIN_IDS))
    truth = root / "gtFine" / subset
    classes = table[read_label_map(truth / f"{name}_gtFine_labelIds.png")]
    path = truth / f"{name}_gtFine_instanceIds.png"
    try:
        with Image.open(path) as image:
            numbers = np.array(image).astype(np.int64)
    except OSError as error:
        raise InputError(f"pictures: {path} cannot be read ({error})") from None
    ids = np.zeros_like(numbers)
    labels = torch.zeros(256, dtype=torch.long)
    # More than 254 instances do not fit one byte; the rest of the largest crowds is void.
    for place, number in enumerate(np.unique(numbers[numbers >= _CITYSCAPES_FACTOR]), start=1):
        known = table[number // _CITYSCAPES_FACTOR] != VOID and place < VOID
        ids[numbers == number] = place if known else VOID
        if known:
            labels[place] = int(table[number // _CITYSCAPES_FACTOR]) + 1
    image_tensor = _read_image(root / "leftImg8bit" / subset / f"{name}_leftImg8bit.png")
    return LabelledPicture(image_tensor, torch.from_numpy(classes), torch.from_numpy(ids), labels)


def _davis(root: Path, subset: str) -> Pictures:
    frames: dict[str, tuple[Path, Path]] = {}
    for sequence in open_davis(root, year=2017, subset=subset):
        for frame, annotation in zip(sequence.frames, sequence.annotations, strict=True):
            if annotation is not None:
                frames[f"{sequence.name}/{frame.stem}"] = (frame, annotation)

    def load(name: str) -> LabelledPicture:
        frame, annotation = frames[name]
        ids = read_label_map(annotation).astype(np.int64)
        classes = np.where(ids == VOID, VOID, (ids > 0).astype(np.int64))
        return _labelled(_read_image(frame), classes, ids)

    return Pictures(tuple(frames), 2, 1, load)
