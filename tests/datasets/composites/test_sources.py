"""Which photographs are taken, which names are held out, and what is read of them."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.datasets.composites import CompositeSources, MatteFilter, open_sources
from vostrack.datasets.composites.backgrounds import remove_object, scan_backgrounds
from vostrack.datasets.composites.cutouts import read_cutout
from vostrack.datasets.composites.matte_filter import passes_filter
from vostrack.datasets.composites.matted_photos import (
    is_held_out,
    scan_matted_photos,
)
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
