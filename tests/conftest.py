"""Fixtures every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder that holds the real sequences (``data/``) and weights (``weights/``)."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("VOSTRACK_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real sequences: no {folder / 'data'} (set VOSTRACK_SHARED)")
    return folder
