"""Two sequences of a subset, right results for them, and masks in other forms."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence, open_davis
from vostrack.masks.palette import davis_palette, write_label_map

HEIGHT, WIDTH = 6, 9
NAMES = ("swan", "goat")
Labels = Callable[..., UInt8Array]


@pytest.fixture
def labels() -> Labels:
    """Draw a label map of two objects; the id of the second is given."""

    def draw(highest: int = 2) -> UInt8Array:
        labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        labels[1:3, 2:5] = 1
        labels[4:, 6:] = highest
        return labels

    return draw


@pytest.fixture
def sequences(tmp_path: Path, labels: Labels) -> tuple[VideoSequence, ...]:
    """A test-dev subset of two sequences, three frames and two objects each."""
    root = tmp_path / "DAVIS"
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/test-dev.txt").write_text("swan\ngoat\n")
    for name in NAMES:
        (root / "JPEGImages/480p" / name).mkdir(parents=True)
        for index in range(3):
            frame = Image.new("RGB", (WIDTH, HEIGHT))
            frame.save(root / "JPEGImages/480p" / name / f"{index:05}.jpg")
        write_label_map(root / "Annotations/480p" / name / "00000.png", labels())
    return open_davis(root, subset="test-dev")


@pytest.fixture
def results(tmp_path: Path, labels: Labels) -> Path:
    """Right results of both sequences, with a record beside them."""
    root = tmp_path / "results"
    for name in NAMES:
        for index in range(3):
            write_label_map(root / name / f"{index:05}.png", labels())
        (root / name / "done.json").write_text("{}")
    return root


@pytest.fixture
def forms(labels: Labels) -> dict[str, bytes]:
    """The label map as PNG files that are not in the form of a submission."""
    gray = Image.fromarray(labels())
    other = Image.fromarray(labels())
    other.putpalette(list(range(256)) * 3)
    return {
        "gray": _png(gray),
        "other colours": _png(other),
        "few bits": _few_bits(labels()),
        "RGB": _png(gray.convert("RGB")),
        "16 bits": _png(Image.fromarray(labels().astype(np.uint16))),
    }


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _few_bits(labels: UInt8Array) -> bytes:
    """Write a 2-bit indexed PNG, as Pillow does when the palette is small."""
    image = Image.fromarray(labels)
    image.putpalette(davis_palette()[:4].tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=2)
    data = buffer.getvalue()
    assert data[24] == 2
    return data
