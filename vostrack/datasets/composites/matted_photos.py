"""Photographs with alpha mattes: which of them show one clean object, and what it looks like."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.annotated_frames import AnnotatedFrame
from vostrack.datasets.composites.matte_filter import MatteFilter, matte_fault
from vostrack.datasets.composites.mattes import read_matte
from vostrack.datasets.composites.photo_index import fingerprint, read_index, write_index
from vostrack.errors import InputError
from vostrack.video.images import images_in_folder, read_image

__all__ = [
    "MattedPhoto",
    "PhotoChoice",
    "annotated_photo",
    "choose_photos",
    "clean_photos",
    "is_held_out",
    "measure_photo",
    "scan_matted_photos",
]

UInt8Array = NDArray[np.uint8]

logger = logging.getLogger(__name__)

# A matte's own soft rim: what is fainter is background, what is denser is the object.
_FAINT, _DENSE = 0.1, 0.9


@dataclass(frozen=True)
class MattedPhoto:
    """One photograph and what was measured of its matte; no pixels.

    Attributes:
        name: file name without suffix.
        image: the photograph.
        matte: its alpha; see ``read_matte``.
        size: H and W, pixels.
        peak: highest alpha, 0..255.
        soft: share of pixels with alpha in 0.1 .. 0.9.
        area: share of pixels with alpha of at least 0.5.
        largest_piece: share of these that hang together.
        box: of these, (x0, y0, x1, y1), pixels, the end exclusive.
        colour: mean (L, a, b) of the object, 0..255 each, and the standard deviation of L.
    """

    name: str
    image: Path
    matte: Path
    size: tuple[int, int]
    peak: int
    soft: float
    area: float
    largest_piece: float
    box: tuple[int, int, int, int]
    colour: tuple[float, float, float, float]


def is_held_out(name: str, share: float = 0.15) -> bool:
    """Decide by its name alone whether an item belongs to the validation set.

    The same name always falls on the same side, whatever else lies in the folder.

    Args:
        name: of a photograph, a still or a sequence.
        share: of the names that are held out, 0..1.
    """
    digest = hashlib.blake2s(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < share * 2**32


def scan_matted_photos(folder: Path, *, index: Path | None = None) -> list[MattedPhoto]:
    """Measure every photograph that has a matte.

    Args:
        folder: holds ``JPEGImages/NAME.*`` and ``Mattes/NAME.png``.
        index: file that keeps the measures from one run to the next (a thousand photographs take
            some ten seconds); it is measured anew when names, sizes or dates of the files change.

    Returns:
        The photographs in the order of their names, good and bad.

    Raises:
        InputError: the folder lacks one of the two, or no photograph has a matte.
    """
    images, mattes = folder / "JPEGImages", folder / "Mattes"
    for part in (images, mattes):
        if not part.is_dir():
            raise InputError(
                f"objects: {part} is no folder; expected {folder} to hold JPEGImages/NAME.jpg "
                "(or .png, .webp) and Mattes/NAME.png"
            )
    pairs = [(path, mattes / f"{path.stem}.png") for path in _distinct(images)]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not pairs:
        raise InputError(
            f"objects: no photograph of {images} has its matte in {mattes}; expected "
            "Mattes/NAME.png for JPEGImages/NAME.jpg"
        )
    key = fingerprint(path for pair in pairs for path in pair)
    rows = read_index(index, key) if index is not None else None
    photos = None if rows is None else _of_index(rows, pairs)
    if photos is None:
        photos = [measure_photo(image, matte) for image, matte in pairs]
        if index is not None:
            names = ("image", "matte")
            rows = [{k: v for k, v in asdict(p).items() if k not in names} for p in photos]
            write_index(index, key, rows)
    return photos


def _distinct(folder: Path) -> list[Path]:
    """Return the images of a folder, of which no two may have one matte."""
    paths: dict[str, Path] = {}
    for path in images_in_folder(folder):
        other = paths.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{folder}: {other.name} and {path.name} have the same name, and so the same "
                "matte; keep one of them"
            )
    return list(paths.values())


def _of_index(
    rows: Sequence[dict[str, Any]], pairs: Sequence[tuple[Path, Path]]
) -> list[MattedPhoto] | None:
    """Make photographs of what ``read_index`` returned; None where it is damaged."""
    try:
        return [
            MattedPhoto(
                image.stem,
                image,
                matte,
                (row["size"][0], row["size"][1]),
                row["peak"],
                row["soft"],
                row["area"],
                row["largest_piece"],
                tuple(row["box"]),
                tuple(row["colour"]),
            )
            for (image, matte), row in zip(pairs, rows, strict=True)
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        return None


@dataclass(frozen=True)
class PhotoChoice:
    """The photographs of a folder that have mattes.

    Attributes:
        clean: those that show one clean object.
        others: those that do not.
    """

    clean: list[MattedPhoto]
    others: list[MattedPhoto]


def choose_photos(
    folder: Path, *, limits: MatteFilter | None = None, index: Path | None = None
) -> PhotoChoice:
    """Find the photographs that show one clean object; the log counts the others, and says why.

    Args:
        folder: see ``scan_matted_photos``.
        limits: which mattes are good enough.
        index: see ``scan_matted_photos``.

    Raises:
        InputError: the folder is unsuitable, or none of the photographs shows one clean object.
    """
    limits = limits or MatteFilter()
    photos = scan_matted_photos(folder, index=index)
    faults = [matte_fault(photo, limits) for photo in photos]
    counts = Counter(fault for fault in faults if fault is not None)
    reasons = [f"{count} {fault}" for fault, count in counts.most_common()]
    chosen = PhotoChoice(
        [photo for photo, fault in zip(photos, faults, strict=True) if fault is None],
        [photo for photo, fault in zip(photos, faults, strict=True) if fault is not None],
    )
    if not chosen.clean:
        raise InputError(
            f"none of the {len(photos)} mattes of {folder} shows one clean object: "
            f"{', '.join(reasons)}; expected 255 where it is opaque; see MatteFilter for what "
            "counts as one"
        )
    lacking = len(images_in_folder(folder / "JPEGImages")) - len(photos)
    if lacking:
        reasons.append(f"{lacking} missing")
    if reasons:
        logger.info(
            "%d of %d photographs of %s show one clean object; the mattes of the others: %s",
            len(chosen.clean),
            len(photos) + lacking,
            folder,
            ", ".join(reasons),
        )
    return chosen


def clean_photos(
    folder: Path, *, limits: MatteFilter | None = None, index: Path | None = None
) -> list[MattedPhoto]:
    """Return the photographs to train on: one clean object each, and none that is held out.

    Args:
        folder: see ``scan_matted_photos``.
        limits: which mattes are good enough.
        index: see ``scan_matted_photos``.

    Raises:
        InputError: the folder is unsuitable, or no photograph is left.
    """
    photos = choose_photos(folder, limits=limits, index=index).clean
    kept = [photo for photo in photos if not is_held_out(photo.name)]
    if not kept:
        raise InputError(
            f"photos: all {len(photos)} photographs of {folder} that show one clean object are "
            "held out for validation, by their names; give more"
        )
    return kept


def measure_photo(image: Path, matte: Path) -> MattedPhoto:
    """Measure one photograph and its matte.

    Raises:
        InputError: one cannot be read, or they differ in size.
    """
    pixels, alpha = read_image(image), read_matte(matte)
    if pixels.shape[:2] != alpha.shape:
        raise InputError(
            f"{matte}: expected the size of {image.name}, {pixels.shape[1]} x {pixels.shape[0]}, "
            f"got {alpha.shape[1]} x {alpha.shape[0]}"
        )
    solid = (alpha >= 128).astype(np.uint8)
    covered = int(solid.sum())
    soft = float(((alpha > _FAINT * 255) & (alpha < _DENSE * 255)).mean())
    box, piece, colour = (0, 0, 0, 0), 0.0, (0.0, 0.0, 0.0, 0.0)
    if covered:
        x, y, w, h = cv2.boundingRect(solid)
        box = (int(x), int(y), int(x + w), int(y + h))
        stats = cv2.connectedComponentsWithStats(solid, connectivity=8)[2]
        piece = float(stats[1:, cv2.CC_STAT_AREA].max()) / covered
        mean, deviation = cv2.meanStdDev(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), mask=solid)
        values = [round(float(v), 2) for v in (*mean[:, 0], deviation[0, 0])]
        colour = (values[0], values[1], values[2], values[3])
    height, width = alpha.shape
    share = covered / alpha.size
    peak = int(alpha.max())
    return MattedPhoto(
        image.stem, image, matte, (height, width), peak, soft, share, piece, box, colour
    )


def annotated_photo(photo: MattedPhoto) -> AnnotatedFrame:
    """Read a photograph with id 1 where its object is opaque to at least one half."""
    opaque = read_matte(photo.matte) >= 128
    return AnnotatedFrame(read_image(photo.image), opaque.astype(np.uint8))
