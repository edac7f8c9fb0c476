"""PASCAL VOC and SBD: images with class masks and instance masks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vostrack.arrays import IntArray, UInt8Array
from vostrack.datasets.annotated_frames import check_objects
from vostrack.datasets.mat_files import MatVariable, read_mat_mask
from vostrack.datasets.sample_checks import (
    check_classes,
    check_each,
    check_same_size,
    whole_size,
)
from vostrack.errors import InputError
from vostrack.files import read_lines
from vostrack.masks.palette import VOID, read_label_map
from vostrack.video.images import read_image

__all__ = ["CLASSES", "Release", "VocImage", "VocSample", "listed_images", "open_voc"]

CLASSES = 21
"""Number of classes, with the background."""

Release = Literal["voc", "sbd"]

_NUMBERED = re.compile(r"\s+(?:-1|0|1)$")


@dataclass(frozen=True)
class VocSample:
    """One image with its masks.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
        classes: (H, W) uint8, 0 background, 1..20 the classes, 255 void.
        instances: (H, W) uint8, 0 background, 1..N the instances, 255 void.
    """

    frame: UInt8Array
    classes: UInt8Array
    instances: UInt8Array

    def labels(self) -> IntArray:
        """The class (N,) of each instance 1..N; 0 where it has no pixel."""
        known = self.instances[self.instances != VOID]
        count = int(known.max(initial=0))
        return np.array([self._label(k) for k in range(1, count + 1)], dtype=np.int64)

    def _label(self, instance: int) -> int:
        values = self.classes[(self.instances == instance) & (self.classes != VOID)]
        return int(np.bincount(values).argmax()) if len(values) else 0


@dataclass(frozen=True)
class VocImage:
    """Where one image and its masks lie.

    Attributes:
        name: file name without its suffix.
        image: the JPEG.
        classes: class mask, PNG or (SBD) MAT.
        instances: instance mask, PNG or (SBD) MAT; None if there is none.
    """

    name: str
    image: Path
    classes: Path
    instances: Path | None

    def named_files(self) -> list[tuple[str, Path]]:
        """Return its files, each with a name that does not say where the data set lies."""
        named = (("image", self.image), ("classes", self.classes), ("instances", self.instances))
        return [(f"{kind}/{path.name}", path) for kind, path in named if path is not None]

    def read(self) -> VocSample:
        """Read the image and its masks.

        Raises:
            InputError: a file is missing or cannot be read, the sizes differ, there is no instance
                mask, or the class mask holds other values than 0..20 and 255.
        """
        if self.instances is None:
            raise InputError(f"{self.name}: there is no instance mask; expected SegmentationObject")
        frame, classes = self.read_classes()
        instances = _read_mask(self.instances, "GTinst")
        check_same_size(self.instances, instances.shape, self.image, frame.shape[:2])
        return VocSample(frame, classes, instances)

    def read_classes(self) -> tuple[UInt8Array, UInt8Array]:
        """Read the image (H, W, 3) and its class mask (H, W).

        Raises:
            InputError: a file is missing or cannot be read, the sizes differ, or the mask holds
                other values than 0..20 and 255.
        """
        frame, classes = read_image(self.image), self._class_mask()
        check_same_size(self.classes, classes.shape, self.image, frame.shape[:2])
        return frame, classes

    def check(self) -> None:
        """Check what reading would, with no more of the image than its header and end.

        Raises:
            InputError: as ``read``.
        """
        sizes = {self._class_mask().shape, whole_size(self.image)}
        if self.instances is not None:
            sizes.add(_mask_size(self.instances))
        if len(sizes) > 1:
            self.read_classes() if self.instances is None else self.read()

    def _class_mask(self) -> UInt8Array:
        classes = _read_mask(self.classes, "GTcls")
        check_classes(classes, CLASSES, self.classes)
        return classes


def open_voc(
    root: str | Path,
    subset: str = "train",
    *,
    instances: bool = True,
    release: Release | None = None,
) -> tuple[VocImage, ...]:
    """Find the images of a subset.

    Args:
        root: a VOC folder (JPEGImages, SegmentationClass, SegmentationObject,
            ImageSets/Segmentation/SUBSET.txt), or SBD's (img, cls, inst and SUBSET.txt, in the
            folder itself or in ``dataset`` below it).
        subset: name of the list.
        instances: whether SegmentationObject must be there; it is missing in the augmented VOC,
            which has masks of classes only.
        release: which of the two it must be; None for either.

    Raises:
        InputError: a folder or the list is missing, the list is empty, or names a missing file, an
            image or mask cannot be used (see ``VocImage.read``), no class mask shows an object, or
            the folder is of the other release.
    """
    root = Path(root)
    if (root / "dataset" / "inst").is_dir():
        root = root / "dataset"
    sbd = (root / "inst").is_dir() and not (release == "voc" and (root / "JPEGImages").is_dir())
    _check_release(root, release, "sbd" if sbd else "voc")
    if sbd:
        folders, suffix, listing = ("img", "cls", "inst"), ".mat", root / f"{subset}.txt"
    else:
        folders, suffix = ("JPEGImages", "SegmentationClass", "SegmentationObject"), ".png"
        listing = root / "ImageSets" / "Segmentation" / f"{subset}.txt"
    with_instances = (root / folders[2]).is_dir()
    needed = folders if instances or with_instances else folders[:2]
    missing = [folder for folder in needed if not (root / folder).is_dir()]
    if missing or not listing.is_file():
        absent = ", ".join([*missing, *([] if listing.is_file() else [str(listing)])])
        raise InputError(
            f"VOC root {root}: no {absent}; expected JPEGImages, SegmentationClass, "
            "SegmentationObject and ImageSets/Segmentation/SUBSET.txt, or SBD's img, cls, inst and "
            "SUBSET.txt"
        )
    names = listed_images(listing, root / folders[0])
    images = tuple(
        VocImage(
            name,
            root / folders[0] / f"{name}.jpg",
            root / folders[1] / f"{name}{suffix}",
            root / folders[2] / f"{name}{suffix}" if with_instances else None,
        )
        for name in names
    )
    if not images:
        raise InputError(f"{listing} lists no image; choose another subset")
    for image in images:
        for path in (image.image, image.classes, image.instances):
            if path is not None and not path.is_file():
                raise InputError(f"{listing} lists {image.name}, but there is no {path}")
    check_objects((_read_mask(image.classes, "GTcls") for image in images), str(listing))
    check_each(VocImage.check, images)
    return images


def listed_images(listing: Path, images: Path) -> list[str]:
    """Read the names of images from a list of VOC, one on each line.

    The lists of one class have a number after the name, which says whether the image shows it.

    Args:
        listing: the list.
        images: folder of the JPEG files, which tell a number from the end of a name.

    Raises:
        InputError: the list cannot be read, or is not in UTF-8.
    """
    return [
        line if (images / f"{line}.jpg").is_file() else _NUMBERED.sub("", line)
        for line in read_lines(listing)
    ]


def _check_release(root: Path, wanted: Release | None, found: Release) -> None:
    """Refuse a folder of the other release; one that is of neither is left to what follows."""
    folders = {"voc": "JPEGImages", "sbd": "inst"}
    if wanted not in (None, found) and (root / folders[found]).is_dir():
        raise InputError(
            f"layout: expected a folder in the layout {wanted}, got {root}, which holds "
            f"{folders[found]} as in the layout {found}; use `layout={found!r}`"
        )


def _mask_size(path: Path) -> tuple[int, ...] | None:
    return (
        read_mat_mask(path, "GTinst").shape
        if path.suffix == ".mat"
        else whole_size(path, mask=True)
    )


def _read_mask(path: Path, variable: MatVariable) -> UInt8Array:
    return read_mat_mask(path, variable) if path.suffix == ".mat" else read_label_map(path)
