"""PASCAL VOC and SBD: images with class masks and instance masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vostrack.arrays import IntArray, UInt8Array
from vostrack.datasets.annotated_frames import check_objects
from vostrack.datasets.mat_files import MatVariable, read_mat_mask
from vostrack.errors import InputError
from vostrack.files import read_lines
from vostrack.masks.palette import VOID, read_label_map
from vostrack.video.images import read_image

__all__ = ["VocImage", "VocSample", "open_voc"]


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
            InputError: a file is missing or cannot be read, the sizes differ, or there is no
                instance mask.
        """
        if self.instances is None:
            raise InputError(f"{self.name}: there is no instance mask; expected SegmentationObject")
        frame = read_image(self.image)
        classes = _read_mask(self.classes, "GTcls")
        instances = _read_mask(self.instances, "GTinst")
        if not classes.shape == instances.shape == frame.shape[:2]:
            raise InputError(
                f"{self.name}: image {frame.shape[:2]}, class mask {classes.shape} and instance "
                f"mask {instances.shape} must have the same size"
            )
        return VocSample(frame, classes, instances)


def open_voc(
    root: str | Path, subset: str = "train", *, instances: bool = True
) -> tuple[VocImage, ...]:
    """Find the images of a subset.

    Args:
        root: a VOC folder (JPEGImages, SegmentationClass, SegmentationObject,
            ImageSets/Segmentation/SUBSET.txt), or SBD's (img, cls, inst and SUBSET.txt, in the
            folder itself or in ``dataset`` below it).
        subset: name of the list.
        instances: whether SegmentationObject must be there; it is missing in the augmented VOC,
            which has masks of classes only.

    Raises:
        InputError: a folder or the list is missing, the list is empty, or names a missing file, or
            no class mask shows an object.
    """
    root = Path(root)
    if (root / "dataset" / "inst").is_dir():
        root = root / "dataset"
    if (root / "inst").is_dir():
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
    names = [name for line in read_lines(listing) for name in line.split()]
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
    return images


def _read_mask(path: Path, variable: MatVariable) -> UInt8Array:
    return read_mat_mask(path, variable) if path.suffix == ".mat" else read_label_map(path)
