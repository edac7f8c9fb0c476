"""Scoring and packing results for YouTube-VOS, MOSE, LVOS and BURST."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
from vostrack.arrays import UInt8Array
from vostrack.cli import main
from vostrack.datasets import DatasetChoice, VideoSequence, open_dataset
from vostrack.datasets.burst import read_burst
from vostrack.errors import InputError
from vostrack.eval import DavisReport, ScoringOptions, score_results
from vostrack.eval.benchmark_figures import Split, find_split
from vostrack.masks.palette import write_label_map
from vostrack.masks.rle import decode_rle

MAKERS: dict[str, Callable[[Path], Path]] = {
    "youtube-vos": make_youtube_vos,
    "mose": make_mose,
    "lvos": make_lvos,
    "burst": make_burst,
}
Change = Callable[[str, int, UInt8Array], UInt8Array]


def opened(layout: str, root: Path) -> tuple[VideoSequence, ...]:
    choice = DatasetChoice(root=root, layout=layout)  # type: ignore[arg-type]
    return open_dataset(choice, masks=root / "unpacked")


def write_results(
    root: Path, sequences: tuple[VideoSequence, ...], change: Change | None = None
) -> Path:
    """Write the truth, changed, for every frame of every sequence."""
    for sequence in sequences:
        name = "goats" if sequence.name.endswith("goats") else "swan"
        step = LENGTH // len(sequence.frames)
        for index, frame in enumerate(sequence.frame_names):
            labels = labels_of(name, index * step)
            if change is not None:
                labels = change(name, index, labels)
            write_label_map(root / sequence.name / f"{frame}.png", labels)
    return root


def scored(layout: str, root: Path, change: Change | None = None) -> DavisReport:
    MAKERS[layout](root / "data")
    sequences = opened(layout, root / "data")
    options = ScoringOptions(
        layout=layout,  # type: ignore[arg-type]
        split=find_split(root / "data", layout),
    )
    return score_results(write_results(root / "results", sequences, change), sequences, options)


def low(_name: str, index: int, labels: UInt8Array) -> UInt8Array:
    return np.roll(labels, 1 + index % 2, axis=0)


def without_late(_name: str, _index: int, labels: UInt8Array) -> UInt8Array:
    return np.where(labels == 5, 0, labels)


@pytest.mark.parametrize(
    ("layout", "first", "late"),
    [
        ("youtube-vos", [1, 2, 3, 4, 5], [3, 4, 5]),
        ("lvos", [1, 2, 3, 4], [3, 4]),
        ("burst", [1, 2], [2]),
        ("mose", [1, 2, 3, 4], None),
    ],
)
def test_frames_that_are_scored(
    layout: str, first: list[int], late: list[int] | None, tmp_path: Path
) -> None:
    report = scored(layout, tmp_path)
    goats = report.sequences[0]
    assert np.flatnonzero(~np.isnan(goats.values("J", 2))).tolist() == first
    if late is None:
        assert goats.ids == (2,)
    else:
        assert np.flatnonzero(~np.isnan(goats.values("J", 5))).tolist() == late
    assert report.j_and_f == 1
    if layout == "mose":  # every frame is annotated, so only the first one's objects are given
        assert {finding.kind for finding in report.findings} == {"late", "ids"}
    else:
        assert report.findings == []
    assert scored(layout, tmp_path / "low", low).j_and_f < 0.95


def test_overall_score_of_youtube_vos(tmp_path: Path) -> None:
    def no_owl_of_goats(name: str, _index: int, labels: UInt8Array) -> UInt8Array:
        return np.where(labels == 5, 0, labels) if name == "goats" else labels

    report = scored("youtube-vos", tmp_path, no_owl_of_goats)
    assert report.figures == pytest.approx(
        {"G": 0.75, "J seen": 1, "F seen": 1, "J unseen": 0.5, "F unseen": 0.5}
    )
    assert report.measure("J").mean == pytest.approx(2 / 3)
    meta = tmp_path / "data" / "train" / "meta.json"
    meta.write_text(meta.read_text(), encoding="utf-8-sig")
    assert find_split(tmp_path / "data", "youtube-vos") == Split("category", frozenset({"dog"}))
    meta.unlink()
    assert find_split(tmp_path / "data", "youtube-vos") is None
    (tmp_path / "seen.txt").write_text("dog\nowl\n\n")
    split = find_split(tmp_path / "data", "youtube-vos", tmp_path / "seen.txt")
    assert split == Split("category", frozenset({"dog", "owl"}))
    with pytest.raises(InputError, match="cannot be read"):
        find_split(tmp_path / "data", "youtube-vos", tmp_path / "absent.txt")


def test_figures_of_lvos(tmp_path: Path) -> None:
    def flicker(name: str, index: int, labels: UInt8Array) -> UInt8Array:
        gone = name == "swan" and index % 2 == 0
        return np.zeros_like(labels) if gone else labels

    report = scored("lvos", tmp_path, flicker)
    figures = report.figures
    assert (figures["J seen"], figures["J unseen"]) == (1, 0.5)
    assert figures["V"] == pytest.approx((0 + 0 + 0.5) / 3)
    assert report.to_json()["benchmark"] == pytest.approx(figures)


def test_figures_of_mose(tmp_path: Path) -> None:
    report = scored("mose", tmp_path, low)
    figures = report.figures
    assert set(figures) == {"J&F-dot", "J (MOSEv2)", "F-dot", "J&F-dot d", "J&F-dot r"}
    assert figures["J (MOSEv2)"] == pytest.approx(report.measure("J").mean, abs=0.01)
    assert figures["F-dot"] <= report.measure("F").mean
    assert np.isnan(figures["J&F-dot d"])


def test_without_truth_nothing_is_scored(tmp_path: Path) -> None:
    make_youtube_vos(tmp_path / "data", dense=False)
    sequences = opened("youtube-vos", tmp_path / "data")
    results = write_results(tmp_path / "results", sequences)
    with pytest.raises(InputError, match="only on the server; pack the results"):
        score_results(results, sequences, ScoringOptions(layout="youtube-vos"))


@pytest.mark.parametrize(
    ("layout", "top"), [("youtube-vos", "Annotations/"), ("lvos", "Annotations/"), ("mose", "")]
)
def test_zips_have_the_form_of_their_server(
    layout: str, top: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    MAKERS[layout](root)
    sequences = opened(layout, root)
    results = write_results(tmp_path / "results", sequences, None if top else without_late)
    packed = tmp_path / "s.zip"
    flags = ["--layout", layout, "--root", str(root), "--zip", str(packed)]
    assert main(["dataset", "submit", *flags, "--results", str(results)]) == 0
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [
            f"{top}{sequence.name}/{frame}.png"
            for sequence in sequences
            for frame in sequence.frame_names
        ]
    assert main(["dataset", "check", *flags]) == 0
    other = "mose" if top else "youtube-vos"
    MAKERS[other](tmp_path / "other")
    capsys.readouterr()
    flags = ["--layout", other, "--root", str(tmp_path / "other"), "--zip", str(packed)]
    assert main(["dataset", "check", *flags]) == 1
    assert "expected them" in capsys.readouterr().out
    again = ["eval", str(packed), "--layout", layout, "--root", str(root), "--quiet"]
    assert main([*again, "--json", str(tmp_path / "s.json")]) == (1 if layout == "mose" else 0)
    assert json.loads((tmp_path / "s.json").read_text())["global"]["J&F"] == 1


def test_frames_before_the_first_object_are_not_in_a_zip(tmp_path: Path) -> None:
    root = make_youtube_vos(tmp_path / "data")
    meta = root / "valid" / "meta.json"
    data = json.loads(meta.read_text())
    for entry in data["videos"]["swan"]["objects"].values():
        entry["frames"] = entry["frames"][2:]
    meta.write_text(json.dumps(data))
    sequences = opened("youtube-vos", root)
    assert sequences[1].prompts[0][0] == 2
    results = write_results(tmp_path / "results", sequences)
    for frame in ("00000", "00005"):
        (results / "swan" / f"{frame}.png").unlink()
    flags = ["--layout", "youtube-vos", "--root", str(root), "--zip", str(tmp_path / "s.zip")]
    assert main(["dataset", "submit", *flags, "--results", str(results)]) == 0
    assert main(["dataset", "check", *flags]) == 0


def test_results_for_burst_are_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_burst(tmp_path / "data")
    sequences = opened("burst", root)
    results = write_results(tmp_path / "results", sequences)
    target = tmp_path / "predictions.json"
    flags = ["--layout", "burst", "--root", str(root), "--zip", str(target)]
    assert main(["dataset", "submit", *flags, "--results", str(results)]) == 0
    truth = read_burst(root / "annotations" / "val" / "all_classes.json")
    written = read_burst(target)
    for mine, theirs in zip(written["sequences"], truth["sequences"], strict=True):
        size = [theirs["height"], theirs["width"]]
        for a, b in zip(mine["segmentations"], theirs["segmentations"], strict=True):
            assert set(a) == set(b)
            for number in a:
                one, other = (
                    decode_rle({"size": size, "counts": entry[number]["rle"]}) for entry in (a, b)
                )
                assert np.array_equal(one, other)
    assert main(["dataset", "check", *flags]) == 2
    assert "--layout" in capsys.readouterr().err
    path = results / sequences[0].name / f"{sequences[0].frame_names[1]}.png"
    write_label_map(path, np.full((48, 64), 9, np.uint8))
    flags += ["--overwrite", "--results", str(results)]
    assert main(["dataset", "submit", *flags]) == 2
    assert "expected the video's track ids" in capsys.readouterr().err


def test_eval_prints_and_writes_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_youtube_vos(tmp_path / "data")
    results = write_results(tmp_path / "results", opened("youtube-vos", root), low)
    argv = ["eval", str(results), "--layout", "youtube-vos", "--root", str(root)]
    files = ["--csv", str(tmp_path / "csv"), "--html", str(tmp_path / "r.html")]
    assert main([*argv, *files]) == 0
    printed = capsys.readouterr().out
    assert "goats_5" in printed
    assert "J unseen" in printed
    rows = (tmp_path / "csv" / "benchmark_results-valid.csv").read_text().splitlines()
    assert rows[0] == "G,J seen,F seen,J unseen,F unseen"
    assert "J unseen" in (tmp_path / "r.html").read_text()
    for more, words in (
        (["--year", "2017"], "--year: has no effect with the layout youtube-vos"),
        (["--task", "unsupervised"], "--task: has no effect"),
        (["--late-objects", "score"], "--late-objects: has no effect"),
        (["--check-official"], "--check-official: has no effect"),
    ):
        assert main([*argv, *more]) == 2
        assert words in capsys.readouterr().err
    (root / "train" / "meta.json").unlink()
    assert main(argv) == 0
    assert "no train/meta.json tells which objects are unseen; give a file as --split" in (
        capsys.readouterr().err
    )


def test_pictures_of_the_set_differ() -> None:
    assert not np.array_equal(picture("goats", 0), picture("goats", LATE))
