"""Indexed masks whose palette was made by a program, in an order that says nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.masks import davis_palette, read_first_mask

SIZE = (48, 64)
A, B = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
A[10:30, 10:30], B[15:40, 36:56] = True, True
IDS = np.where(A, 1, np.where(B, 2, 0)).astype(np.uint8)
GROUNDS = {"white": (255, 255, 255), "blue": (0, 0, 255), "gray": (128, 128, 128)}


def _picture(ground: tuple[int, int, int], one: tuple[int, int, int] = (255, 0, 0)) -> Image.Image:
    return Image.fromarray(np.array([ground, one, (0, 160, 0)], np.uint8)[IDS])


def _indexed(path: Path, indices: UInt8Array, colours: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(indices)
    image.putpalette(np.array(colours, np.uint8).tobytes())
    image.save(path)
    return path


def _two_objects(path: Path) -> tuple[str, ...]:
    """Check that the picture is split as it was drawn, whatever the ids."""
    mask = read_first_mask(path)
    np.testing.assert_array_equal(mask.labels == 0, IDS == 0)
    assert len(mask.ids) == 2
    assert len(np.unique(mask.labels[A])) == len(np.unique(mask.labels[B])) == 1
    return mask.warnings


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("method", list(Image.Quantize)[:3])
def test_a_picture_reduced_to_few_colours(
    ground: str, method: Image.Quantize, tmp_path: Path
) -> None:
    _picture(GROUNDS[ground]).quantize(3, method=method).save(tmp_path / "m.png")
    _two_objects(tmp_path / "m.png")


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_gif(ground: str, tmp_path: Path) -> None:
    _picture(GROUNDS[ground]).save(tmp_path / "m.gif")
    _two_objects(tmp_path / "m.gif")


@pytest.mark.parametrize("ground", GROUNDS)
def test_the_palette_that_ffmpeg_makes(ground: str, tmp_path: Path) -> None:
    _picture(GROUNDS[ground]).save(tmp_path / "rgb.png")
    graph = "split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", tmp_path / "rgb.png", "-vf", graph,
         tmp_path / "m.png"], check=True,
    )  # fmt: skip
    _two_objects(tmp_path / "m.png")


def test_colours_are_read_as_those_of_an_rgb_picture(tmp_path: Path) -> None:
    picture = _picture(GROUNDS["white"])
    picture.save(tmp_path / "rgb.png")
    colours = [(255, 0, 0), (255, 255, 255), (0, 160, 0)]
    path = _indexed(tmp_path / "m.png", np.array([1, 0, 2], np.uint8)[IDS], colours)
    mask, expected = read_first_mask(path), read_first_mask(tmp_path / "rgb.png")
    np.testing.assert_array_equal(mask.labels, expected.labels)
    assert mask.names == expected.names
    assert "index 0 of the palette does not surround the objects" in mask.warnings[0]
    assert "colour #ffffff is read as background" in mask.warnings[1]


def test_a_black_object_at_index_0_on_white(tmp_path: Path) -> None:
    colours = [(0, 0, 0), (255, 255, 255), (0, 160, 0)]
    path = _indexed(tmp_path / "m.png", np.array([1, 0, 2], np.uint8)[IDS], colours)
    assert "index 0 of the palette is black on white" in _two_objects(path)[0]


def test_a_frame_of_void_in_a_gray_palette_is_no_paper(tmp_path: Path) -> None:
    ids = np.full(SIZE, 255, np.uint8)
    ids[8:-4, 8:-6] = IDS[8:-4, 8:-6]
    warnings = _as_numbered(_indexed(tmp_path / "m.png", ids, PALETTES["gray"]), ids)
    assert "colours" not in " ".join(warnings)


def test_a_transparent_ground_at_the_last_index(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([255, 0, 1], np.uint8)[IDS])
    image.putpalette([250, 0, 0, 0, 160, 0, *[255] * 762])
    image.save(tmp_path / "m.png", transparency=255)
    _two_objects(tmp_path / "m.png")


def _as_numbered(path: Path, ids: UInt8Array) -> tuple[str, ...]:
    mask = read_first_mask(path, min_pixels=0)
    np.testing.assert_array_equal(mask.labels, ids)
    return mask.warnings


PALETTES = {
    "davis": davis_palette().tolist(),
    "gray": [(k, k, k) for k in range(256)],
    "white first": [(255, 255, 255), (255, 0, 0), (0, 160, 0)],
    "no colours": [(70, 70, 70)] * 256,
    "cityscapes": [(128, 64, 128), (244, 35, 232), (70, 70, 70)],
}


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("scene", ["around", "a corner", "a strip"])
def test_an_index_0_that_is_the_background(name: str, scene: str, tmp_path: Path) -> None:
    ids = IDS.copy()
    if scene == "a strip":
        ids[20:] = 1  # an object at three borders, larger than the background
    elif scene == "a corner":
        ids[5:, :-20] = 1
    warnings = _as_numbered(_indexed(tmp_path / "m.png", ids, PALETTES[name]), ids)
    doubtful = scene == "a strip" and name in ("white first", "cityscapes")
    assert bool(warnings) == doubtful
    if doubtful:
        assert "index 1 may be the background" in warnings[0]


@pytest.mark.parametrize("ids", [(1, 2), (3, 255, 4)])
def test_davis_without_any_background_in_view(ids: tuple[int, ...], tmp_path: Path) -> None:
    indices = np.full(SIZE, ids[0], np.uint8)
    for k, number in enumerate(ids[1:], start=1):
        indices[20 * k :, :40] = number
    path = _indexed(tmp_path / "m.png", indices, davis_palette().tolist())
    before = read_first_mask(path)
    assert set(np.unique(before.labels)) <= {0, *ids}
    assert "colour" not in " ".join(before.warnings)


def test_a_black_hole_in_an_object_of_the_davis_palette(tmp_path: Path) -> None:
    ids = np.where(A, 0, np.where(B, 2, 1)).astype(np.uint8)
    assert _as_numbered(_indexed(tmp_path / "m.png", ids, davis_palette().tolist()), ids) == ()
