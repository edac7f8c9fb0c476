"""Which photographs are taken, which names are held out, and what is read of them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.arrays import AnyArray
from vostrack.datasets.composites import CompositeSources, MatteFilter, open_sources
from vostrack.datasets.composites.backgrounds import remove_object, scan_backgrounds
from vostrack.datasets.composites.cutouts import read_cutout
from vostrack.datasets.composites.matte_filter import passes_filter
from vostrack.datasets.composites.matted_photos import (
    choose_photos,
    clean_photos,
    is_held_out,
    scan_matted_photos,
)
from vostrack.datasets.composites.mattes import read_matte
from vostrack.errors import InputError
from vostrack.video import VideoWriter
from vostrack.video.images import read_image


def test_the_filter_keeps_single_clean_objects(objects_folder: Path) -> None:
    photos = {photo.name: photo for photo in scan_matted_photos(objects_folder)}
    kept = {name for name, photo in photos.items() if passes_filter(photo, MatteFilter())}
    assert kept == {f"o{index:02d}" for index in range(20)}
    assert photos["x0"].soft == pytest.approx(0.75)
    assert photos["x1"].area == 1
    assert photos["x2"].largest_piece == pytest.approx(0.5, abs=0.01)
    assert photos["x3"].area == 0
    assert photos["o01"].box == (10, 22, 71, 39)
    assert photos["o01"].area == pytest.approx(61 * 17 / 4800)


def test_an_index_is_read_until_a_file_changes(
    tmp_path: Path, write_photo: Callable[..., None]
) -> None:
    write_photo(tmp_path, "a", (200, 10, 10))
    index = tmp_path / "index.json"
    first = scan_matted_photos(tmp_path, index=index)
    stored = json.loads(index.read_text())
    stored["photos"][0]["area"] = 0.123
    index.write_text(json.dumps(stored))
    assert scan_matted_photos(tmp_path, index=index)[0].area == 0.123
    os.utime(tmp_path / "Mattes" / "a.png", ns=(1, 1))
    assert scan_matted_photos(tmp_path, index=index) == first
    index.write_text("{broken")
    assert scan_matted_photos(tmp_path, index=index) == first


def test_a_cutout_brings_no_colour_of_the_old_background_along(objects_folder: Path) -> None:
    photos = {photo.name: photo for photo in scan_matted_photos(objects_folder)}
    for name in ("o00", "o04"):
        cutout = read_cutout(photos[name]).astype(int)
        original = read_image(photos[name].image)
        colours = [original[y, x].astype(int) for y in (24, 36) for x in (26, 45)]
        seen = cutout[..., :3][cutout[..., 3] > 60]
        # Every pixel is one of the four tones, or between them where they meet.
        low, high = np.min(colours, axis=0) - 2, np.max(colours, axis=0) + 2
        assert ((seen >= low) & (seen <= high)).all()


def test_validation_objects_and_backgrounds_are_never_trained_on(
    objects_folder: Path, backgrounds_folder: Path
) -> None:
    folders = [backgrounds_folder / "stills", backgrounds_folder / "davis"]
    names: dict[str, set[str]] = {}
    for split in ("train", "validation", "all"):
        part = open_sources(objects_folder, folders, split=split)
        names[split] = {photo.name for photo in part.objects}
        names[split] |= {place.name for place in (*part.stills, *part.videos)}
    assert not names["train"] & names["validation"]
    assert names["train"] | names["validation"] == names["all"]
    assert names["validation"] == {name for name in names["all"] if is_held_out(name)}


def test_a_name_is_held_out_whatever_else_there_is() -> None:
    names = [f"n{index:08d}" for index in range(4000)]
    share = sum(map(is_held_out, names)) / len(names)
    assert 0.13 < share < 0.17
    # Recorded once: a change would let validation objects into trainings.
    assert [name for name in names[:30] if is_held_out(name)] == [
        "n00000002",
        "n00000011",
        "n00000021",
    ]


def test_backgrounds_of_every_form_are_found(backgrounds_folder: Path) -> None:
    walk = scan_backgrounds([backgrounds_folder / "davis"])
    assert [(b.name, b.length, len(b.masks), b.moves) for b in walk] == [("walk", 6, 6, True)]
    stills = scan_backgrounds([backgrounds_folder / "stills"])
    assert [still.name for still in stills] == [f"s{index:02d}" for index in range(24)]
    assert not any(still.moves for still in stills)
    folder = scan_backgrounds([backgrounds_folder / "davis" / "JPEGImages" / "480p"])
    assert [(b.name, b.length, b.masks) for b in folder] == [("walk", 6, ())]


def test_a_video_file_is_a_background(objects_folder: Path, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "fade.mp4", 25.0) as writer:
        for index in range(8):
            writer.add(np.full((64, 96, 3), 30 * index + 10, np.uint8), index / 25)
    sources = open_sources(objects_folder, [tmp_path], split="all")
    assert [(b.name, b.length, b.moves) for b in sources.videos] == [("fade", 8, True)]
    for index in (6, 1):
        frame = sources.frame("fade", index)
        assert frame.shape == (64, 96, 3)
        assert np.abs(frame.astype(int) - (30 * index + 10)).max() < 6


def test_backgrounds_are_left_out_by_name(objects_folder: Path, backgrounds_folder: Path) -> None:
    folders = [backgrounds_folder / "stills", backgrounds_folder / "davis"]
    some = open_sources(objects_folder, folders, split="all", exclude=["walk", "s03", "x0"])
    assert not some.videos
    assert not {"s03", "x0"} & {still.name for still in some.stills}
    assert len(some.stills) == 23 + 3
    with pytest.raises(InputError, match="exclude: wlak is no background; expected names of"):
        open_sources(objects_folder, folders, split="all", exclude=["wlak"])


def test_an_annotated_object_is_painted_over(sources: CompositeSources) -> None:
    full, emptied = sources.frame("walk", 2), sources.frame("walk", 2, emptied=True)
    assert (full[50, 40] == (255, 0, 0)).all()
    assert np.abs(emptied[40:60, 30:50].astype(int) - 100).max() < 12
    assert (emptied[:30] == full[:30]).all()


def test_removing_nothing_changes_nothing(sources: CompositeSources, tmp_path: Path) -> None:
    from vostrack.masks import write_label_map

    write_label_map(tmp_path / "m.png", np.zeros((96, 128), np.uint8))
    frame = sources.frame("walk", 0)
    assert remove_object(frame, tmp_path / "m.png") is frame


def test_look_alikes_are_near_in_colour_or_in_name(sources: CompositeSources) -> None:
    found = sources.look_alikes("o10", 6)
    assert len(found) == len(set(found)) == 6
    assert "o10" not in found
    assert {"o09", "o11"} <= set(found)
    own = np.array(sources.photo("o10").colour)
    gaps = {p.name: np.abs(np.array(p.colour) - own).sum() for p in sources.objects}
    nearest = min((name for name in gaps if name != "o10"), key=lambda name: gaps[name])
    assert nearest in found


def test_sources_travel_to_other_processes(sources: CompositeSources) -> None:
    sources.cutout("o00")
    other = pickle.loads(pickle.dumps(sources))
    assert other.objects == sources.objects
    assert (other.cutout("o00") == sources.cutout("o00")).all()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        ("no mattes folder", "Mattes is no folder; expected"),
        ("no matte", "no photograph of .* has its matte"),
        ("size", "expected the size of a.png, 80 x 60, got 40 x 30"),
        ("nothing clean", "none of the 1 mattes"),
        ("no background", "nowhere is no folder"),
        ("empty background", "holds nothing to use"),
        ("empty split", "the train split has 0 objects"),
    ],
)
def test_refusals(
    tmp_path: Path, write_photo: Callable[..., None], break_it: str, message: str
) -> None:
    assert is_held_out("a")
    write_photo(tmp_path, "a", (200, 10, 10), "soft" if break_it == "nothing clean" else "disc")
    matte, folders = tmp_path / "Mattes" / "a.png", []
    if break_it in ("no matte", "no mattes folder"):
        matte.unlink()
    if break_it == "no mattes folder":
        matte.parent.rmdir()
    if break_it == "size":
        Image.new("L", (40, 30)).save(matte)
    if break_it == "no background":
        folders = [tmp_path / "nowhere"]
    if break_it == "empty background":
        folders = [tmp_path / "void"]
        folders[0].mkdir()
    split = "train" if break_it == "empty split" else "all"
    with pytest.raises(InputError, match=message):
        open_sources(tmp_path, folders, split=split)  # type: ignore[arg-type]


def test_two_backgrounds_of_one_name_are_refused(
    objects_folder: Path, backgrounds_folder: Path
) -> None:
    with pytest.raises(InputError, match="share a file name; rename"):
        open_sources(objects_folder, [backgrounds_folder / "stills"] * 2, split="all")


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


@pytest.mark.shared_data
def test_real_photographs(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "data" / "objects"
    if not folder.is_dir():
        pytest.skip(f"needs the matted photographs: no {folder}")
    (tmp_path / "JPEGImages").symlink_to(folder / "JPEGImages")
    (tmp_path / "Mattes").mkdir()
    for matte in sorted((folder / "Mattes").iterdir())[::25]:
        (tmp_path / "Mattes" / matte.name).symlink_to(matte)
    photos = scan_matted_photos(tmp_path)
    good = [photo for photo in photos if passes_filter(photo, MatteFilter())]
    # A little over half of them all are good.
    assert len(photos) == 40
    assert 14 <= len(good) <= 28
