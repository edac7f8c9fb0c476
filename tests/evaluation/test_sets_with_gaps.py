"""Data sets whose truth, metadata or ids have gaps: what is scored, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.datasets.small_sets import (
    LATE,
    LENGTH,
    labels_of,
    make_burst,
    make_lvos,
    make_mose,
    make_youtube_vos,
    picture,
)
from vostrack import evaluate
from vostrack.datasets import (
    DatasetChoice,
    VideoSequence,
    open_burst,
    open_dataset,
    open_lvos,
    open_mose,
    open_youtube_vos,
)
from vostrack.errors import InputError
from vostrack.eval import DavisReport, ScoringOptions, score_results
from vostrack.eval.submission import check_submission, write_submission
from vostrack.masks.palette import write_label_map


def score(
    sequences: tuple[VideoSequence, ...], folder: Path, layout: Any, step: int = 1
) -> DavisReport:
    """Score the truth itself."""
    for sequence in sequences:
        name = "goats" if sequence.name.endswith("goats") else "swan"
        for index, frame in enumerate(sequence.frame_names):
            write_label_map(folder / sequence.name / f"{frame}.png", labels_of(name, step * index))
    return score_results(folder, sequences, ScoringOptions(layout=layout))


def scored_frames(report: DavisReport, number: int) -> list[int]:
    return np.flatnonzero(~np.isnan(report.sequences[0].values("J", number))).tolist()


def said(report: DavisReport, kind: str) -> list[str]:
    return [finding.message for finding in report.findings if finding.kind == kind]


def test_objects_that_no_mask_shows_are_not_scored(tmp_path: Path) -> None:
    root = make_youtube_vos(tmp_path / "data")
    meta = root / "valid" / "meta.json"
    data = json.loads(meta.read_text())
    objects = data["videos"]["goats"]["objects"]
    objects["7"] = {"category": "cow", "frames": objects["2"]["frames"]}
    objects["5"]["frames"] = objects["2"]["frames"]  # the mask shows it two frames later
    meta.write_text(json.dumps(data))
    report = score(open_youtube_vos(root), tmp_path / "results", "youtube-vos")
    assert report.sequences[0].ids == (2, 5)
    assert scored_frames(report, 5) == list(range(LATE + 1, LENGTH))
    late, absent = said(report, "truth")
    assert "object 5 start, does not show it; it starts in 00010" in late
    assert absent == "no mask from frame 00000 on shows object 7; it is left out"
    assert not any(finding.lost for finding in report.findings)


def test_objects_that_the_metadata_do_not_list_are_named(tmp_path: Path) -> None:
    root = make_youtube_vos(tmp_path / "data")
    meta = root / "valid" / "meta.json"
    data = json.loads(meta.read_text())
    del data["videos"]["goats"]["objects"]["5"]
    meta.write_text(json.dumps(data))
    report = score(open_youtube_vos(root), tmp_path / "results", "youtube-vos")
    assert report.sequences[0].ids == (2,)
    assert said(report, "truth") == [
        "object 5, which the mask of frame 00010 shows, is not in the metadata; it is left out"
    ]


def test_a_submission_starts_where_the_first_object_is_shown(tmp_path: Path) -> None:
    root = make_youtube_vos(tmp_path / "data")
    meta = root / "valid" / "meta.json"
    frames = [f"{5 * index:05}" for index in range(LENGTH)]
    objects = {"5": {"category": "cow", "frames": frames}}
    meta.write_text(json.dumps({"videos": {"goats": {"objects": objects}}}))
    sequences = open_youtube_vos(root)
    for index in range(LATE, LENGTH):
        path = tmp_path / "results" / "goats" / f"{frames[index]}.png"
        write_label_map(path, labels_of("goats", index))
    written = write_submission(tmp_path / "results", sequences, tmp_path / "s.zip")
    assert written.frames == LENGTH - LATE
    assert check_submission(tmp_path / "s.zip", sequences) == []


def test_truth_of_every_second_frame(tmp_path: Path) -> None:
    root = make_mose(tmp_path / "data")
    for name in ("goats", "swan"):
        for index in range(1, LENGTH, 2):
            (root / "Annotations" / name / f"{index:05}.png").unlink()
    report = score(open_mose(root), tmp_path / "results", "mose")
    assert scored_frames(report, 2) == [2, 4]
    assert scored_frames(report, 5) == [4]
    assert report.j_and_f == 1
    notes = [f for f in report.findings if f.kind == "truth"]
    assert [str(note) for note in notes] == [
        f"{name}: no annotation of 2 of 6 frames (one frame in 2 is annotated, and the others are "
        "not scored): 00001, 00003"
        for name in ("goats", "swan")
    ]
    assert not any(note.lost for note in notes)
    # Where an object is given, and before, it counts in no figure.
    goats = tmp_path / "results" / "goats" / f"{LATE:05}.png"
    write_label_map(goats, np.where(labels_of("goats", LATE) == 2, 2, 0))
    report = score_results(tmp_path / "results", open_mose(root), ScoringOptions(layout="mose"))
    assert report.figures["J&F-dot"] == 1


@pytest.mark.parametrize(
    ("layout", "make"),
    [("mose", make_mose), ("lvos", make_lvos), ("youtube-vos", make_youtube_vos)],
)
def test_a_hole_in_the_truth_is_named_and_lost(
    layout: Any, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    root = make(tmp_path / "data")
    (folder,) = root.rglob("Annotations")
    hole = sorted((folder / "swan").iterdir())[3]
    hole.unlink()
    sequences = open_dataset(DatasetChoice(root=root, layout=layout))
    report = score(sequences, tmp_path / "results", layout)
    (finding,) = [f for f in report.findings if f.lost and f.sequence == "swan"]
    assert str(finding) == (
        "swan: no annotation of 1 of 6 frames (they are left out of the scores; complete the data "
        f"set): {hole.stem}"
    )


def test_every_second_frame_of_those_that_the_metadata_list_is_a_hole(tmp_path: Path) -> None:
    root = make_youtube_vos(tmp_path / "data")
    for index in range(1, LENGTH, 2):
        (root / "valid" / "Annotations" / "swan" / f"{5 * index:05}.png").unlink()
    report = score(open_youtube_vos(root), tmp_path / "results", "youtube-vos")
    assert [f.frames for f in report.findings if f.lost] == [("00005", "00015", "00025")]


@pytest.mark.parametrize("withheld", [True, False])
def test_an_object_without_a_scored_frame_is_named(withheld: bool, tmp_path: Path) -> None:
    """Its truth is missing, or the object is given where nothing after it counts."""
    root = make_lvos(tmp_path / "data")
    meta = root / "val" / "valid_meta.json"
    data = json.loads(meta.read_text())
    span = data["videos"]["goats"]["objects"]["5"]["frame_range"]
    span["end"] = span["start"] if not withheld else f"{5 * (LATE + 2) + 1:08}"
    meta.write_text(json.dumps(data))
    if withheld:
        (root / "val" / "Annotations" / "goats" / f"{5 * (LATE + 1) + 1:08}.png").unlink()
    report = score(open_lvos(root), tmp_path / "results", "lvos")
    (finding,) = [f for f in report.findings if "object 5" in f.message]
    assert finding.lost == withheld
    assert finding.message == "object 5 is not scored: " + (
        "none of its frames that count has an annotation"
        if withheld
        else "no frame after the one in which it is given counts"
    )


def test_a_sequence_of_one_frame(tmp_path: Path) -> None:
    root = make_mose(tmp_path / "data")
    for folder in ("JPEGImages", "Annotations"):
        for path in (root / folder / "goats").iterdir():
            if path.stem != "00000":
                path.unlink()
    report = score(open_mose(root), tmp_path / "results", "mose")
    assert said(report, "short") == [
        "1 of its frames is annotated, and none is scored: the one in which an object is given is "
        "not, nor is the last"
    ]
    assert said(report, "truth") == []


@pytest.mark.parametrize("withheld", [False, True])
def test_tracks_of_burst_in_one_frame_only(withheld: bool, tmp_path: Path) -> None:
    """The name of the file tells whether the truth is withheld."""
    root = make_burst(tmp_path / "data", first_only=True)
    path = root / "annotations" / "val" / "first_frame_annotations.json"
    if not withheld:
        path.rename(path.with_name("all_classes.json"))
    sequences = open_burst(root, tmp_path / "masks")
    if withheld:
        with pytest.raises(InputError, match="the truth of test sets is only on the server"):
            score(sequences, tmp_path / "results", "burst", step=2)
        return
    assert all(mask is not None for mask in sequences[0].annotations)
    report = score(sequences, tmp_path / "results", "burst", step=2)
    assert scored_frames(report, 2) == [1, 2]
    assert report.j_and_f < 1


@pytest.mark.parametrize(("ids", "others"), [((1, 2), 0), ((100, 200), 198), ((1, 3), 1)])
def test_ids_of_davis_with_gaps(ids: tuple[int, int], others: int, tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    for index in range(4):
        labels = labels_of("goats", index, 0)
        labels = np.select([labels == 2, labels == 5], ids).astype(np.uint8)
        frames = root / "JPEGImages/480p/goats"
        frames.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture("goats", index)).save(frames / f"{index:05}.jpg")
        for folder in (root / "Annotations/480p", tmp_path / "results"):
            write_label_map(folder / "goats" / f"{index:05}.png", labels)
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("goats\n")
    report = evaluate(tmp_path / "results", root)
    assert len(report.sequences[0].ids) == 2 + others  # the official number of rows
    messages = said(report, "ids")
    assert len(messages) == (1 if others else 0)
    if others:
        assert f"all ids up to {ids[1]} are scored" in messages[0]
        assert f"does not hold ({others}) count 1" in messages[0]
