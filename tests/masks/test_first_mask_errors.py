"""Unusable masks are rejected: the message names the problem and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import AnyArray, UInt8Array
from vostrack.errors import InputError
from vostrack.masks import check_first_mask, read_first_mask

Save = Callable[..., Path]
SIZE = (40, 60)
SQUARE = [{"size": [40, 60], "counts": [400, 5, 35, 5, 1955]}]


def _blob(rows: slice = slice(5, 20), value: int = 255) -> UInt8Array:
    mask = np.zeros(SIZE, np.uint8)
    mask[rows, 10:30] = value
    return mask


def _many(count: int) -> UInt8Array:
    rows, columns = np.mgrid[:40, :60] // 3
    return np.asarray((rows * 20 + columns) % (count + 1), dtype=np.uint8)


def _photo() -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)


def _text(name: str, text: str) -> Callable[[Save, Path], Path]:
    def write(save: Save, folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def _json(content: Any) -> Callable[[Save, Path], Path]:
    return _text("m.json", json.dumps(content))


def _image(name: str, array: AnyArray, mode: str | None = None) -> Callable[[Save, Path], Path]:
    def write(save: Save, folder: Path) -> Path:
        return save(name, array, mode)

    return write


def _files(**arrays: AnyArray) -> Callable[[Save, Path], list[Path]]:
    def write(save: Save, folder: Path) -> list[Path]:
        return [save(f"{name}.png", array) for name, array in arrays.items()]

    return write


def _truncated(save: Save, folder: Path) -> Path:
    path = save("m.png", _photo())
    path.write_bytes(path.read_bytes()[:2000])
    return path


def _folder(save: Save, folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _sequence(save: Save, folder: Path) -> Path:
    for k in range(40):
        save(f"seq/{k:05d}.png", _blob())
    return folder / "seq"


def _moved(save: Save, folder: Path) -> Path:
    return folder / "moved.png"


CASES: dict[str, tuple[Callable[[Save, Path], Any], str, str]] = {
    "missing": (_moved, "no such file", "check the path"),
    "text": (_text("m.png", "hello"), "not a readable image", "export the mask as PNG"),
    "video": (_text("m.mp4", "ftypisom"), r"a file named \*.mp4", "export the mask as PNG"),
    "no bytes": (_text("m.png", ""), "an empty file", "export the mask as PNG"),
    "truncated": (_truncated, "cannot be read", "export the mask again"),
    "wrong size": (
        _image("m.png", np.pad(_blob(), 3)),
        "66x46 pixels .width x height., expected the video's 60x40",
        "full size",
    ),
    "half size": (
        _image("m.png", _blob()[::2, ::2]),
        "30x20 pixels",
        "resize the mask with nearest neighbour",
    ),
    "transposed": (_image("m.png", _blob().T), "40x60 pixels", "swapped; rotate"),
    "no object": (_image("m.png", _blob(value=0)), "empty", "paint it"),
    "only void": (_image("m.png", np.array([[0, 0, 0], [224, 224, 192]], np.uint8)[_blob(value=1)]),
                  "empty", "paint it"),
    "invisible": (
        _image("m.png", np.zeros((*SIZE, 4), np.uint8)),
        "empty",
        "paint it",
    ),
    "too many": (
        _image("m.png", _many(40)),
        "contains 40 objects, expected at most 32",
        "increase `max_objects`",
    ),
    "too many colours": (
        _image("m.png", np.stack([_many(40), _many(40) * 0, _many(40) * 3], -1)),
        "contains 40 objects",
        "increase `max_objects`",
    ),
    "photograph": (_image("m.png", _photo()), "looks like a photograph", "give the mask"),
    "photograph in JPEG": (_image("m.jpg", _photo()), "expected a clearly black", "mask as PNG"),
    "ids in JPEG": (_image("m.jpg", _blob(value=2)), "JPEG compression changes ids", "as PNG"),
    "gray photograph": (
        _image("m.png", _photo()[..., 0]),
        "contains 254 objects",
        "without anti-aliasing",
    ),
    "fractions": (
        _image("m.tif", _blob().astype(np.float32) / 100),
        "contains fractions",
        "threshold the matte",
    ),
    "black in CMYK": (
        _image("m.tif", np.zeros((*SIZE, 3), np.uint8), "CMYK"),
        "the mask is empty",
        "paint it",
    ),
    "no files": (lambda save, folder: [], "got no file", "give a PNG"),
    "empty folder": (_folder, "contains no image", "check the path"),
    "frames of a sequence": (
        _sequence,
        "40 files are named after different frames",
        "only the first one: .*00000.png",
    ),
    "sizes of files differ": (
        _files(a=_blob(), b=_blob().T),
        "b.png: the mask is 40x60 pixels .width x height., expected 60x40 like .*a.png",
        "same frame",
    ),
    "ids in files": (
        _files(a=_blob(), b=_many(3)),
        r"b.png: contains 3 objects \(1, 2, 3\)",
        "give only this file",
    ),
    "a hidden file": (
        _files(small=_blob(slice(8, 12)), large=_blob()),
        "later objects cover all 80 pixels of object small",
        "leave out duplicate masks",
    ),
    "an empty file of several": (_files(a=_blob(), b=_blob() * 0), "b.png.*empty", "paint it"),
    "no image among files": (
        lambda save, folder: [save("a.png", _blob()), _text("b.png", "x")(save, folder)],
        "b.png: not a readable image",
        "export the mask as PNG",
    ),
    "broken JSON": (_text("m.json", '{"annotations": ['), "invalid JSON", "export the masks again"),
    "missing JSON": (lambda save, folder: folder / "m.json", "cannot be read", "check the path"),
    "other JSON": (_json({"a": 1}), "got other JSON", "export the masks as COCO"),
    "a number": (_json(3), "got other JSON", "export the masks as COCO"),
    "boxes": (
        _json({"annotations": [{"bbox": [1, 2, 3, 4]}]}),
        "with a segmentation each",
        "not boxes",
    ),
    "odd layout": (
        _json({"videos": [5], "annotations": []}),
        "not laid out as COCO",
        "export the masks as COCO",
    ),
    "odd own layout": (_json({"objects": 3}), "layout of masks.json", "write the file again"),
    "no frame": (
        _json({"size": [40, 60], "frames": [], "objects": []}),
        "contains no frame",
        "write the file again",
    ),
    "no annotation": (_json([]), "contains no object", "mark one"),
    "RLE of another size": (_json([{**SQUARE[0], "size": [40, 61]}]), "2400 pixels", "again"),
    "RLE of another video": (
        _json([{"size": [50, 48], "counts": [400, 5, 1995]}]),
        "48x50 pixels",
        "full size",
    ),
    "RLE sizes differ": (
        _json([SQUARE[0], {"size": [50, 48], "counts": [400, 5, 1995]}]),
        "different sizes",
        "of one frame",
    ),
    "empty RLE": (_json([{"size": [40, 60], "counts": [2400]}]), "object 1 is empty", "leave it"),
    "doubled RLE": (_json(SQUARE * 2), "later objects cover all 10 pixels", "duplicate masks"),
    "many RLE": (
        _json([{"size": [40, 60], "counts": [k, 1, 2399 - k]} for k in range(33)]),
        "contains 33 objects, expected at most 32",
        "increase `max_objects`",
    ),
    "segmentation in words": (
        _json([{"segmentation": "everything"}]),
        "is str, expected RLE or polygons",
        "export the masks as COCO",
    ),
    "a polygon of two points": (
        _json([{"segmentation": [[1, 2, 3, 4]]}]),
        "at least three points",
        "export the polygons again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_trouble_and_remedy(case: str, save: Save, tmp_path: Path) -> None:
    make, trouble, remedy = CASES[case]
    source = make(save, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=trouble) as caught:
        read_first_mask(source, size=SIZE)
    assert "expected" in str(caught.value), caught.value
    caught.match(remedy)
    assert "\n" not in str(caught.value)
    if isinstance(source, Path):
        assert source.name in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_polygons_without_any_size(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('[{"segmentation": [[1, 1, 9, 1, 9, 9]]}]')
    with pytest.raises(InputError, match=r"polygons need the image size.*or use RLE"):
        read_first_mask(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("labels", "trouble", "remedy"),
    [
        (np.zeros(SIZE), "float64", "astype"),
        (np.zeros((2, 40, 60), np.uint8), r"shape \(2, 40, 60\)", "expected"),
        (np.zeros((0, 40, 60), bool), "contains no object", "mark one"),
        (np.zeros((1, 40, 60), bool), "object 1 is empty", "leave it out"),
        (np.zeros(SIZE, bool), "empty", "paint it"),
        (np.where(_blob() > 0, -1, 3), "got -1", "set pixels to ignore to 255"),
        (_blob()[:, :50], "50x40 pixels", "full size"),
        (_many(33), "contains 33 objects", "increase `max_objects`"),
        ([[0, 1], [0]], "unequal length", "make all rows equally long"),
    ],
)
def test_arrays_that_are_no_masks(labels: Any, trouble: str, remedy: str) -> None:
    with pytest.raises(InputError, match=trouble) as caught:
        check_first_mask(labels, size=SIZE)
    caught.match(remedy)


def test_limits_can_be_moved_within_reason() -> None:
    assert len(check_first_mask(_many(33), max_objects=33, min_pixels=0).ids) == 33
    assert len(check_first_mask(_many(254), max_objects=254, min_pixels=0).ids) == 254
    with pytest.raises(InputError, match="contains 2 objects, expected at most 1"):
        check_first_mask(_many(2), max_objects=1)
    for limit in (0, 255):
        with pytest.raises(InputError, match=r"expected 1\.\.254 .*several runs"):
            check_first_mask(_blob(), max_objects=limit)
    with pytest.raises(InputError, match=r"min_pixels.*use 0"):
        check_first_mask(_blob(), min_pixels=-1)


def test_huge_images_are_refused(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"cannot be read .*exceeds limit"):
        read_first_mask(save("m.png", _blob()))
