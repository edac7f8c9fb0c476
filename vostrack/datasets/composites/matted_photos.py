"""Photographs with alpha mattes: which of them show one clean object, and what it looks like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vostrack.checks import check_fraction
from vostrack.datasets.annotated_frames import AnnotatedFrame
from vostrack.errors import InputError
from vostrack.files import atomic_path, parse_json
from vostrack.video.images import images_in_folder, read_image

__all__ = [
    "MatteFilter",
    "MattedPhoto",
    "annotated_photo",
    "clean_photos",
    "is_held_out",
    "measure_photo",
    "passes_filter",
    "read_cutout",
    "read_matte",
    "scan_matted_photos",
]

UInt8Array = NDArray[np.uint8]

# Raised when a measure below changes, so that older index files are not read.
_INDEX_VERSION = 1
# A matte's own soft rim: what is fainter is background, what is denser is the object.
_FAINT, _DENSE = 0.1, 0.9


@dataclass(frozen=True)
class MatteFilter:
    """Which mattes are clean enough to cut an object out.

    Attributes:
        soft: largest share of pixels whose alpha lies between 0.1 and 0.9. Failed mattes and
            groups have 0.1 and more.
        area: lowest and highest share of the photograph that the object covers.
        largest_piece: lowest share of the object that hangs together.
    """

    soft: float = 0.06
    area: tuple[float, float] = (0.01, 0.80)
    largest_piece: float = 0.7

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        check_fraction(self, "soft", "largest_piece")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise InputError(f"area: expected 0 <= lowest < highest <= 1, got {self.area}")


@dataclass(frozen=True)
class MattedPhoto:
    """One photograph and what was measured of its matte; no pixels.

    Attributes:
        name: file name without suffix.
        image: the photograph.
        matte: its alpha, 8-bit gray PNG.
        size: H and W, pixels.
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


def passes_filter(photo: MattedPhoto, limits: MatteFilter) -> bool:
    """Whether a photograph shows one clean object."""
    return (
        photo.soft < limits.soft
        and limits.area[0] <= photo.area <= limits.area[1]
        and photo.largest_piece >= limits.largest_piece
    )


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
    pairs = [(path, mattes / f"{path.stem}.png") for path in images_in_folder(images)]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not pairs:
        raise InputError(
            f"objects: no photograph of {images} has its matte in {mattes}; expected "
            "Mattes/NAME.png for JPEGImages/NAME.jpg"
        )
    key = _fingerprint(pairs)
    photos = _read_index(index, key, pairs) if index is not None else None
    if photos is None:
        photos = [measure_photo(image, matte) for image, matte in pairs]
        if index is not None:
            _write_index(index, key, photos)
    return photos


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
    limits = limits or MatteFilter()
    photos = scan_matted_photos(folder, index=index)
    clean = [p for p in photos if passes_filter(p, limits) and not is_held_out(p.name)]
    if not clean:
        raise InputError(
            f"photos: none of the {len(photos)} mattes of {folder} shows one clean object; "
            "see MatteFilter for what counts as one"
        )
    return clean


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
    return MattedPhoto(image.stem, image, matte, (height, width), soft, share, piece, box, colour)


def read_matte(path: Path) -> UInt8Array:
    """Read an alpha matte.

    Returns:
        (H, W) uint8, 255 where the object is opaque.

    Raises:
        InputError: it is no image.
    """
    return np.ascontiguousarray(read_image(path)[..., 0])


def annotated_photo(photo: MattedPhoto) -> AnnotatedFrame:
    """Read a photograph with id 1 where its object is opaque to at least one half."""
    opaque = read_matte(photo.matte) >= 128
    return AnnotatedFrame(read_image(photo.image), opaque.astype(np.uint8))


def read_cutout(photo: MattedPhoto) -> UInt8Array:
    """Cut the object out of its photograph.

    Along the soft rim a photograph shows a mixture of object and background; there the colour of
    the opaque part nearby is taken, so that no halo of the old background comes along.

    Returns:
        (h, w, 4) uint8 RGBA, colours not multiplied by alpha, cropped to the object and a margin.
    """
    pixels, alpha = read_image(photo.image), read_matte(photo.matte)
    margin = 4
    x0, y0, x1, y1 = photo.box
    rows = slice(max(y0 - margin, 0), y1 + margin)
    columns = slice(max(x0 - margin, 0), x1 + margin)
    pixels, alpha = pixels[rows, columns], alpha[rows, columns]
    # Isolated specks beside the object would fly along with it.
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((alpha >= 26).astype(np.uint8))
    if count > 2:
        small = stats[:, cv2.CC_STAT_AREA] < 0.02 * stats[1:, cv2.CC_STAT_AREA].max()
        alpha = np.where(small[pieces], 0, alpha).astype(np.uint8)
    # Faint haze goes, and the rim becomes a little steeper: mattes err towards the background.
    hard = np.clip((alpha.astype(np.float32) / 255 - 0.12) / 0.80, 0, 1)
    core = cv2.erode((alpha >= 230).astype(np.float32), np.ones((3, 3), np.uint8))
    inside = pixels.astype(np.float32)
    weight = cv2.GaussianBlur(core, (0, 0), 3.0)
    spread = cv2.GaussianBlur(inside * core[..., None], (0, 0), 3.0)
    filled = spread / np.maximum(weight, 1e-3)[..., None]
    keep = np.where(weight > 0.02, core, 1.0)[..., None]
    colours = inside * keep + filled * (1 - keep)
    out = np.empty((*alpha.shape, 4), np.uint8)
    out[..., :3] = np.clip(colours + 0.5, 0, 255)
    out[..., 3] = np.clip(hard * 255 + 0.5, 0, 255)
    return out


def _fingerprint(pairs: Sequence[tuple[Path, Path]]) -> str:
    digest = hashlib.blake2s(str(_INDEX_VERSION).encode())
    for pair in pairs:
        for path in pair:
            status = path.stat()
            digest.update(f"{path}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read_index(
    path: Path, key: str, pairs: Sequence[tuple[Path, Path]]
) -> list[MattedPhoto] | None:
    """The measures of an earlier run; None where there are none for just these files."""
    try:
        stored = parse_json(path.read_text(encoding="utf-8"))
        if stored["key"] != key:
            return None
        return [
            MattedPhoto(
                image.stem,
                image,
                matte,
                (row["size"][0], row["size"][1]),
                row["soft"],
                row["area"],
                row["largest_piece"],
                tuple(row["box"]),
                tuple(row["colour"]),
            )
            for (image, matte), row in zip(pairs, stored["photos"], strict=True)
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _write_index(path: Path, key: str, photos: Sequence[MattedPhoto]) -> None:
    rows = [
        {name: value for name, value in asdict(photo).items() if name not in ("image", "matte")}
        for photo in photos
    ]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "photos": rows}), encoding="utf-8")
