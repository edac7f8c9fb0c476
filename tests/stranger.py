"""A stranger's distribution as pip leaves it behind: a module and its metadata."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vostrack import registry

__all__ = ["stranger"]


@contextmanager
def stranger(folder: Path, source: str, points: str) -> Iterator[None]:
    """Have a distribution installed in the block.

    Args:
        folder: an empty folder to install it into.
        source: code of its module ``stranger_plugin``.
        points: its entry points.
    """
    (folder / "stranger_plugin.py").write_text(source)
    info = folder / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    registry._installed.cache_clear()
    registry._warn_once.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        try:
            yield
        finally:
            registry._installed.cache_clear()
            sys.modules.pop("stranger_plugin", None)
