"""Folders and stacks of label maps as other versions of the tools write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.masks.formats.variants import (
    BOX,
    OTHER,
    PIXELS,
    SIZE,
    Save,
    is_box,
    read_mask,
)
from vostrack.errors import InputError
from vostrack.masks import encode_rle, read_results


def test_mots_images_with_one_number_in_two_classes(tmp_path: Path) -> None:
    values = np.where(BOX, 1001, np.where(OTHER, 2001, 0)).astype(np.uint16)
    values[0, 0] = 10000
    Image.fromarray(values).save(tmp_path / "000000.png")
    masks = read_results(tmp_path)
    assert [entry.name for entry in masks.objects] == ["1001", "2001"]
    assert [entry.category for entry in masks.objects] == ["car", "pedestrian"]
    labels = masks.labels(0)
    assert labels[0, 0] == 255
    np.testing.assert_array_equal(labels == 1, BOX & ~OTHER)


@pytest.mark.parametrize(
    ("line", "yaml", "name"),
    [
        ("0 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("data.yaml", "nc: 1\nnames: ['ball']\n"), "ball"),
        ("1 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS) + " 6",
         ("data.yaml", "names:\n  0: cat\n  1: \"Bär\"\n"), "Bär"),
        ("1 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("classes.txt", "cat\ndog\n"), "dog"),
        ("7 " + " ".join(f"{(x + 0.1) / 30:.5f} {(y + 0.1) / 20:.5f}" for x, y in PIXELS),
         ("notes.md", "no names"), "class 7"),
    ],
)  # fmt: skip
def test_yolo(line: str, yaml: tuple[str, str], name: str, save: Save) -> None:
    save("d/" + yaml[0], yaml[1])
    save("d/labels/00001.txt", "")
    path = save("d/labels/00000.txt", line + "\r\n")
    is_box(read_mask(path), name)
    is_box(read_mask(path.parents[1]), name)
    numbers = [frame.number for frame in read_results(path.parents[1], size=SIZE).frames]
    assert numbers == [0, 1]
    with pytest.raises(InputError, match="as `size`"):
        read_results(path.parents[1])


def test_tiff_stacks(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    many = np.stack([np.where(BOX, 3000, np.where(OTHER, 70000, 0))] * 4).astype(np.int32)
    tifffile.imwrite(tmp_path / "m.tif", many)
    mask = read_mask(tmp_path / "m.tif", asked=2)
    assert mask.names == ("3000", "70000")
    is_box(mask)
    assert "became" in read_results(tmp_path / "m.tif").notes[0]
    binary = np.stack([BOX & False, BOX]).astype(np.uint8) * 255
    tifffile.imwrite(tmp_path / "b.tif", binary, imagej=True)
    mask = read_mask(tmp_path / "b.tif")
    is_box(mask)
    assert mask.frame == 1
    tifffile.imwrite(tmp_path / "f.tif", np.stack([many] * 2))
    with pytest.raises(InputError, match="expected a stack"):
        read_results(tmp_path / "f.tif")


@pytest.mark.parametrize(
    ("labels", "void"),
    [
        ({"background": 0, "ball": 1, "ignore": 2}, 80),
        ({"0": "background", "1": "ball", "2": "cat"}, 0),
        ({"background": "0", "ball": "1", "cat": "2"}, 0),
    ],
)
def test_nnunet(labels: dict[str, Any], void: int, save: Save) -> None:
    folder = save("d/dataset.json", {"labels": labels, "file_ending": ".png"}).parent
    (folder / "labelsTr").mkdir()
    values = np.where(BOX, 1, np.where(OTHER, 2, 0)).astype(np.uint8)
    Image.fromarray(values).save(folder / "labelsTr" / "case_00000.png")
    mask = read_mask(folder)
    is_box(mask, "ball")
    assert (mask.labels == 255).sum() == void


def test_sa_v_folders(save: Save) -> None:
    for number, drawn in (("000", BOX), ("001", OTHER)):
        for frame in ("00000", "00004"):
            path = save(f"v/{number}/{frame}.png", "x")
            Image.fromarray(drawn).save(path)
    (save("v/001/00000.png", "x")).unlink()
    mask = read_mask(path.parents[1])
    is_box(mask, "000")
    masks = read_results(path.parents[1])
    assert [frame.number for frame in masks.frames] == [0, 4]
    np.testing.assert_array_equal(masks.labels(1) == 2, OTHER)


def test_numbers_that_repeat_are_counted(save: Save) -> None:
    """As in a data set of two videos without names for them."""
    images = [{"id": k, "file_name": f"{v}/00000.png"} for k, v in enumerate("ab")]
    annotations = [{"image_id": k, "track_id": 1, "segmentation": encode_rle(BOX)} for k in (0, 1)]
    masks = read_results(save("m.json", {"images": images, "annotations": annotations}))
    assert [frame.number for frame in masks.frames] == [0, 1]
    assert "they are counted" in masks.notes[0]


@pytest.mark.parametrize("name", ["00001.png", "00001.txt"])
def test_a_label_map_that_is_a_link_to_nothing(name: str, tmp_path: Path) -> None:
    if name.endswith(".txt"):
        (tmp_path / "00000.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    else:
        Image.fromarray(BOX.astype(np.uint8)).save(tmp_path / "00000.png")
    (tmp_path / name).symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=rf"{name} is a link to .*gone, which does not exist"):
        read_results(tmp_path, size=SIZE)
