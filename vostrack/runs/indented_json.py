"""Writing the JSON files of a run, which people read, too."""

from __future__ import annotations

import json
from pathlib import Path

from vostrack.files import atomic_path

__all__ = ["write_json"]


def write_json(path: Path, content: object) -> None:
    """Write plain data; the file appears when it is complete.

    Raises:
        OSError: there is no room, or the folder cannot be written to.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
