"""Results with other values than ids: read where their meaning is clear, otherwise named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.results_of_others import (
    LENGTH,
    SIZE,
    Write,
    colours,
    few_bits,
    guess,
    make_davis,
    one_bit,
    one_colour,
    sixteen_bits,
    soft,
    sorted_palette,
    times,
    transparent,
    truth,
    white,
    write_gray,
    write_results,
)
from vostrack import evaluate
from vostrack.errors import InputError
from vostrack.eval import DavisReport, ScoringOptions
from vostrack.masks.palette import write_label_map


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS"))


@pytest.fixture(scope="module")
def davis_2016(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS16"), year=2016)


@pytest.fixture(scope="module")
def right(davis: Path, tmp_path_factory: pytest.TempPathFactory) -> DavisReport:
    return evaluate(write_results(tmp_path_factory.mktemp("right")), davis)


def scores(report: DavisReport, name: str) -> object:
    return report.to_json()["sequences"][name]


@pytest.mark.parametrize(
    ("write", "kinds"),
    [
        (white, {"values"}),
        (soft(20, 224), {"values"}),
        (soft(0, 255), {"values"}),
        (soft(16, 235), {"values"}),
        (soft(3, 251, levels=40), {"values"}),
        (one_bit, set()),
        (one_colour, {"values"}),
        (transparent, {"values"}),
        (times(1), set()),
        (sixteen_bits, set()),
        (few_bits, set()),
        (colours, {"values"}),
        (sorted_palette, {"values"}),
    ],
)
def test_masks_of_one_object(
    write: Write, kinds: set[str], davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    report = evaluate(write_results(tmp_path, ("swan",), write=write), davis, sequences=["swan"])
    assert scores(report, "swan") == scores(right, "swan")
    assert {finding.kind for finding in report.findings} == kinds
    assert report.complete


@pytest.mark.parametrize("write", [white, soft(20, 224), soft(16, 235), one_bit, colours, times(3)])
def test_binary_masks_of_2016(
    write: Write, davis_2016: Path, right: DavisReport, tmp_path: Path
) -> None:
    report = evaluate(write_results(tmp_path, write=write), davis_2016, year=2016)
    assert scores(report, "swan") == scores(right, "swan")
    assert report.complete
    assert report.sequences[1].measure("J", 1).mean > 0.7


@pytest.mark.parametrize(
    ("suffix", "write"), [("jpg", white), ("jpeg", soft(20, 224)), ("jpg", one_colour)]
)
def test_jpeg_of_one_object_is_cut_at_half(
    suffix: str, write: Write, davis: Path, tmp_path: Path
) -> None:
    results = write_results(tmp_path, ("swan",), naming=f"{{:05}}.{suffix}", write=write)
    report = evaluate(results, davis, sequences=["swan"])
    assert 0.7 < report.measure("J").mean < 0.95
    assert report.complete
    assert "cut at half" in report.findings[0].message


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (times(85), "85, 170 are read as ids 1, 2"),
        (times(100), "100, 200 are read as ids 1, 2"),
        (times(40), "40, 80 are read as ids 1, 2"),
        (colours, "colours of the DAVIS palette"),
        (sorted_palette, "colours of the DAVIS palette"),
        (sixteen_bits, ""),
        (few_bits, ""),
    ],
)
def test_masks_of_two_objects(
    write: Write, words: str, davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    report = evaluate(write_results(tmp_path, ("goats",), write=write), davis, sequences=["goats"])
    assert scores(report, "goats") == scores(right, "goats")
    assert report.complete
    assert words in "".join(finding.message for finding in report.findings)


def test_blurred_colours_are_read_as_the_nearest_ids(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path, ("goats",), naming="{:05}.jpg", write=colours)
    report = evaluate(results, davis, sequences=["goats"])
    assert report.measure("J").mean == pytest.approx(
        right.sequences[1].values("J", 1)[1:-1].mean(), abs=0.15
    )
    assert "nearest ids" in report.findings[0].message


@pytest.mark.parametrize(
    ("write", "naming", "words"),
    [
        (white, "{:05}.png", "black and white masks .* 2 objects"),
        (one_bit, "{:05}.png", "black and white masks .* 2 objects"),
        (soft(20, 224, levels=40), "{:05}.png", "are no label maps of 2 objects"),
        (times(1), "{:05}.jpg", "JPEG changes ids"),
        (white, "{:05}.jpg", "JPEG changes ids"),
    ],
)
def test_what_holds_no_ids_of_two_objects_is_named_and_the_rest_is_scored(
    write: Write, naming: str, words: str, davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    write_results(tmp_path, ("goats",), write=write, naming=naming)
    report = evaluate(write_results(tmp_path, ("swan",)), davis)
    assert scores(report, "swan") == scores(right, "swan")
    assert [s.name for s in report.sequences] == ["swan"]
    assert not report.complete
    (finding,) = report.findings
    assert finding.sequence == "goats"
    assert re.search(words, finding.message)


def test_ids_that_the_truth_has_not_are_named_and_count_as_background(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path)
    for frame, number in ((2, 3), (3, 3), (4, 255), (5, 9)):
        labels = guess("goats", frame)
        labels[22:, :4] = number
        write_label_map(results / "goats" / f"{frame:05}.png", labels)
    report = evaluate(results, davis)
    assert scores(report, "goats") == scores(right, "goats")
    assert not report.complete
    assert {f.message.split(" is ")[0]: f.frames for f in report.findings} == {
        "id 3": ("00002", "00003"),
        "void (255)": ("00004",),
        "id 9": ("00005",),
    }


def test_other_sizes_and_damaged_files_are_named(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path)
    for frame in (1, 2):
        write_label_map(results / "swan" / f"{frame:05}.png", np.zeros((12, 16), np.uint8))
    write_label_map(results / "swan" / "00003.png", np.zeros(SIZE[::-1], np.uint8))
    (results / "swan" / "00004.png").write_bytes(b"no image")
    good = (results / "swan" / "00005.png").read_bytes()
    (results / "swan" / "00005.png").write_bytes(good[: len(good) // 2])
    report = evaluate(results, davis)
    found = {(f.kind, f.frames) for f in report.findings if f.lost}
    assert found == {
        ("size", ("00001", "00002")),
        ("size", ("00003",)),
        ("unreadable", ("00004", "00005")),
    }
    whole = right.sequences[0].values("J", 1)
    assert report.sequences[0].values("J", 1)[6] == whole[6]
    assert np.isnan(report.sequences[0].values("J", 1)[1:6]).all()
    for index in range(LENGTH):
        write_label_map(results / "swan" / f"{index:05}.png", np.zeros((12, 16), np.uint8))
    report = evaluate(results, davis)
    assert [s.name for s in report.sequences] == ["goats"]
    assert "16x12, the truth 32x24" in report.findings[0].message


def test_masks_of_2016_with_year_2017_say_which_year(davis_2016: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path, write=white)
    (davis_2016 / "ImageSets" / "2017").mkdir(exist_ok=True)
    (davis_2016 / "ImageSets" / "2017" / "val.txt").write_text("swan\ngoats\n")
    with pytest.raises(
        InputError, match=r"0 and 255 only, as the masks of DAVIS 2016 .*`year=2016`"
    ):
        evaluate(results, davis_2016, year=2017)
    assert evaluate(results, davis_2016, year=2016).complete


def test_ids_of_2017_with_year_2016_are_one_object_with_a_word(davis: Path, tmp_path: Path) -> None:
    (davis / "ImageSets" / "2016").mkdir(exist_ok=True)
    (davis / "ImageSets" / "2016" / "val.txt").write_text("swan\ngoats\n")
    report = evaluate(write_results(tmp_path), davis, year=2016)
    assert report.complete
    assert [(f.sequence, f.kind) for f in report.findings] == [("goats", "truth")]
    assert "use `year=2017`" in report.findings[0].message


def test_a_damaged_truth_costs_its_own_sequence_only(tmp_path: Path) -> None:
    davis = make_davis(tmp_path / "DAVIS")
    (davis / "Annotations" / "480p" / "goats" / "00003.png").write_bytes(b"no image")
    report = evaluate(write_results(tmp_path / "results"), davis)
    assert [s.name for s in report.sequences] == ["swan"]
    assert [(f.sequence, f.kind, f.lost) for f in report.findings] == [("goats", "truth", True)]


def test_objects_that_appear_late(tmp_path: Path) -> None:
    davis = make_davis(tmp_path / "DAVIS", ("swan", "goats"))
    for index in range(4):
        path = davis / "Annotations" / "480p" / "goats" / f"{index:05}.png"
        write_label_map(path, np.where(truth("goats", index) == 2, 0, truth("goats", index)))
    results = write_results(tmp_path / "results")
    report = evaluate(results, davis)
    assert report.sequences[1].ids == (1,)
    late = [finding for finding in report.findings if finding.kind == "late"]
    assert [finding.sequence for finding in late] == ["goats"]
    assert "object 2 is not in the first frame but appears in frame 00004" in late[0].message
    assert not report.complete
    scored = evaluate(results, davis, scoring=ScoringOptions(late_objects="score"))
    assert scored.sequences[1].ids == (1, 2)
    values = scored.sequences[1].values("J", 2)
    assert [bool(np.isnan(v)) for v in values] == [True] * 5 + [False] * 2 + [True]
    assert scored.complete


def test_sequences_without_an_object_or_too_short_are_named(tmp_path: Path) -> None:
    davis = make_davis(tmp_path / "DAVIS", ("swan", "goats", "fog", "mist", "short"))
    masks = davis / "Annotations" / "480p"
    for index in range(LENGTH):
        write_label_map(masks / "fog" / f"{index:05}.png", np.zeros(SIZE, np.uint8))
        if index < 3:
            write_label_map(masks / "mist" / f"{index:05}.png", np.zeros(SIZE, np.uint8))
        if index > 1:
            (masks / "short" / f"{index:05}.png").unlink()
            (davis / "JPEGImages" / "480p" / "short" / f"{index:05}.jpg").unlink()
    results = write_results(tmp_path / "results", ("swan", "goats", "fog", "mist", "short"))
    report = evaluate(results, davis)
    assert [s.name for s in report.sequences] == ["swan", "goats"]
    assert not np.isnan(report.j_and_f)
    messages = {f.sequence: f.message for f in report.findings}
    assert messages["fog"] == "the truth has no object in any frame"
    assert "the first is in 00003" in messages["mist"]
    assert "at least 3" in messages["short"]
    late = evaluate(results, davis, scoring=ScoringOptions(late_objects="score"))
    assert [s.name for s in late.sequences] == ["swan", "goats", "mist"]
    with pytest.raises(InputError, match="nothing could be scored"):
        evaluate(results, davis, sequences=["fog", "short"])


def test_proposals_with_frames_left_out(davis: Path, tmp_path: Path) -> None:
    masks = davis / "Annotations_unsupervised" / "480p"
    if not masks.is_dir():
        masks.parent.mkdir()
        masks.symlink_to(davis / "Annotations" / "480p")
    results = write_results(tmp_path / "results")
    for index in range(LENGTH):
        path = results / "goats" / f"{index:05}.png"
        write_label_map(path, np.array([0, 7, 3], np.uint8)[guess("goats", index)])
    whole = evaluate(results, davis, task="unsupervised")
    assert whole.complete
    assert whole.sequences[1].measure("J", 1).mean > 0.7
    (results / "goats" / "00003.png").unlink()
    write_gray(results / "goats" / "00004.png", np.full(SIZE, 21, np.uint8))
    write_gray(results / "goats" / "00005.png", np.full((5, 5), 1, np.uint8))
    part = evaluate(results, davis, task="unsupervised")
    assert {(f.kind, f.frames) for f in part.findings} == {
        ("missing", ("00003",)),
        ("ids", ("00004",)),
        ("size", ("00005",)),
    }
    values = part.sequences[1].values("J", 1)
    assert np.isnan(values[[3, 5]]).all()
    assert values[[0, 1, 2, 6, 7]] == pytest.approx(
        whole.sequences[1].values("J", 1)[[0, 1, 2, 6, 7]]
    )
    assert scores(part, "swan") == scores(whole, "swan")


def test_white_proposals_are_one_proposal(davis: Path, tmp_path: Path) -> None:
    masks = davis / "Annotations_unsupervised" / "480p"
    if not masks.is_dir():
        masks.parent.mkdir()
        masks.symlink_to(davis / "Annotations" / "480p")
    results = write_results(tmp_path, ("swan",), write=white)
    report = evaluate(results, davis, task="unsupervised", sequences=["swan"])
    assert report.complete
    assert report.measure("J").mean > 0.7


def test_no_picture_at_all_is_no_traceback(davis: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path)
    chance = np.random.default_rng(0)
    for name in ("swan", "goats"):
        for path in sorted((results / name).iterdir())[2:5]:
            Image.fromarray(chance.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
    report = evaluate(results, davis)
    found = {(f.sequence, f.frames) for f in report.findings if f.lost}
    frames = ("00002", "00003", "00004")
    assert found == {("swan", frames), ("goats", frames)}
    assert not np.isnan(report.j_and_f)
