"""What was measured of photographs, kept in a file from one run to the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vostrack.files import atomic_path, parse_json

__all__ = ["fingerprint", "read_index", "write_index"]

# Raised when a measure changes, so that older index files are not read.
_VERSION = 2


def fingerprint(files: Iterable[Path]) -> str:
    """Return a text that changes with the names, sizes and dates of files."""
    digest = hashlib.blake2s(str(_VERSION).encode())
    for path in files:
        status = path.stat()
        digest.update(f"{path}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_index(path: Path, key: str) -> list[dict[str, Any]] | None:
    """Return the measures of each photograph; None where there are none for just these files.

    Args:
        path: the index file; it may be missing or damaged.
        key: the ``fingerprint`` of the files.
    """
    try:
        stored = parse_json(path.read_text(encoding="utf-8"))
        return list(stored["photos"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_index(path: Path, key: str, photos: Sequence[Mapping[str, Any]]) -> None:
    """Write the measures of each photograph; see ``read_index``."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "photos": photos}), encoding="utf-8")
