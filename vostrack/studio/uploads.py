"""Videos that are dropped on the page: received piece by piece into a folder of their own."""

from __future__ import annotations

import contextlib
import filecmp
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vostrack.errors import InputError
from vostrack.file_order import natural_order
from vostrack.studio.access import TooLargeError
from vostrack.studio.places import PROJECT_SUFFIX, VIDEO_FOLDER, check_video, known_videos
from vostrack.studio.plain_text import is_plain_text
from vostrack.video.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

__all__ = ["LARGEST_UPLOAD", "UploadFile", "Uploads"]

LARGEST_UPLOAD = 8 * 1024**3
"""Bytes of a dropped video, by default."""

_MOST_FILES = 100_000
# Bytes. Disks take 255, and the names of projects and exports are a little longer.
_LONGEST_NAME = 230
_PREFIX = ".vostrack-upload-"
# What is left free on the disk, for masks and exports.
_SPARE_BYTES = 64 * 1024**2
_STALE_SECONDS = 86_400.0


@dataclass(frozen=True)
class UploadFile:
    """A file that is announced.

    Attributes:
        name: without folders.
        size: bytes.
    """

    name: str
    size: int


@dataclass(frozen=True)
class _Upload:
    key: str
    title: str
    files: tuple[UploadFile, ...]
    folder: Path


