"""Files: the natural order of their names, and writing that never leaves half a file."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "natural_order"]

_NUMBERS = re.compile(r"(\d+)")

NaturalOrder = tuple[tuple[tuple[int, int, str], ...], str]


def natural_order(name: str) -> NaturalOrder:
    """Sort key that puts ``frame2`` before ``frame10``: runs of digits compare as numbers.

    Numbers come before letters. The case of letters matters only between names that are otherwise
    equal, and so do leading zeros.

    Args:
        name: the name of a file or folder, or a whole path.
    """
    parts = _NUMBERS.split(name.lower())
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
    return key, name


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
