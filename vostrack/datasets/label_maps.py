"""Sources of label maps for training: zip files, folders, foregrounds of videos."""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets.annotated_frames import check_objects, merge_objects, training_frames
from vostrack.datasets.drawn_maps import DrawnMaps
from vostrack.datasets.mat_files import read_mat_mask
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.masks.palette import VOID, parse_label_map, read_label_map

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
        names: of the files, without suffix.
        excluded: names without suffix of the files that are left out.
    """

    def __init__(
        self, path: str | Path, *, background: Sequence[int] = (), exclude: Sequence[str] = ()
    ) -> None:
        """List the files.

        Args:
            path: zip file.
            background: class ids that have no instances (sky, floor) and count as background.
            exclude: patterns (2007_*) of file names without suffix that are left out.

        Raises:
            InputError: no such file, no zip file, no PNG in it, or a background id that is none.
        """
        self._path = Path(path)
        self._thread = threading.local()
        try:
            with zipfile.ZipFile(self._path) as archive:
                found = sorted(n for n in archive.namelist() if n.lower().endswith(".png"))
        except FileNotFoundError:
            raise InputError(
                f"masks: there is no {path}; expected a folder of PNG or MAT files, or a zip file "
                "of PNG files"
            ) from None
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(
                f"masks: {path} cannot be read as a zip file ({error}); expected a folder of PNG "
                "or MAT files, or a zip file of PNG files"
            ) from None
        self._members = {Path(name): name for name in found}
        self._files, self.excluded = _chosen(list(self._members), exclude, f"PNG file in {path}")
        self.names = tuple(path.stem for path in self._files)
        self._table = _background_table(background)

    def __len__(self) -> int:
        """Return the number of PNG files."""
        return len(self._files)

    def __getitem__(self, index: int) -> UInt8Array:
        """Read one file.

        Raises:
            InputError: the file is no label map.
        """
        # A zip file keeps a position: each thread opens its own.
        archive = getattr(self._thread, "archive", None)
        if archive is None:
            archive = self._thread.archive = zipfile.ZipFile(self._path)
        member = self._members[self._files[index]]
        name = f"masks: {member} in {self._path}"
        try:
            data = archive.read(member)
        # What is damaged, encrypted, or packed in a way that is not known.
        except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError(f"{name}: cannot be unpacked ({error}); pack it again") from None
        return self._table[parse_label_map(data, name)]


class LabelMapFolder:
    """Semantic masks as files: PNG (VOC, ADE20K), or MAT as SBD gives its classes.

    Attributes:
        names: of the files, without suffix.
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
            InputError: no such folder, no file in it, or a background id that is none.
        """
        folder = Path(path)
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".mat"))
        self._files, self.excluded = _chosen(found, exclude, f"PNG or MAT file in {folder}")
        self.names = tuple(path.stem for path in self._files)
        self._table = _background_table(background)

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
    paths: Sequence[Path],
    *,
    background: Sequence[int] = (),
    exclude: Sequence[str] = (),
    videos: Sequence[VideoSequence] = (),
) -> list[LabelMapSource]:
    """Open folders and zip files of semantic masks, and the foregrounds of videos.

    Args:
        paths: of folders and zip files.
        background: class ids of these masks that count as background.
        exclude: patterns (2007_*) of names that are left out: of masks without suffix, of videos.
        videos: annotated videos of one data set.

    Raises:
        InputError: a path is neither, there is no mask in it, none of its masks shows an object, a
            background id is none, all videos are left out, or a pattern leaves out nothing
            anywhere, so that what it means would be trained on.
    """
    opened = [_open(path, background, exclude) for path in paths]
    for path, source in zip(paths, opened, strict=True):
        _check_shown(path, source, background, exclude)
    kept = [video for video in videos if not _matches(video.name, exclude)]
    left_out = {video.name for video in videos} - {video.name for video in kept}
    left_out = left_out.union(*(source.excluded for source in opened))
    for pattern in exclude if opened or videos else ():
        if not any(fnmatchcase(name, pattern) for name in left_out):
            known = [*(name for source in opened for name in source.names), *(v.name for v in kept)]
            raise InputError(
                f"--exclude: {pattern} leaves out none of the masks and videos; expected a pattern "
                f"of their names without suffix, such as {known[0] if known else 'any'}"
            )
    if videos and not kept:
        raise InputError(
            f"--exclude: it leaves out all {len(videos)} videos, so that none is left to train on; "
            "name fewer, or leave the data set out"
        )
    return [*opened, ForegroundMaps(kept)] if videos else list(opened)


def _open(
    path: Path, background: Sequence[int], exclude: Sequence[str]
) -> LabelMapFolder | LabelMapZip:
    kind = LabelMapFolder if path.is_dir() else LabelMapZip
    return kind(path, background=background, exclude=exclude)


def _check_shown(
    path: Path, source: LabelMapSource, background: Sequence[int], exclude: Sequence[str]
) -> None:
    """Check that a mask shows an object, and one that does not count as background."""
    try:
        check_objects(_all_of(source), str(path))
    except InputError:
        if background:
            check_objects(_all_of(_open(path, (), exclude)), str(path))
            ids = ", ".join(map(str, background))
            raise InputError(
                f"background_ids: the masks of {path} show no class but {ids}, so that there is no "
                "object to learn; name fewer ids"
            ) from None
        raise


def _all_of(source: LabelMapSource) -> Iterator[UInt8Array]:
    return (source[index] for index in range(len(source)))


def _chosen(
    found: Sequence[Path], exclude: Sequence[str], what: str
) -> tuple[list[Path], frozenset[str]]:
    """Return the files that are not left out, and the names of those that are."""
    # macOS packs a hidden file with every file.
    seen = [path for path in found if not path.name.startswith(".")]
    files = [path for path in seen if not _matches(path.stem, exclude)]
    if not files:
        raise InputError(f"masks: no {what}, apart from excluded ones; expected masks")
    return files, frozenset(path.stem for path in seen if _matches(path.stem, exclude))


def _background_table(ids: Sequence[int]) -> UInt8Array:
    """Return (256,) uint8: 0 for background and for these ids, all other values as they are.

    Raises:
        InputError: an id is that of no class.
    """
    for number in ids:
        if not 0 < number < VOID:
            raise InputError(
                f"background_ids: expected ids of classes in 1..254, got {number}; 0 is background "
                "and 255 void already"
            )
    table = np.arange(256, dtype=np.uint8)
    table[list(ids)] = 0
    return table


def _matches(stem: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(stem, pattern) for pattern in patterns)


class ForegroundMaps:
    """The annotated frames of videos with all their objects as one class."""

    def __init__(self, sequences: Sequence[VideoSequence]) -> None:
        """List the frames; see ``training_frames``.

        Raises:
            InputError: none is annotated, or none shows an object.
        """
        self._frames = training_frames(sequences)

    def __len__(self) -> int:
        """Return the number of annotated frames."""
        return len(self._frames)

    def __getitem__(self, index: int) -> UInt8Array:
        """Read one frame: 1 for the foreground; an annotation's own void stays."""
        return merge_objects(self._frames[index].read_labels())
