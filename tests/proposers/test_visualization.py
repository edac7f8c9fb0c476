"""Panels and colours of the images of intermediate results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vostrack.masks.palette import davis_palette
from vostrack.proposers.visualization import enlarge, instance_colour, tile_panels, write_png


def test_panels_stand_side_by_side_row_after_row() -> None:
    panels = [np.full((2, 3, 3), k, np.uint8) for k in range(4)]
    tiled = tile_panels(panels, columns=2)
    assert tiled.shape == (4, 6, 3)
    assert tiled[::2, ::3, 0].tolist() == [[0, 1], [2, 3]]


def test_cells_become_rectangles() -> None:
    assert enlarge(np.array([[1, 2]], np.uint8), (2, 4)).tolist() == [[1, 1, 2, 2]] * 2


def test_colours_are_those_of_the_palette_and_never_black() -> None:
    assert instance_colour(0) == tuple(davis_palette()[1])
    assert instance_colour(254) == instance_colour(0)
    assert all(any(instance_colour(k)) for k in range(254))


def test_an_image_is_written_whole(tmp_path: Path) -> None:
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    write_png(tmp_path / "new" / "a.png", image)
    with Image.open(tmp_path / "new" / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]
