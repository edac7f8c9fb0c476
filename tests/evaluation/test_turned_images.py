"""Frames and masks that are stored turned, with a note of their orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.eval.report_images import report_images
from vostrack.eval.result_image import read_result_image
from vostrack.masks.palette import read_label_map


def test_a_turned_frame_is_shown_as_it_was_tracked(
    sequences: tuple[VideoSequence, ...], results: Path
) -> None:
    """A frame of another size than its truth would not be shown."""
    frame, mask = sequences[0].frames[0], sequences[0].annotations[0]
    assert mask is not None
    with Image.open(mask) as truth:
        width, height = truth.size
    stored: UInt8Array = np.zeros((width, height, 3), np.uint8)
    stored[: width // 2] = 200
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(frame, exif=exif, quality=95)
    shown = report_images(sequences, [results]).frame("swan", "00000")
    assert shown is not None
    assert shown.shape == (height, width, 3)
    # Orientation 6: the first row is at the right.
    assert shown[:, -1].min() > 150 > 50 > shown[:, 0].max()


def test_a_turned_result_is_read_upright(tmp_path: Path) -> None:
    """Pillow maps such a file into memory as if its rows were columns."""
    tifffile = pytest.importorskip("tifffile")
    shown: UInt8Array = np.zeros((6, 9), np.uint8)
    shown[1:4, 2:8] = 2
    path = tmp_path / "00000.tif"
    stored = np.ascontiguousarray(np.rot90(shown))
    tifffile.imwrite(path, stored, metadata=None, extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(read_result_image(path).values, shown)
    np.testing.assert_array_equal(read_label_map(path), shown)
