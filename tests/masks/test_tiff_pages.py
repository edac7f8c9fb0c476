"""First masks in TIFF files: previews before the mask; 16 bits in planes or with 0 for white."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.masks import read_first_mask, read_results

tifffile = pytest.importorskip("tifffile")


def _save(path: Path, *pages: tuple[np.ndarray[Any, Any], dict[str, Any]]) -> Path:
    with tifffile.TiffWriter(path) as file:
        for page, options in pages:
            kind = "rgb" if page.ndim == 3 else "minisblack"
            file.write(page, metadata=None, **{"photometric": kind, **options})
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("alpha", [False, True])
def test_planes_of_16_bits(
    compression: str | None, alpha: bool, two_objects: UInt8Array, tmp_path: Path
) -> None:
    colours = np.array([[0, 0, 0, 0], [0, 65535, 0, 65535], [65535, 0, 0, 65535]], np.uint16)
    rgb = np.ascontiguousarray(colours[two_objects].transpose(2, 0, 1)[: 4 if alpha else 3])
    options: dict[str, Any] = {"planarconfig": "separate", "compression": compression}
    if alpha:
        options["extrasamples"] = ["unassalpha"]
    path = _save(tmp_path / "m.tif", (rgb, options))
    mask = read_first_mask(path)
    np.testing.assert_array_equal(mask.labels, two_objects)
    assert mask.names == ("#00ff00", "#ff0000")


def test_planes_with_an_orientation(two_objects: UInt8Array, tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [0, 65535, 0], [65535, 0, 0]], np.uint16)
    rgb = np.ascontiguousarray(colours[two_objects].transpose(2, 0, 1))
    options = {"planarconfig": "separate", "extratags": [(274, "H", 1, 3, True)]}
    mask = read_first_mask(_save(tmp_path / "m.tif", (rgb, options)))
    np.testing.assert_array_equal(mask.labels, two_objects[::-1, ::-1])


def test_planes_for_print_are_refused(two_objects: UInt8Array, tmp_path: Path) -> None:
    planes = np.stack([two_objects.astype(np.uint16)] * 4)
    options = {"photometric": "separated", "planarconfig": "separate"}
    with pytest.raises(InputError, match=r"separate planes of 16 bits in CMYK.* save it as PNG"):
        read_first_mask(_save(tmp_path / "m.tif", (planes, options)))


def test_gray_of_16_bits_in_which_0_is_white(two_objects: UInt8Array, tmp_path: Path) -> None:
    shown = np.array([0, 65535, 20000], np.uint16)[two_objects]
    path = _save(tmp_path / "m.tif", (65535 - shown, {"photometric": "miniswhite"}))
    mask = read_first_mask(path)
    # White beside another gray is void, as in PNG.
    np.testing.assert_array_equal(mask.labels, np.array([0, 255, 1], np.uint8)[two_objects])
    assert mask.names == ("20000",)
    # Ids are no shades: those of a file without black stay.
    path = _save(tmp_path / "i.tif", (two_objects.astype(np.uint16), {"photometric": "miniswhite"}))
    np.testing.assert_array_equal(read_first_mask(path).labels, two_objects)


@pytest.mark.parametrize("order", ["preview first", "preview last", "between", "rgb", "16 bits"])
def test_a_preview_is_no_mask(order: str, two_objects: UInt8Array, tmp_path: Path) -> None:
    full = two_objects
    if order == "rgb":
        full = np.array([[0, 0, 0], [0, 200, 0], [200, 0, 0]], np.uint8)[two_objects]
    page = (full.astype(np.uint16) if order == "16 bits" else full, {"rowsperstrip": 8})
    small = (full[::4, ::4].copy(), {"subfiletype": 1})
    # Two full pages are a stack, of which one is the mask.
    layouts = {"preview last": [page, small], "between": [small, page, small, page]}
    path = _save(tmp_path / "m.tif", *layouts.get(order, [small, page]))
    mask = read_first_mask(path, size=(40, 60))
    np.testing.assert_array_equal(mask.labels, two_objects)


def test_a_preview_before_a_turned_mask(two_objects: UInt8Array, tmp_path: Path) -> None:
    turned = {"extratags": [(274, "H", 1, 3, True)]}
    small = (two_objects[::4, ::4].copy(), {"subfiletype": 1})
    mask = read_first_mask(_save(tmp_path / "m.tif", small, (two_objects, turned)))
    np.testing.assert_array_equal(mask.labels, two_objects[::-1, ::-1])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "palette"])
def test_a_mask_on_its_side_is_read_upright(
    kind: str, compression: str | None, orientation: int, two_objects: UInt8Array, tmp_path: Path
) -> None:
    shown = {5: two_objects.T, 6: np.rot90(two_objects), 8: np.rot90(two_objects, -1)}
    stored = shown.get(orientation, np.rot90(two_objects, 2).T)
    options: dict[str, Any] = {
        "compression": compression,
        "extratags": [(274, "H", 1, orientation, True)],
    }
    if kind == "palette":
        colours = np.zeros((3, 256), np.uint16)
        colours[0, 1:], colours[1, 2] = 40000, 50000
        options |= {"photometric": "palette", "colormap": colours}
    page = np.ascontiguousarray(stored).astype("uint8" if kind == "palette" else kind)
    mask = read_first_mask(_save(tmp_path / "m.tif", (page, options)), size=(40, 60))
    np.testing.assert_array_equal(mask.labels, two_objects)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "planes", "stack"])
def test_an_orientation_that_was_applied_before(
    kind: str, compression: str | None, orientation: int, two_objects: UInt8Array, tmp_path: Path
) -> None:
    """Editors turn the picture, and some keep the note; PNG files are read so too."""
    options: dict[str, Any] = {
        "compression": compression,
        "extratags": [(274, "H", 1, orientation, True)],
    }
    page: np.ndarray[Any, Any] = two_objects.astype("uint8" if kind == "stack" else "uint16")
    if kind == "planes":
        colours = np.array([[0, 0, 0], [0, 65535, 0], [65535, 0, 0]], np.uint16)
        page = np.ascontiguousarray(colours[two_objects].transpose(2, 0, 1))
        options["planarconfig"] = "separate"
    pages = [(page, options)] * (2 if kind == "stack" else 1)
    mask = read_first_mask(_save(tmp_path / "m.tif", *pages), size=(40, 60))
    np.testing.assert_array_equal(mask.labels, two_objects)
    assert mask.warnings == ()


def test_a_turned_mask_is_named(two_objects: UInt8Array, tmp_path: Path) -> None:
    stored = np.ascontiguousarray(np.rot90(two_objects))
    page = (stored, {"extratags": [(274, "H", 1, 6, True)]})
    mask = read_first_mask(_save(tmp_path / "m.tif", page), size=(40, 60))
    np.testing.assert_array_equal(mask.labels, two_objects)
    (warning,) = mask.warnings
    assert "its orientation (EXIF) was applied" in warning


def test_turned_masks_in_a_folder(two_objects: UInt8Array, tmp_path: Path) -> None:
    """PNG and TIFF files are turned alike."""
    stored = np.ascontiguousarray(np.rot90(two_objects))
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(2):
        (tmp_path / "png").mkdir(exist_ok=True)
        (tmp_path / "tif").mkdir(exist_ok=True)
        Image.fromarray(stored).save(tmp_path / "png" / f"{number}.png", exif=exif)
        page = (stored, {"extratags": [(274, "H", 1, 6, True)]})
        _save(tmp_path / "tif" / f"{number}.tif", page)
    for kind in ("png", "tif"):
        np.testing.assert_array_equal(read_results(tmp_path / kind).labels(1), two_objects)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_stack_of_turned_masks(orientation: int, two_objects: UInt8Array, tmp_path: Path) -> None:
    """As Pillow turns the single pages of the same files."""
    tag = {"extratags": [(274, "H", 1, orientation, True)]}
    later = np.roll(two_objects, 3, axis=1)
    path = _save(tmp_path / "m.tif", (two_objects, tag), (later, tag))
    masks = read_results(path)
    for position, stored in enumerate((two_objects, later)):
        with Image.open(path) as image:
            image.filename = ""  # it maps turned pages wrongly
            image.seek(position)
            expected = np.asarray(image)
        assert masks.size == expected.shape
        np.testing.assert_array_equal(masks.labels(position), expected)
        assert expected.shape == (stored.shape if orientation < 5 else stored.shape[::-1])
