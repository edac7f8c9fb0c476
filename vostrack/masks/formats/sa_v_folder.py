"""The validation and test masks of SA-V: a folder for each object, a binary PNG for each frame.

Masks are those of every fourth frame, and files carry the number of the frame:
``Annotations_6fps/VIDEO/000/00004.png``. Objects may overlap; the later folder gets the pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vostrack.arrays import IntArray
from vostrack.errors import InputError
from vostrack.file_order import natural_order
from vostrack.masks.formats.image_folder import images_in, values_of
from vostrack.masks.formats.label_stack import LabelStack, frames_of_stems
from vostrack.masks.palette import VOID

__all__ = ["is_layout", "read"]


def is_layout(folder: Path) -> bool:
    """Tell whether a folder has numbered subfolders of images named after frames, and no images."""
    objects = _objects(folder)
    if not objects or images_in(folder):
        return False
    return all(path.stem.isdecimal() for place in objects for path in images_in(place))


def _objects(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.is_dir() and p.name.isdecimal() and images_in(p)]
    return sorted(found, key=lambda p: natural_order(p.name))


def read(folder: Path) -> LabelStack:
    """Read the masks of a video.

    Raises:
        InputError: there are more than 254 objects, or masks differ in size.
    """
    places = _objects(folder)
    if len(places) >= VOID:
        raise InputError(f"{folder}: contains {len(places)} objects, expected 1 to 254; split it")
    stems = sorted({p.stem for place in places for p in images_in(place)}, key=natural_order)
    files = [{path.stem: path for path in images_in(place)} for place in places]
    first = values_of(next(iter(files[0].values())))
    size = (first.shape[0], first.shape[1])

    def read_frame(position: int) -> IntArray:
        labels = np.zeros(size, np.int64)
        for number, paths in enumerate(files, start=1):
            path = paths.get(stems[position])
            values = None if path is None else values_of(path)
            if values is not None and values.shape != size:
                raise InputError(
                    f"{path}: has {values.shape[1]}x{values.shape[0]} pixels, expected "
                    f"{size[1]}x{size[0]}; give the masks of one video"
                )
            if values is not None:
                labels[values > 0] = number
        return labels

    names: dict[int, tuple[str, str | None]] = {
        number: (place.name, "object") for number, place in enumerate(places, start=1)
    }
    return LabelStack(size, frames_of_stems(stems), read_frame, names=names, source=folder.name)
