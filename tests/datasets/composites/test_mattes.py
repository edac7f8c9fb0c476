"""Mattes: in which forms they are read, which are good enough, and what is said of the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import AnyArray
from vostrack.datasets.composites import open_sources
from vostrack.datasets.composites.matted_photos import choose_photos, clean_photos, is_held_out
from vostrack.datasets.composites.mattes import read_matte
from vostrack.errors import InputError


def _save(path: Path, alpha: AnyArray, form: str) -> None:
    if form in ("RGBA", "LA"):
        image = Image.new("RGB", alpha.shape[::-1], (180, 160, 90)).convert(form)
        image.putalpha(Image.fromarray(alpha))
    elif form == "opaque":
        image = Image.fromarray(alpha).convert("RGBA")
    elif form == "16 bits":
        image = Image.fromarray(alpha.astype(np.uint16) * 257)
    elif form == "bits":
        image = Image.fromarray(alpha).point(lambda value: 255 * (value > 127), "1")
    else:
        image = Image.fromarray(alpha)
    image.save(path)


@pytest.mark.parametrize("form", ["RGBA", "LA", "opaque", "16 bits", "bits", "L"])
def test_a_matte_may_be_gray_or_in_the_alpha_channel(tmp_path: Path, form: str) -> None:
    alpha = np.zeros((20, 30), np.uint8)
    alpha[4:12, 5:20] = 255
    if form != "bits":
        alpha[12, 5:20] = 100
    _save(tmp_path / "a.png", alpha, form)
    np.testing.assert_array_equal(read_matte(tmp_path / "a.png"), alpha)


@pytest.mark.parametrize("form", ["RGB", "P"])
def test_a_matte_in_colours_is_refused(tmp_path: Path, form: str) -> None:
    image = Image.new("RGB", (30, 20))
    image.paste((0, 128, 0), (5, 4, 20, 12))
    image.convert(form).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has colours; expected a matte as a gray image"):
        read_matte(tmp_path / "a.png")


def test_what_is_no_clean_object_is_counted(
    tmp_path: Path, write_photo: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    shapes = {"a": "soft", "b": "soft", "c": "whole", "d": "two", "e": "none", "f": "disc"}
    for name, shape in shapes.items():
        write_photo(tmp_path, name, (200, 10, 10), shape)
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:40, 20:60] = 1
    _save(tmp_path / "Mattes" / "f.png", alpha, "L")
    with pytest.raises(
        InputError, match=r"none of the 6 mattes .*: 2 soft, .*1 with 0 and 1 alone"
    ):
        choose_photos(tmp_path)
    for name, side in (("g", 7), ("h", 8), ("i", 9)):
        write_photo(tmp_path, name, (200, 10, 10))
        alpha[:] = 0
        alpha[20 : 20 + side, 20:60] = 255
        _save(tmp_path / "Mattes" / f"{name}.png", alpha, "L")
    (tmp_path / "Mattes" / "i.png").unlink()
    caplog.set_level("INFO", logger="vostrack")
    chosen = choose_photos(tmp_path)
    assert [photo.name for photo in chosen.clean] == ["h"]
    assert [photo.name for photo in chosen.others] == ["a", "b", "c", "d", "e", "f", "g"]
    (said,) = caplog.messages
    assert f"1 of 9 photographs of {tmp_path} show one clean object" in said
    reasons = said.split("others: ")[1].split(", ")
    assert sorted(reasons) == [
        "1 covering nearly all",
        "1 empty",
        "1 in pieces",
        "1 missing",
        "1 too small",
        "1 with 0 and 1 alone",
        "2 soft",
    ]


def test_clean_photographs_that_are_all_held_out_are_said_to_be(
    tmp_path: Path, write_photo: Callable[..., None]
) -> None:
    assert is_held_out("a")
    write_photo(tmp_path, "a", (200, 10, 10))
    with pytest.raises(InputError, match=r"all 1 photographs .* are held out for validation"):
        clean_photos(tmp_path)


def test_two_photographs_with_one_matte_are_refused(
    tmp_path: Path, write_photo: Callable[..., None]
) -> None:
    write_photo(tmp_path, "a", (200, 10, 10))
    Image.new("RGB", (80, 60)).save(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(InputError, match=r"JPEGImages: a.jpg and a.png have the same name"):
        clean_photos(tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (500, 5), (5, 500), (3, 3)])
def test_tiny_pictures_are_neither_objects_nor_backgrounds(
    objects_folder: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    shutil.copytree(objects_folder, tmp_path / "objects")
    alpha = np.zeros(size[::-1], np.uint8)
    alpha[:, : max(1, size[0] // 2)] = 255
    Image.new("RGB", size).save(tmp_path / "objects" / "JPEGImages" / "tiny.png")
    _save(tmp_path / "objects" / "Mattes" / "tiny.png", alpha, "L")
    sources = open_sources(tmp_path / "objects", [], split="all")
    names = {photo.name for photo in sources.objects} | {still.name for still in sources.stills}
    assert "tiny" not in names
    assert "x0" in names
    (tmp_path / "stills").mkdir()
    Image.new("RGB", size).save(tmp_path / "stills" / "tiny.png")
    with pytest.raises(InputError, match=r"tiny.png is .* pixels, expected at least 16 x 16"):
        open_sources(objects_folder, [tmp_path / "stills"], split="all")
    assert open_sources(objects_folder, [tmp_path / "stills"], split="all", exclude=["tiny"]).stills
