"""Frames in TIFF files: previews before the picture, and 16 bits in planes or with 0 for white."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.video import open_source

tifffile = pytest.importorskip("tifffile")

ROWS, COLUMNS = np.mgrid[:40, :56]
# Full range, with a different picture in each channel.
DEEP = np.dstack([ROWS * 1600, COLUMNS * 1100, (ROWS * COLUMNS) * 29]).astype(np.uint16)
PLANES = np.ascontiguousarray(DEEP.transpose(2, 0, 1))
SMALL = np.zeros((10, 14, 3), np.uint8)
SEPARATE: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}


def _shown(path: Path, number: int = 0, **options: Any) -> np.ndarray[Any, Any]:
    return list(open_source(path, **options))[number].image.astype(int)


def _close(image: np.ndarray[Any, Any], values: np.ndarray[Any, Any], low: int, high: int) -> None:
    expected = (values.astype(float) - low) / (high - low) * 255
    if expected.ndim == 2:
        expected = expected[..., None]
    assert np.abs(image - expected).max() <= 1


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
# Pillow reads no BigTIFF in this order.
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_planes_of_16_bits(
    compression: str | None, layout: str, order: str, big: bool, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"tile": (16, 16)} if layout == "tiles" else {"rowsperstrip": 16}
    path = tmp_path / "a.tif"
    options |= {"byteorder": order, "bigtiff": big, "compression": compression, **SEPARATE}
    tifffile.imwrite(path, PLANES, **options)
    _close(_shown(path), DEEP, 0, 65535)
    # Dark values need the lower byte.
    tifffile.imwrite(path, PLANES // 64, **options)
    _close(_shown(path, value_range="0,1023"), DEEP // 64, 0, 1023)


def test_planes_with_alpha_or_an_orientation(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    alpha = np.concatenate([PLANES, PLANES[:1]])
    tifffile.imwrite(path, alpha, extrasamples=["unassalpha"], **SEPARATE)
    _close(_shown(path), DEEP, 0, 65535)
    tifffile.imwrite(path, PLANES, extratags=[(274, "H", 1, 3, True)], **SEPARATE)
    _close(_shown(path), DEEP[::-1, ::-1], 0, 65535)


def test_planes_in_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([PLANES, PLANES[:, ::-1]]), **SEPARATE)
    _close(_shown(path, 1), DEEP[::-1], 0, 65535)


def test_planes_for_print_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES[[0, 1, 2, 0]], photometric="separated", planarconfig="separate")
    with pytest.raises(InputError, match=r"separate planes of 16 bits in CMYK.* save it as PNG"):
        open_source(path)


def test_a_dark_stack_of_16_bit_colours_keeps_its_levels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([DEEP, DEEP[::-1]]) // 64, photometric="rgb")
    source = open_source(path)
    assert source.value_range == (0, int(DEEP.max()) // 64)
    for frame, values in zip(source, (DEEP, DEEP[::-1]), strict=True):
        _close(frame.image.astype(int), values // 64, 0, int(DEEP.max()) // 64)


def test_a_turned_stack_of_16_bit_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in (DEEP, DEEP[::-1]):
            file.write(page, photometric="rgb", metadata=None, extratags=[(274, "H", 1, 3, True)])
    _close(_shown(path, 1), DEEP[:, ::-1], 0, 65535)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_gray_of_16_bits_in_which_0_is_white(narrow: bool, count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = DEEP[..., 1] // (64 if narrow else 1)
    tifffile.imwrite(path, np.stack([65535 - values] * count), photometric="miniswhite")
    image = _shown(path, value_range=f"0,{values.max()}" if narrow else "full")
    _close(image, values, 0, int(values.max()) if narrow else 65535)


@pytest.mark.parametrize("order", ["preview first", "preview last", "between", "old tag", "mask"])
def test_a_preview_is_no_frame(order: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    picture = (DEEP >> 8).astype(np.uint8)
    small: tuple[Any, dict[str, Any]] = (SMALL, {"subfiletype": 1})
    if order == "old tag":
        small = (SMALL, {"extratags": [(255, "H", 1, 2, True)]})
    elif order == "mask":
        small = (SMALL[..., 0] > 0, {"extratags": [(254, "I", 1, 4, True)]})
    full: tuple[Any, dict[str, Any]] = (picture, {})
    pages = {"preview last": [full, small], "between": [small, full, small, full]}
    with tifffile.TiffWriter(path) as file:
        for page, options in pages.get(order, [small, full]):
            kind = "rgb" if page.ndim == 3 else "minisblack"
            file.write(page, photometric=kind, metadata=None, **options)
    source = open_source(path)
    assert source.size == (40, 56)
    frames = list(source)
    assert len(frames) == (2 if order == "between" else 1)
    for frame in frames:
        np.testing.assert_array_equal(frame.image, picture)


def test_a_preview_before_16_bits(tmp_path: Path) -> None:
    for number in range(2):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif") as file:
            file.write(SMALL, photometric="rgb", subfiletype=1, metadata=None)
            file.write(DEEP // 64, photometric="rgb", metadata=None)
    image = _shown(tmp_path, 1, value_range="0,1023")
    _close(image, DEEP // 64, 0, 1023)


def test_a_file_of_previews_only_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SMALL, photometric="rgb", subfiletype=1)
    assert open_source(tmp_path / "a.tif").size == (10, 14)


@pytest.mark.parametrize(("tag", "first"), [(256, 1), (259, 1), (259, 0), (277, 0)])
def test_damaged_pages_are_named(tag: int, first: int, tmp_path: Path) -> None:
    """The width or the count of samples is missing, or the compression is unknown."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([PLANES, PLANES]), metadata=None, **SEPARATE)
    with tifffile.TiffFile(path) as file:
        entry = file.pages[first].tags[tag].offset
    content = bytearray(path.read_bytes())
    at = entry + 8 if tag == 259 else entry
    content[at : at + 2] = b"\x99\x99" if tag == 259 else b"\xfa\0"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as an image"):
        list(open_source(path))


