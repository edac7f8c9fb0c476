"""Files written whole or not at all, and folders that one process at a time writes to."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vostrack.errors import InputError

__all__ = ["atomic_path", "exclusive_folder"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what is written there takes its place at the end.

    When the block raises, the temporary file is removed and a file that was at ``path`` before
    stays as it was. The temporary name is hidden and ends in ``.tmp``, so a folder listing by
    suffix never picks it up, even after the process was killed.

    Args:
        path: the file to write; missing parent folders are created.

    Yields:
        The path to write to, on the same file system.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder while the block runs.

    The lock is the operating system's: it ends with the process, however that ends. The folder is
    created when it is missing.

    Args:
        folder: what to lock; a hidden file ``.lock`` lies in it meanwhile.

    Raises:
        InputError: another run holds the lock.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".lock"
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
