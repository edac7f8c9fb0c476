"""First masks in pixel formats and JSON that few programs write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from vostrack.arrays import BoolArray
from vostrack.errors import InputError
from vostrack.masks import decode_rle, read_first_mask

SIZE = (48, 64)
A, B = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
A[10:30, 10:30], B[15:40, 36:56] = True, True
IDS = np.where(A, 1, np.where(B, 2, 0)).astype(np.uint8)
WHITE = A.astype(np.uint8) * np.uint8(255)


def _binary(path: Path) -> None:
    mask = read_first_mask(path, size=SIZE)
    assert mask.ids == (1,)
    np.testing.assert_array_equal(mask.labels == 1, A)


def _cmyk(path: Path) -> None:
    Image.fromarray(np.dstack([WHITE] * 3)).convert("CMYK").save(path)


def _bilevel(path: Path) -> None:
    Image.fromarray(A).save(path, compression="group4")


def _bilevel_inverted(path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, ~A, photometric="miniswhite")


def _alpha_only(path: Path) -> None:
    Image.fromarray(np.dstack([np.full((*SIZE, 3), 255, np.uint8), WHITE])).save(path)


def _gray_alpha(path: Path) -> None:
    Image.fromarray(np.dstack([np.full(SIZE, 255, np.uint8), WHITE])).save(path)


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        ("tif", _cmyk), ("jpg", _cmyk), ("tif", _bilevel), ("tif", _bilevel_inverted),
        ("png", _alpha_only), ("png", _gray_alpha),
    ],
)  # fmt: skip
def test_a_mask_of_one_object(suffix: str, save: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    save(path)
    _binary(path)


def test_colours_for_print_are_converted_with_a_line(tmp_path: Path) -> None:
    red = np.dstack([WHITE, WHITE * 0, WHITE * 0])
    Image.fromarray(red).convert("CMYK").save(tmp_path / "m.tif")
    mask = read_first_mask(tmp_path / "m.tif")
    np.testing.assert_array_equal(mask.labels == 1, A)
    assert any("CMYK were converted to RGB" in warning for warning in mask.warnings)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.int32, np.uint32])
def test_tiff_of_every_kind_of_number(kind: type[np.generic], tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "m.tif", IDS.astype(kind))
    mask = read_first_mask(tmp_path / "m.tif", size=SIZE)
    np.testing.assert_array_equal(mask.labels, IDS)
    tifffile.imwrite(tmp_path / "s.tif", np.stack([IDS, IDS]).astype(kind))
    np.testing.assert_array_equal(read_first_mask(tmp_path / "s.tif", size=SIZE).labels, IDS)


@pytest.mark.parametrize("wrong", [0.25, np.nan, np.inf, 1e12])
def test_fractions_are_no_labels(wrong: float, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = np.stack([IDS, IDS]).astype(np.float64)
    values[:, 0, 0] = wrong
    tifffile.imwrite(tmp_path / "m.tif", values)
    with pytest.raises(InputError, match="contains fractions, expected integer labels"):
        read_first_mask(tmp_path / "m.tif")


def test_the_region_to_ignore_of_mots_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.where(A, 10000, 0).astype(np.uint16)).save(path)
    with pytest.raises(InputError, match=r"only the value 10000, .* region to ignore of MOTS"):
        read_first_mask(path)
    Image.fromarray(np.where(A, 10000, np.where(B, 2001, 0)).astype(np.uint16)).save(path)
    np.testing.assert_array_equal(read_first_mask(path).labels == 255, A)


def _palette(path: Path, indices: np.ndarray[Any, Any], transparent: int) -> Path:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette([255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(path, transparency=transparent)
    return path


def test_a_transparent_index_that_surrounds_the_objects_is_background(tmp_path: Path) -> None:
    mask = read_first_mask(_palette(tmp_path / "m.png", np.where(A, 1, 3), 3))
    np.testing.assert_array_equal(mask.labels > 0, A)


def test_a_transparent_index_among_the_objects_is_an_object(tmp_path: Path) -> None:
    mask = read_first_mask(_palette(tmp_path / "m.png", IDS, 2))
    np.testing.assert_array_equal(mask.labels, IDS)
    assert "index 2 is transparent and read as an object" in mask.warnings[0]


def _plain(mask: BoolArray) -> list[int]:
    ends = np.flatnonzero(np.diff(mask.ravel(order="F").astype(int))) + 1
    return [int(n) for n in np.diff(np.concatenate([[0], ends, [mask.size]]))]


def _coded(mask: BoolArray) -> Any:
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


def _as(kind: str) -> dict[str, Any]:
    height, width = SIZE
    return {
        "text": {"size": [height, width], "counts": _coded(A).decode()},
        "bytes": {"size": [height, width], "counts": _coded(A)},
        "bytes as text": {"size": [height, width], "counts": str(_coded(A))},
        "runs": {"size": [height, width], "counts": _plain(A)},
        "floats": {"size": [48.0, 64.0], "counts": [float(n) for n in _plain(A)]},
    }[kind]


@pytest.mark.parametrize("kind", ["text", "bytes", "bytes as text", "runs", "floats"])
def test_rle_of_every_kind(kind: str, tmp_path: Path) -> None:
    rle = _as(kind)
    np.testing.assert_array_equal(decode_rle(rle), A)
    if kind != "bytes":
        (tmp_path / "m.json").write_text(json.dumps([rle]))
        _binary(tmp_path / "m.json")


def test_bytes_as_text_with_backslashes() -> None:
    """The code for 44 is a backslash, which Python doubles."""
    random = np.random.default_rng(0)
    while b"\\" not in _coded(mask := random.random((40, 30)) > 0.98):
        pass
    text = str(_coded(mask))
    np.testing.assert_array_equal(decode_rle({"size": [40, 30], "counts": text}), mask)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps([_as("text")]), encoding=encoding)
    _binary(tmp_path / "m.json")


@pytest.mark.parametrize("key", ["annotation", "id"])
def test_coco_with_masks_of_categories_only(key: str, tmp_path: Path) -> None:
    """Annotations without ids, tracks or names of categories."""
    found = [
        {"image_id": 1, "category_id": k, "segmentation": {"size": SIZE, "counts": _plain(mask)}}
        for k, mask in ((1, A), (2, B))
    ]
    if key == "id":
        found = [{**entry, "id": k} for k, entry in enumerate(found)]
    image = {"id": 1, "file_name": "00000.jpg", "height": 48, "width": 64}
    (tmp_path / "m.json").write_text(json.dumps({"images": [image], "annotations": found}))
    np.testing.assert_array_equal(read_first_mask(tmp_path / "m.json").labels, IDS)


@pytest.mark.parametrize(
    "name",
    [
        "-dash",
        "a b",
        "100%d",
        "[x]",
        "colon:1",
        "ünï",
        "*",
        "#1",
        "'q'",
        '"d"',
        "new\nline",
        "$HOME",
    ],
)
def test_a_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(read_first_mask(tmp_path / f"{name}.png").labels, IDS)