class Uploads:
    """Receives one video at a time: a file, or the images of a folder.

    Args:
        home: where the project folders are made.
        largest: bytes that a video may have.
    """

    def __init__(self, home: Path, largest: int = LARGEST_UPLOAD) -> None:
        self.largest = largest
        self._home = home
        self._lock = threading.Lock()
        self._upload: _Upload | None = None
        self._forget_stale()

    def begin(self, title: str, files: Sequence[UploadFile]) -> str:
        """Announce a video; one that was not finished is dropped.

        Args:
            title: the name of the file, or of the folder of images.
            files: one video, or images.

        Returns:
            The key for the next steps.

        Raises:
            InputError: the names, the sizes or the room on the disk will not do.
        """
        _check_names(title, files)
        size = sum(one.size for one in files)
        if size > self.largest:
            raise InputError(
                f"upload: {title} has {_human(size)}, expected at most {_human(self.largest)}; "
                "start again with a larger `largest_upload`, or open it by its path"
            )
        free = shutil.disk_usage(self._home).free - _SPARE_BYTES
        if size > free:
            raise InputError(
                f"upload: {title} needs {_human(size)}, but {self._home} has {_human(max(0, free))}"
                " left; free some space, or open it by its path"
            )
        key = secrets.token_hex(8)
        folder = self._home / f"{_PREFIX}{key}"
        folder.mkdir()
        with self._lock:
            self._drop()
            self._upload = _Upload(key, title, tuple(files), folder)
        return key

    async def receive(self, key: str, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Take one of the announced files.

        Args:
            key: of the upload.
            number: place of the file in the list.
            pieces: its bytes.

        Raises:
            InputError: there is no such upload or file, or it has another size than announced.
            TooLargeError: it goes on beyond the announced size.
        """
        upload = self._known(key)
        if not 0 <= number < len(upload.files):
            raise InputError(f"upload: expected file 0..{len(upload.files) - 1}, got {number}")
        wanted, seen = upload.files[number], 0
        path = upload.folder / wanted.name
        try:
            with path.open("wb") as file:
                async for piece in pieces:
                    seen += len(piece)
                    if seen > wanted.size:
                        raise TooLargeError(f"{wanted.name} is larger than it was announced")
                    file.write(piece)
            if seen != wanted.size:
                raise InputError(
                    f"upload: {wanted.name} has {wanted.size} bytes, {seen} came; drop it again"
                )
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def finish(self, key: str) -> tuple[Path, bool]:
        """Move a complete video into a project folder.

        A video that was dropped or opened there before, with the same content, keeps its project,
        also under another name.

        Returns:
            The path of the video there, and whether the project is new.

        Raises:
            InputError: a file is missing, or the video is of no known kind.
        """
        upload = self._known(key)
        missing = [one.name for one in upload.files if not (upload.folder / one.name).is_file()]
        if missing:
            raise InputError(f"upload: {missing[0]} has not come; drop the video again")
        with self._lock:
            self._upload = None
            try:
                single = upload.folder / upload.files[0].name
                if single.suffix.lower() in VIDEO_SUFFIXES:
                    check_video(single)
                return self._placed(upload)
            finally:
                shutil.rmtree(upload.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove what was not finished."""
        with self._lock:
            self._drop()

    def _placed(self, upload: _Upload) -> tuple[Path, bool]:
        names = [one.name for one in upload.files]
        for known in known_videos(self._home):
            if _same(known, upload.folder, names):
                single = known.name == VIDEO_FOLDER and len(names) == 1
                return (known / names[0] if single else known), False
        stem = Path(upload.title).stem if len(names) == 1 else upload.title
        for number in range(1, _MOST_FILES):
            name = stem if number == 1 else f"{stem}-{number}"
            target = self._home / f"{name}{PROJECT_SUFFIX}" / VIDEO_FOLDER
            new = not target.parent.exists()
            if not new:
                continue
            target.parent.mkdir()
            upload.folder.rename(target)
            return (target / names[0] if len(names) == 1 else target), new
        raise InputError(f"upload: there are too many projects named {stem}; remove some")

    def _known(self, key: str) -> _Upload:
        upload = self._upload
        if upload is None or not secrets.compare_digest(upload.key, key):
            raise InputError("upload: another upload has taken its place; drop the video again")
        return upload

    def _drop(self) -> None:
        if self._upload is not None:
            shutil.rmtree(self._upload.folder, ignore_errors=True)
            self._upload = None

    def _forget_stale(self) -> None:
        """Remove what servers left behind that were killed."""
        for folder in self._home.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _check_names(title: str, files: Sequence[UploadFile]) -> None:
    if not 0 < len(files) <= _MOST_FILES:
        raise InputError(f"upload: expected 1..{_MOST_FILES} files, got {len(files)}")
    for name in (title, *(one.name for one in files)):
        plain = PurePosixPath(name).name == name and "\\" not in name and is_plain_text(name)
        if not plain or name.startswith("."):
            raise InputError(f"upload: {name!r} is not a plain file name; rename it")
        size = len(name.encode())
        if size > _LONGEST_NAME:
            raise InputError(
                f"upload: the name {name[:20]}... is too long: expected at most {_LONGEST_NAME} "
                f"bytes in UTF-8, got {size}; rename it"
            )
    if len({one.name for one in files}) != len(files):
        raise InputError("upload: two files have the same name; drop one folder of frames")
    suffixes = {Path(one.name).suffix.lower() for one in files}
    if not (suffixes <= IMAGE_SUFFIXES or (len(files) == 1 and suffixes <= VIDEO_SUFFIXES)):
        strange = min(suffixes - IMAGE_SUFFIXES) if len(files) > 1 else min(suffixes)
        raise InputError(
            f"upload: expected one video, or images of one kind, got {strange or 'no suffix'!r}; "
            f"videos are {', '.join(sorted(VIDEO_SUFFIXES))}"
        )
    if any(one.size < 0 for one in files):
        raise InputError("upload: expected sizes of at least 0 bytes")


def _same(known: Path, folder: Path, names: Sequence[str]) -> bool:
    """Whether a file, or a folder of images, is what came in a folder."""
    try:
        if known.is_file():
            return len(names) == 1 and filecmp.cmp(known, folder / names[0], shallow=False)
        if sorted(path.name for path in known.iterdir()) != sorted(names):
            return False
    except OSError:
        return False
    ordered = sorted(names, key=natural_order)
    return not any(filecmp.cmpfiles(known, folder, ordered, shallow=False)[1:])


def _human(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} GB"
