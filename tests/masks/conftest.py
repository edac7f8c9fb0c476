from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vostrack.arrays import UInt8Array

Save = Callable[..., Path]


@pytest.fixture
def two_objects() -> UInt8Array:
    """(40, 60), a rectangle of id 1 and a disc of id 2."""
    labels = np.zeros((40, 60), dtype=np.uint8)
    labels[5:25, 5:20] = 1
    rows, columns = np.mgrid[:40, :60]
    labels[(rows - 22) ** 2 + (columns - 42) ** 2 <= 100] = 2
    return labels


@pytest.fixture
def smooth_disc() -> UInt8Array:
    """(40, 60), a white disc with anti-aliased edges."""
    image = Image.new("L", (240, 160))
    ImageDraw.Draw(image).ellipse((60, 30, 170, 130), fill=255)
    return np.asarray(image.resize((60, 40), Image.Resampling.BOX))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save an array as an image with Pillow, not with the code under test."""

    def save_array(
        name: str, array: NDArray[np.generic], mode: str | None = None, **options: Any
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(array)
        if mode is not None:
            image = image.convert(mode)
        image.save(path, **options)
        return path

    return save_array
