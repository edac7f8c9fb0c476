"""Sources of label maps for training: zip files, folders, DAVIS foregrounds, drawn shapes."""

from __future__ import annotations

import io
import math
import threading
import zipfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.checks import check_not_empty
from vostrack.datasets.annotated_frames import annotated_frames, merge_objects
from vostrack.datasets.mat_files import read_mat_mask
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.masks.palette import read_label_map

__all__ = [
    "DrawnMaps",
    "ForegroundMaps",
    "LabelMapFolder",
    "LabelMapSource",
    "LabelMapZip",
    "open_label_maps",
]


class LabelMapSource(Protocol):
    """Label maps by number: (H, W) uint8, 0 background, 255 void, all others classes."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int) -> UInt8Array:
        """Read or draw one; safe from several threads."""
        ...


class LabelMapZip:
    """The PNG files of a zip file, read without unpacking it.

    Attributes:
        excluded: names without suffix of the files that are left out.
    """

    def __init__(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """List the files.

        Args:
            path: zip file.
            exclude: patterns (2007_*) of file names without suffix that are left out.

        Raises:
            InputError: no such file, no zip file, or no PNG in it.
        """
        self._path = Path(path)
        self._thread = threading.local()
        try:
            with zipfile.ZipFile(self._path) as archive:
                names = sorted(n for n in archive.namelist() if n.lower().endswith(".png"))
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"masks: {path} cannot be read as a zip file ({error})") from None
        kept = [name for name in names if not _matches(Path(name).stem, exclude)]
        if not kept:
            raise InputError(f"masks: {path} holds no PNG file, apart from excluded ones")
        self._names = kept
        self.excluded = frozenset(Path(name).stem for name in names) - {Path(n).stem for n in kept}

    def __len__(self) -> int:
        """Return the number of PNG files."""
        return len(self._names)

    def __getitem__(self, index: int) -> UInt8Array:
        """Read one file.

        Raises:
            InputError: the file is no label map.
        """
        # A zip file keeps a position: each thread opens its own.
        archive = getattr(self._thread, "archive", None)
        if archive is None:
            archive = self._thread.archive = zipfile.ZipFile(self._path)
        name = self._names[index]
        with Image.open(io.BytesIO(archive.read(name))) as image:
            values = np.asarray(image)
        if values.ndim != 2:
            raise InputError(
                f"masks: {name} in {self._path} has colours; expected a palette or gray PNG of ids"
            )
        return values.astype(np.uint8)


class LabelMapFolder:
    """Semantic masks as files: PNG (VOC, ADE20K), or MAT as SBD gives its classes.

    Attributes:
        excluded: names without suffix of the files that are left out.
    """

    def __init__(
        self, path: str | Path, *, background: Sequence[int] = (), exclude: Sequence[str] = ()
    ) -> None:
        """List the files.

        Args:
            path: folder; its sub-folders are searched as well.
            background: class ids that have no instances (sky, floor) and count as background.
            exclude: patterns (2007_*) of file names without suffix that are left out.

        Raises:
            InputError: no such folder, or no file in it.
        """
        folder = Path(path)
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".mat"))
        self._files = [path for path in found if not _matches(path.stem, exclude)]
        self.excluded = frozenset(path.stem for path in found if _matches(path.stem, exclude))
        if not self._files:
            raise InputError(
                f"masks: no PNG or MAT file in {folder}, apart from excluded ones; "
                "expected label maps"
            )
        self._table = np.arange(256, dtype=np.uint8)
        self._table[list(background)] = 0

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def __getitem__(self, index: int) -> UInt8Array:
        """Read one file.

        Raises:
            InputError: the file is no label map.
        """
        path = self._files[index]
        values = (
            read_mat_mask(path, "GTcls") if path.suffix.lower() == ".mat" else read_label_map(path)
        )
        return self._table[values]


def open_label_maps(
    paths: Sequence[Path], *, background: Sequence[int] = (), exclude: Sequence[str] = ()
) -> list[LabelMapSource]:
    """Open folders and zip files of semantic masks.

    Args:
        paths: of folders and zip files.
        background: class ids that count as background, in folders.
        exclude: patterns (2007_*) of file names without suffix that are left out.

    Raises:
        InputError: a path is neither, there is no mask in it, or a pattern leaves out no mask
            anywhere, so that what it means would be trained on.
    """
    sources = [
        LabelMapFolder(path, background=background, exclude=exclude)
        if path.is_dir()
        else LabelMapZip(path, exclude=exclude)
        for path in paths
    ]
    left_out = {stem for source in sources for stem in source.excluded}
    for pattern in exclude if sources else ():
        if not any(fnmatchcase(stem, pattern) for stem in left_out):
            raise InputError(
                f"--exclude: {pattern} leaves out none of the masks; expected a pattern of their "
                "names without suffix, such as 2007_*"
            )
    return list(sources)


def _matches(stem: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(stem, pattern) for pattern in patterns)


class ForegroundMaps:
    """The annotated frames of videos with all their objects as one class."""

    def __init__(self, sequences: Sequence[VideoSequence]) -> None:
        """List the frames.

        Raises:
            InputError: none is annotated.
        """
        self._frames = annotated_frames(sequences)
        check_not_empty(self._frames, "annotated frame")

    def __len__(self) -> int:
        """Return the number of annotated frames."""
        return len(self._frames)

    def __getitem__(self, index: int) -> UInt8Array:
        """Read one frame: 1 for the foreground; an annotation's own void stays."""
        return merge_objects(self._frames[index].read_labels())


class DrawnMaps:
    """Label maps of random round shapes, each of one of a few classes, for trial runs."""

    def __init__(self, count: int = 1000, side: int = 256, *, seed: int = 0) -> None:
        """Describe the collection without drawing anything.

        Args:
            count: how many label maps there are.
            side: height and width, pixels.
            seed: of the whole collection.

        Raises:
            InputError: count or side is not positive.
        """
        if count < 1 or side < 1:
            raise InputError(f"drawn maps: expected positive count and side, got {count}, {side}")
        self._count, self._side, self._seed = count, side, seed

    def __len__(self) -> int:
        """Return ``count``."""
        return self._count

    def __getitem__(self, index: int) -> UInt8Array:
        """Draw one; the same index gives the same map."""
        chance = np.random.default_rng([self._seed, index])
        labels = np.zeros((self._side, self._side), dtype=np.uint8)
        for _ in range(int(chance.integers(1, 6))):
            class_id = int(chance.integers(1, 4))
            cv2.fillPoly(labels, [_blob(chance, self._side)], class_id)
        return labels


def _blob(chance: np.random.Generator, side: int) -> NDArray[np.int32]:
    """Draw a stretched circle with a wavy outline, (points, 2) as x, y."""
    angle = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    wave = sum(
        chance.uniform(-0.12, 0.12) * np.cos(k * angle + chance.uniform(0, 2 * math.pi))
        for k in (2, 3, 4)
    )
    radii = side * chance.uniform(0.06, 0.22) * (1 + wave)
    stretch = chance.uniform(0.6, 1.6)
    turn = chance.uniform(0, math.pi)
    x, y = radii * np.cos(angle) * stretch, radii * np.sin(angle) / stretch
    centre = chance.uniform(0, side, 2)
    points = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1
    )
    return np.rint(points + centre).astype(np.int32)
