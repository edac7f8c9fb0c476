"""Folders of results: made where they are missing, and kept by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vostrack.disk_room import no_room
from vostrack.errors import InputError

__all__ = ["LOCK", "exclusive_folder", "make_output_folder"]

LOCK = ".vostrack.lock"
"""The file that lies in a folder while a process keeps it for itself."""


def make_output_folder(folder: Path) -> None:
    """Make the folder of the results where it is missing, with its parents.

    Raises:
        InputError: it or one of its parents is no folder, or cannot be made.
        OSError: there is no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"output: {error.filename} is not a folder; give the name of a folder as `output`"
        ) from None
    except OSError as error:
        if no_room(error) is not None:
            raise
        raise InputError(
            f"output: {folder} cannot be made ({error.strerror}); give a folder as `output` in a "
            "place where you may write"
        ) from None


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder while the block runs.

    The lock is the operating system's: it ends with the process, however that ends. The folder is
    created when it is missing.

    Args:
        folder: what to lock; a hidden file lies in it meanwhile.

    Raises:
        InputError: another run holds the lock, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    make_output_folder(folder)
    lock = folder / LOCK
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                # Removed while it is held: nobody waits for it.
                with contextlib.suppress(OSError):
                    lock.unlink()
    except Timeout:
        raise InputError(
            f"output: another run is writing to {folder}; wait for it to end, stop it, or give "
            "another folder as `output`"
        ) from None