# The rows and columns of a picture as a file with this orientation stores it.
STORED: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["L", "I;16", "RGB", "RGB;16", "RGBA"])
def test_turned_frames(
    kind: str, compression: str | None, orientation: int, tmp_path: Path
) -> None:
    """Pillow maps some of them into memory as if their rows were columns."""
    values: np.ndarray[Any, Any] = DEEP if kind.startswith("RGB") else DEEP[..., 1]
    expected = np.broadcast_to((DEEP if values.ndim == 3 else values[..., None]) >> 8, DEEP.shape)
    if kind == "RGBA":
        values = np.dstack([values, np.full(values.shape[:2], 65535, np.uint16)])
    values = (values >> 8) * 257 if "16" in kind else (values >> 8).astype(np.uint8)
    stored = np.ascontiguousarray(STORED[orientation](values))
    options: dict[str, Any] = {"extrasamples": ["unassalpha"]} if kind == "RGBA" else {}
    tags = [(274, "H", 1, orientation, True)]
    for number in range(2):
        tifffile.imwrite(
            tmp_path / f"{number}.tif",
            stored,
            photometric="rgb" if values.ndim == 3 else "minisblack",
            compression=compression,
            extratags=tags,
            metadata=None,
            **options,
        )
    for source in (open_source(tmp_path), open_source(tmp_path / "1.tif")):
        assert source.size == (40, 56)
        for frame in source:
            np.testing.assert_array_equal(frame.image, expected)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_stack_of_gray(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [(DEEP[..., 1] >> 8).astype(np.uint8), (DEEP[..., 0] >> 8).astype(np.uint8)]
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            stored = np.ascontiguousarray(STORED[orientation](page))
            file.write(stored, metadata=None, extratags=[(274, "H", 1, orientation, True)])
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(_shown(path, number)[..., 0], page)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_turned_colours_of_16_bits_keep_their_levels(
    compression: str | None, orientation: int, tmp_path: Path
) -> None:
    dark = DEEP // 64
    tags = [(274, "H", 1, orientation, True)]
    options: dict[str, Any] = {"photometric": "rgb", "compression": compression, "metadata": None}
    stored = np.ascontiguousarray(STORED[orientation](dark))
    tifffile.imwrite(tmp_path / "a.tif", dark, **options)
    tifffile.imwrite(tmp_path / "b.tif", stored, extratags=tags, **options)
    upright, turned = (open_source(tmp_path / name) for name in ("a.tif", "b.tif"))
    assert upright.value_range == turned.value_range == (0, int(dark.max()))
    np.testing.assert_array_equal(next(iter(turned)).image, next(iter(upright)).image)
