"""Writing JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vostrack.files import atomic_path

__all__ = ["write_json"]


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file on one line, atomically."""
    with atomic_path(path) as temporary:
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
