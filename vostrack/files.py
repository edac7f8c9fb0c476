"""Writing a file so that a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path"]


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
