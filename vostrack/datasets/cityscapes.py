"""Cityscapes: images with masks of labels and of instances (Cordts et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.arrays import IntArray, UInt8Array
from vostrack.datasets.annotated_frames import read_annotated_frame, read_annotation
from vostrack.datasets.sample_checks import check_each, check_same_size, whole_size
from vostrack.errors import InputError
from vostrack.masks.palette import VOID

__all__ = ["CITYSCAPES_TRAIN_IDS", "CityscapesImage", "CityscapesSample", "open_cityscapes"]

CITYSCAPES_TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label ids of the 19 classes that are scored; class k is the k-th of them, from 0."""

# Instances of label l are numbered 1000 l, 1000 l + 1, ...; smaller values are stuff.
_FACTOR = 1000
_LARGEST = 65535

_TRAIN_ID_OF = np.full(256, VOID, dtype=np.uint8)
_TRAIN_ID_OF[list(CITYSCAPES_TRAIN_IDS)] = np.arange(len(CITYSCAPES_TRAIN_IDS))


@dataclass(frozen=True)
class CityscapesSample:
    """One image with its masks.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
        classes: (H, W) uint8, the scored classes 0..18, 255 void.
        instances: (H, W) uint8, 0 none, 1..N the instances, 255 void.
        labels: (256,) int64, the class of each instance, from 1; 0 for ids that do not occur.
    """

    frame: UInt8Array
    classes: UInt8Array
    instances: UInt8Array
    labels: IntArray


@dataclass(frozen=True)
class CityscapesImage:
    """Where one image and its masks lie.

    Attributes:
        name: city and image, such as ``ulm/ulm_000000_000019``.
        files: the image, its labels and its instances.
    """

    name: str
    files: tuple[Path, Path, Path]

    def check(self) -> None:
        """Check what reading would, from headers and ends of the files where these tell enough.

        Raises:
            InputError: as ``read``.
        """
        size = whole_size(self.files[0])
        if size is None or any(whole_size(mask, mask=True) != size for mask in self.files[1:]):
            self._read_files()

    def read(self) -> CityscapesSample:
        """Read the image and its masks.

        Raises:
            InputError: a file is missing or cannot be read, holds colours instead of numbers, or
                the sizes differ.
        """
        frame, kinds, numbers = self._read_files()
        ids = np.zeros(numbers.shape, dtype=np.uint8)
        labels = np.zeros(256, dtype=np.int64)
        # More than 254 instances do not fit into one byte; the rest of the largest crowds is void.
        for place, number in enumerate(np.unique(numbers[numbers >= _FACTOR]), start=1):
            kind = int(_TRAIN_ID_OF[number // _FACTOR])
            known = kind != VOID and place < VOID
            ids[numbers == number] = place if known else VOID
            if known:
                labels[place] = kind + 1
        return CityscapesSample(frame, _TRAIN_ID_OF[kinds], ids, labels)

    def _read_files(self) -> tuple[UInt8Array, UInt8Array, IntArray]:
        picture, kinds, instances = self.files
        frame, numbers = read_annotated_frame(picture, kinds), _instance_numbers(instances)
        check_same_size(instances, numbers.shape, picture, frame.labels.shape)
        return frame.image, frame.labels, numbers


def open_cityscapes(root: Path, subset: str) -> tuple[CityscapesImage, ...]:
    """Find the images of a subset.

    Args:
        root: holds ``leftImg8bit/SUBSET`` and ``gtFine/SUBSET``.
        subset: train, val, ...

    Raises:
        InputError: there is no image, one or a mask of it cannot be used (see
            ``CityscapesImage.read``), or no mask shows a class that is scored.
    """
    ending = "_leftImg8bit.png"
    folder, truth = root / "leftImg8bit" / subset, root / "gtFine" / subset
    names = [
        f"{path.parent.name}/{path.name.removesuffix(ending)}"
        for path in sorted(folder.glob(f"*/*{ending}"))
    ]
    if not names:
        raise InputError(f"images: no *{ending} below {folder}; expected the root of Cityscapes")
    images = tuple(
        CityscapesImage(
            name,
            (
                folder / f"{name}{ending}",
                truth / f"{name}_gtFine_labelIds.png",
                truth / f"{name}_gtFine_instanceIds.png",
            ),
        )
        for name in names
    )
    check_each(CityscapesImage.check, images)
    _check_shown(images, truth)
    return images


def _check_shown(images: Sequence[CityscapesImage], folder: Path) -> None:
    """Read masks until one shows a class."""
    if not any((_TRAIN_ID_OF[read_annotation(image.files[1])] != VOID).any() for image in images):
        raise InputError(
            f"training: no mask in {folder} shows one of the {len(CITYSCAPES_TRAIN_IDS)} classes "
            "that are scored; expected label ids, such as 7 (road) and 26 (car), in *_labelIds.png"
        )


def _instance_numbers(path: Path) -> IntArray:
    """Read the 16-bit values that hold both label and instance."""
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"images: {path} cannot be read ({error})") from None
    if values.ndim != 2 or values.dtype.kind not in "iu" or values.max(initial=0) > _LARGEST:
        raise InputError(
            f"images: {path}: expected a gray PNG of 16 bits that holds 1000 times the label plus "
            f"the instance, got an image with mode {mode} and values up to {values.max(initial=0)}"
        )
    return values.astype(np.int64)
