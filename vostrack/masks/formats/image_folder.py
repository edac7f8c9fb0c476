"""Folders of label maps, one image for each frame: palette PNG of DAVIS, and MOTS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.arrays import IntArray
from vostrack.errors import InputError
from vostrack.file_order import in_natural_order
from vostrack.files import check_link
from vostrack.masks.formats.label_stack import LabelStack, frames_of_stems
from vostrack.masks.formats.losses import losses
from vostrack.masks.formats.mots_classes import IGNORED, class_name
from vostrack.masks.image_opening import open_image, upright
from vostrack.masks.palette import VOID, write_label_map
from vostrack.masks.stored_samples import stored_maximum, stored_samples
from vostrack.masks.video_masks import VideoMasks

__all__ = ["has_mots_values", "images_in", "read_stack", "values_of", "write"]

_SUFFIXES = frozenset({".bmp", ".gif", ".pgm", ".png", ".tif", ".tiff"})


def images_in(folder: Path) -> list[Path]:
    """Return the label maps in a folder, in natural order.

    Raises:
        InputError: one is a link to a file that is missing.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    for path in found:
        check_link(path)
    return in_natural_order(path for path in found if path.is_file())


def values_of(path: Path) -> IntArray:
    """Read the values of a palette or gray image, which are not interpreted.

    Its orientation is applied, as to frames.

    Raises:
        InputError: the file is damaged, or it is a colour image.
    """
    image, _ = upright(open_image(path))
    values = np.asarray(image)
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise InputError(
            f"{path}: expected a palette or gray image of ids, got mode {image.mode}; save the "
            "label maps as indexed PNG"
        )
    maximum = stored_maximum(path, image)
    found = values.astype(np.int64)
    return found if maximum is None else stored_samples(found, maximum)


def has_mots_values(path: Path) -> bool:
    """Tell whether an image contains values of MOTS and no others."""
    try:
        with Image.open(path) as image:
            if not image.mode.startswith("I"):
                return False
        values = np.unique(values_of(path))
    except (InputError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    values = values[values > 0]
    return bool(values.size and values.min() >= 1000 and values.max() < 65000)


def read_stack(paths: Sequence[Path], origin: str) -> LabelStack:
    """Read label maps in image files.

    Values from 1000 to 65000 in 16-bit images are those of MOTS: class x 1000 + instance.

    Args:
        paths: a file for each frame, in order.
        origin: name of the folder in messages.

    Raises:
        InputError: there is no image.
    """
    if not paths:
        raise InputError(f"{origin}: contains no label map, expected PNG files; check the path")
    first = values_of(paths[0])
    size = (first.shape[0], first.shape[1])

    def read(position: int) -> IntArray:
        values = values_of(paths[position])
        if values.shape != size:
            raise InputError(
                f"{paths[position]}: has {values.shape[1]}x{values.shape[0]} pixels, expected "
                f"{size[1]}x{size[0]} as {paths[0].name}; give the frames of one video"
            )
        return values

    stack = LabelStack(size, frames_of_stems([path.stem for path in paths]), read)
    with Image.open(paths[0]) as image:
        return _mots(stack) if image.mode.startswith("I") else stack


def _mots(stack: LabelStack) -> LabelStack:
    """Name the values of MOTS, if all of them are."""
    found: set[int] = set()
    for position in range(len(stack.frames)):
        found |= set(np.unique(stack.read(position)).tolist())
    found -= {0}
    if not found or not all(1000 <= n < 65000 for n in found):
        return LabelStack(stack.size, stack.frames, stack.read, frozenset({65535}))
    ignored = frozenset({IGNORED * 1000})
    names = {n: (str(n % 1000), class_name(n // 1000)) for n in found - ignored}
    distinct = len({n % 1000 for n in names}) == len(names) and 0 not in {n % 1000 for n in names}
    if not distinct or max((n % 1000 for n in names), default=VOID) >= VOID:
        names = {n: (str(n), kind) for n, (_, kind) in names.items()}
        return LabelStack(stack.size, stack.frames, stack.read, ignored, names)

    def read(position: int) -> IntArray:
        values = stack.read(position)
        void = values == IGNORED * 1000
        return np.where(void, VOID, values % 1000)

    plain = {n % 1000: entry for n, entry in names.items()}
    return LabelStack(stack.size, stack.frames, read, frozenset({VOID}), plain)


def write(masks: VideoMasks, output: Path) -> tuple[str, ...]:
    """Write palette PNG files with the DAVIS palette, as in ``masks`` of a run."""
    for position, frame in enumerate(masks.frames):
        write_label_map(output / f"{frame.name}.png", masks.labels(position))
    return losses(masks, names="all")
