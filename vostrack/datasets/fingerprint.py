"""What data hold, in one line of text that does not depend on where they lie."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from vostrack.datasets.video_sequence import VideoSequence
from vostrack.errors import InputError
from vostrack.files import real_path
from vostrack.progress import open_progress
from vostrack.video.names import IMAGE_SUFFIXES
from vostrack.wording import counted

__all__ = [
    "file_fingerprint",
    "files_fingerprint",
    "folder_fingerprint",
    "show_reading",
    "videos_fingerprint",
]

Item = TypeVar("Item")

# Seconds that need no explanation.
_PATIENCE = 2.0
_SHOWN: ContextVar[bool] = ContextVar("shown", default=False)

# The end of a PNG holds a checksum of all its pixels, and in a JPEG every change moves the end.
_TAIL = 4096
# Disks answer several questions at a time faster than one after another.
_THREADS = 8
_BLOCK = 1024 * 1024
# Files that a training may read from a folder.
_DATA = IMAGE_SUFFIXES | {".avi", ".json", ".mat", ".mkv", ".mov", ".mp4", ".webm", ".zip"}


@contextmanager
def show_reading(*, quiet: bool = False) -> Iterator[None]:
    """Show progress, on standard error, while the files of large data are read inside the block.

    Args:
        quiet: show nothing.
    """
    token = _SHOWN.set(not quiet)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def files_fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """Return the number of files and a digest of their names, sizes and last 4 KiB.

    A data set has gigabytes; reading the ends of its files takes seconds.

    Args:
        files: the name that counts, which does not say where the data set lies, and the file.

    Returns:
        Such as "24 files, digest 0123456789abcdef".

    Raises:
        InputError: a file is missing.
        OSError: a file cannot be read.
    """
    named = list(files)
    total = hashlib.blake2b(digest_size=8)
    with ThreadPoolExecutor(_THREADS) as pool:
        ends = pool.map(_size_and_end, (path for _, path in named))
        read = zip(named, ends, strict=True)
        for (name, _), (size, end) in _shown_after_a_while(read, len(named)):
            total.update(os.fsencode(f"{name}\n{size}\n"))
            total.update(end)
    return _text(len(named), total.hexdigest())


def videos_fingerprint(videos: Sequence[VideoSequence]) -> str:
    """Return the fingerprint of the frames and masks of videos; see ``files_fingerprint``."""
    return files_fingerprint(
        (f"{video.name}/{kind}/{path.name}", path)
        for video in videos
        for kind, paths in (("frames", video.frames), ("masks", video.annotations))
        for path in paths
        if path is not None
    )


def folder_fingerprint(folder: Path, leave_out: Path | None = None) -> str:
    """Return the fingerprint of the images, videos and annotations in a folder and its subfolders.

    Notes, logs and the like do not count.

    Args:
        folder: hidden files in it do not count.
        leave_out: a folder that does not count, such as one inside that results go to.
    """
    out = None if leave_out is None else real_path(leave_out)
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _DATA and path.is_file() and not path.name.startswith(".")
    )
    return files_fingerprint(
        (path.relative_to(folder).as_posix(), path)
        for path in found
        if out is None or out not in real_path(path).parents
    )


def file_fingerprint(path: Path) -> str:
    """Return a digest of all that a file holds, such as "1 file, digest 0123456789abcdef"."""
    total = hashlib.blake2b(digest_size=8)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return _text(1, total.hexdigest())


def _shown_after_a_while(items: Iterable[Item], total: int) -> Iterator[Item]:
    """Pass items through, and show how many if there is time to look."""
    began, bar = time.monotonic(), None
    with ExitStack() as stack:
        for number, item in enumerate(items, 1):
            yield item
            if bar is not None:
                bar.update()
            elif _SHOWN.get() and time.monotonic() - began > _PATIENCE:
                bar = open_progress(total, "file", "checking the data", initial=number)
                stack.enter_context(bar)


def _size_and_end(path: Path) -> tuple[int, bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(
            f"data: {path} is missing; put it there, or take it off the list of the data set"
        ) from None
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        return size, file.read()


def _text(count: int, digest: str) -> str:
    return f"{counted(count, 'file')}, digest {digest}"
