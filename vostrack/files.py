"""Atomic file writes: a reader sees the old file or the new one, never a partial file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a temporary path that replaces ``path`` when the block ends.

    If the block raises, the temporary file is removed and an existing file at ``path`` is left
    unchanged. The temporary name starts with a dot and ends in ``.tmp``, so listing a folder by
    suffix does not pick it up, even if the process was killed.

    Args:
        path: the file to write; missing parent folders are created.

    Yields:
        The temporary path, in the same folder.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
