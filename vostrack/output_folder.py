"""Folders of results: made where they are missing, and kept by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vostrack.disk_room import no_room
from vostrack.errors import InputError

__all__ = ["LOCK", "FolderInUseError", "exclusive_folder", "make_output_folder"]

LOCK = ".vostrack.lock"
"""The file that lies in a folder while a process keeps it for itself."""


class FolderInUseError(InputError):
    """Another process keeps a folder for itself."""


def make_output_folder(folder: Path, parameter: str = "output") -> None:
    """Make the folder of the results where it is missing, with its parents.

    Args:
        folder: what to make.
        parameter: the one that names it, for the message.

    Raises:
        InputError: it or one of its parents is no folder, or cannot be made.
        OSError: there is no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{parameter}: {error.filename} is not a folder; give the name of a folder as "
            f"`{parameter}`"
        ) from None
    except OSError as error:
        if no_room(error) is not None:
            raise
        raise InputError(
            f"{parameter}: {folder} cannot be made ({error.strerror}); give a folder as "
            f"`{parameter}` in a place where you may write"
        ) from None


@contextmanager
def exclusive_folder(folder: Path, parameter: str = "output") -> Iterator[None]:
    """Keep other processes from writing to a folder while the block runs.

    The lock is the operating system's: it ends with the process, however that ends. The folder is
    created when it is missing.

    Args:
        folder: what to lock; a hidden file lies in it meanwhile.
        parameter: the one that names it, for the message.

    Raises:
        FolderInUseError: another run holds the lock.
        InputError: the folder cannot be made or written to.
        OSError: there is no room.
    """
    from filelock import FileLock, Timeout

    make_output_folder(folder, parameter)
    # Absolute: it is removed in the end, when another folder may be the current one.
    path = folder.absolute() / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUseError(
            f"{parameter}: another run is writing to {folder}; wait for it to end, stop it, or "
            f"give another folder as `{parameter}`"
        ) from None
    except OSError as error:
        if no_room(error) is not None:
            raise
        raise InputError(
            f"{parameter}: {folder} cannot be written to ({error.strerror}); allow that, or give a "
            f"folder as `{parameter}` in a place where you may write"
        ) from None
    try:
        yield
    finally:
        # Removed while it is held: nobody waits for it.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
