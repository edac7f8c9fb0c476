"""The layouts of MOSE, LVOS and BURST, and the door to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.small_sets import (
    LATE,
    LENGTH,
    SIZE,
    labels_of,
    make_burst,
    make_lvos,
    make_mose,
    make_youtube_vos,
)
from vostrack.batch import dataset_jobs
from vostrack.datasets import DatasetChoice, open_burst, open_dataset, open_lvos, open_mose
from vostrack.errors import InputError
from vostrack.masks.palette import read_label_map, write_label_map


@pytest.mark.parametrize(
    ("layout", "make", "late"),
    [
        ("youtube-vos", make_youtube_vos, LATE),
        ("lvos", make_lvos, LATE),
        ("burst", make_burst, LATE // 2),
        ("mose", make_mose, None),
    ],
)
def test_objects_start_at_their_own_frames(
    layout: str, make: Callable[[Path], Path], late: int | None, tmp_path: Path
) -> None:
    choice = DatasetChoice(root=make(tmp_path), layout=layout)  # type: ignore[arg-type]
    goats, swan = open_dataset(choice, masks=tmp_path / "masks")
    assert goats.name.endswith("goats")
    assert [index for index, _ in goats.prompts] == ([0] if late is None else [0, late])
    assert [index for index, _ in swan.prompts] == [0]
    frame = 0 if late is None else LATE
    assert np.array_equal(read_label_map(goats.prompts[-1][1]), labels_of("goats", frame))
    assert all(path is not None for path in goats.annotations)
    if layout != "mose":
        assert [obj.id for obj in goats.objects] == [2, 5]
        assert goats.objects[1].frames == goats.frame_names[late:]
    job = dataset_jobs([goats], tmp_path / "out")[0]
    assert [index for index, _ in job.later_masks] == ([] if late is None else [late])


def test_mose_with_given_masks_only(tmp_path: Path) -> None:
    make_mose(tmp_path, subset="valid", dense=False)
    goats, swan = open_mose(tmp_path, subset="valid")
    assert [index for index, _ in goats.prompts] == [0, LATE]
    assert [index for index, _ in swan.prompts] == [0]
    assert [v.name for v in open_mose(tmp_path / "valid", sequences=["swan"])] == ["swan"]
    with pytest.raises(InputError, match=r"MOSE has no cow .*it has goats, swan"):
        open_mose(tmp_path, subset="valid", sequences=["cow"])


@pytest.mark.parametrize("hole", [0, 1, LATE, LENGTH - 1])
def test_a_missing_mask_of_mose_makes_no_prompts_of_the_others(hole: int, tmp_path: Path) -> None:
    """Object 5 comes later; where every frame is annotated, it is not given."""
    make_mose(tmp_path)
    (tmp_path / "Annotations" / "goats" / f"{hole:05}.png").unlink()
    goats, _ = open_mose(tmp_path)
    assert [index for index, _ in goats.prompts] == [1 if hole == 0 else 0]
    # An object that is absent from one mask is not new afterwards either.
    write_label_map(tmp_path / "Annotations" / "goats" / f"{3:05}.png", np.zeros(SIZE, np.uint8))
    goats, _ = open_mose(tmp_path)
    assert len(goats.prompts) == 1


def test_most_frames_of_a_short_video_of_mose_may_give_objects(tmp_path: Path) -> None:
    make_mose(tmp_path, dense=False)
    for frame in range(3, LENGTH):
        (tmp_path / "JPEGImages" / "goats" / f"{frame:05}.jpg").unlink()
    goats, _ = open_mose(tmp_path)
    assert [index for index, _ in goats.prompts] == [0, LATE]


def test_hidden_folders_are_no_videos(tmp_path: Path) -> None:
    make_mose(tmp_path / "mose")
    make_burst(tmp_path / "burst")
    frames = tmp_path / "burst" / "frames"
    frames.rename(tmp_path / "burst" / "JPEGImages")
    for parent in (tmp_path / "mose" / "JPEGImages", frames / "val"):
        for name in (".ipynb_checkpoints", "__MACOSX"):
            (parent / name).mkdir(parents=True)
    assert [video.name for video in open_mose(tmp_path / "mose")] == ["goats", "swan"]
    assert len(open_burst(tmp_path / "burst", tmp_path / "m")) == 2


@pytest.mark.parametrize("meta", ["meta.json", "val_meta.json", "valid_meta.json"])
def test_lvos_in_its_spellings(meta: str, tmp_path: Path) -> None:
    make_lvos(tmp_path, meta=meta, subset="valid" if meta == "meta.json" else "val")
    goats = open_lvos(tmp_path)[0]
    assert goats.objects[1].frames[0] == f"{5 * LATE + 1:08}"
    assert open_lvos(next(p for p in tmp_path.iterdir() if p.is_dir()))[0].name == "goats"


def test_what_is_wrong_with_an_lvos_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LVOS: no .*expected the folder"):
        open_lvos(tmp_path)
    make_lvos(tmp_path)
    meta = tmp_path / "val" / "valid_meta.json"
    text = meta.read_text()
    for broken, words in (
        ("[]", "expected JSON with videos"),
        ('{"videos": {}}', r"meta\.json: expected JSON with videos .*got no video"),
        ('{"videos": {"swan": {"objects": {}}}}', "video swan has no object"),
        ('{"videos": {"swan": {"objects": ["1"]}}}', "objects of video swan: expected a mapping"),
        (text.replace('"5"', '"255"'), r"meta\.json: video goats: .*must be 1 to 254 .*got '255'"),
        (text.replace('"5"', '"02"'), "video goats: object 2 is there twice"),
        (text.replace("frame_range", "frames"), "expected frame_range"),
        (text.replace('"00000001"', '"x"'), "expected frame_range"),
        (text.replace('"00000001"', '"00000900"'), "no frame from 900"),
    ):
        meta.write_text(broken)
        with pytest.raises(InputError, match=words):
            open_lvos(tmp_path)
    meta.write_text(text, encoding="utf-8-sig")
    assert len(open_lvos(tmp_path)) == 2
    odd = tmp_path / "val" / "JPEGImages" / "swan" / "img1.jpg"
    odd.touch()
    with pytest.raises(InputError, match=r"frames of swan with numbers as names.*got img1\.jpg"):
        open_lvos(tmp_path)
    odd.unlink()
    (tmp_path / "val" / "Annotations" / "goats" / f"{5 * LATE + 1:08}.png").unlink()
    with pytest.raises(InputError, match="has no annotation of frame 00000011"):
        open_lvos(tmp_path)
    meta.unlink()
    with pytest.raises(InputError, match=r"looked for meta\.json, val_meta\.json, valid_meta"):
        open_lvos(tmp_path)


def test_burst_with_all_frames_or_first_masks_only(tmp_path: Path) -> None:
    make_burst(tmp_path)
    goats = open_burst(tmp_path, tmp_path / "m", all_frames=True)[0]
    assert len(goats.frames) == LENGTH
    assert [path is not None for path in goats.annotations] == [True, False] * (LENGTH // 2)
    assert [index for index, _ in goats.prompts] == [0, LATE]
    (tmp_path / "annotations" / "val" / "all_classes.json").unlink()
    make_burst(tmp_path, first_only=True)
    goats = open_burst(tmp_path, tmp_path / "n")[0]
    assert [path is not None for path in goats.annotations] == [True, True, False]
    labels = read_label_map(goats.prompts[1][1])
    assert set(np.unique(labels).tolist()) == {0, 5}


def test_what_is_wrong_with_a_burst_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotations; looked for"):
        open_burst(tmp_path, tmp_path / "m")
    make_burst(tmp_path)
    path = tmp_path / "annotations" / "val" / "all_classes.json"
    data = json.loads(path.read_text())
    changes: tuple[tuple[Callable[[Any], Any], str], ...] = (
        (lambda d: d.pop("sequences"), "expected a BURST file"),
        (lambda d: d["sequences"][0]["segmentations"].pop(), "one entry of segmentations for each"),
        (lambda d: d["sequences"][0]["segmentations"][0].update({"300": {"rle": "1"}}), "1 to 254"),
        (lambda d: d["sequences"][0]["annotated_image_paths"].__setitem__(0, "x.jpg"), "lacks 1"),
        (
            lambda d: d["sequences"][0]["segmentations"][0]["2"].update(rle="0"),
            r"classes\.json: YFCC100M-goats, frame frame0000, track 2: RLE: the run lengths",
        ),
        (
            lambda d: d["sequences"][0].update(width=65),
            "YFCC100M-goats, frame frame0000, track 2: RLE: the run lengths",
        ),
        (
            lambda d: d["sequences"][0].pop("height"),
            r"\(YFCC100M-goats\): height: expected pixels, got nothing",
        ),
        (lambda d: d["sequences"].clear(), "expected a BURST file"),
        (lambda d: d["sequences"].append(3), "sequence 2: expected a mapping"),
        (
            lambda d: d["sequences"].append(d["sequences"][0]),
            "sequence 2 is YFCC100M-goats, as sequence 0 is already; keep one",
        ),
        (lambda d: d["sequences"][0].pop("seq_name"), "seq_name: expected text, got nothing"),
        (lambda d: d["sequences"][0]["segmentations"].__setitem__(0, []), r"got '\[\]'"),
        (
            lambda d: d["sequences"][0]["segmentations"][0].update({"a": {"rle": "1"}}),
            "1 to 254 .*got 'a'",
        ),
        (
            lambda d: d["sequences"][0]["segmentations"][0].update({"2": "1"}),
            "track 2: expected a mapping {...}, got '1'",
        ),
    )
    for change, words in changes:
        changed = json.loads(json.dumps(data))
        change(changed)
        path.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=words):
            open_burst(tmp_path, tmp_path / "m")
    path.write_text("{")
    with pytest.raises(InputError, match="expected a BURST file"):
        open_burst(tmp_path, tmp_path / "m")


def test_options_of_other_layouts_are_refused(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"layout": "mose", "year": 2016}, "year: has no effect with the layout mose"),
        ({"layout": "lvos", "resolution": "480p"}, "resolution: has no effect"),
        ({"layout": "burst", "annotations": "x"}, "annotations: has no effect"),
        ({"layout": "davis", "all_frames": True}, "belongs to youtube-vos and burst"),
        ({"layout": "vipseg"}, "layout: expected one of davis, youtube-vos"),
    )
    for options, words in cases:
        with pytest.raises(InputError, match=words):
            DatasetChoice(root=tmp_path, **options)
    with pytest.raises(InputError, match="BURST needs a folder"):
        open_dataset(DatasetChoice(root=tmp_path, layout="burst"))
