"""Results under other names and in other folders: matched with a word, or named."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evaluation.results_of_others import LENGTH, guess, make_davis, truth, write_results
from vostrack import evaluate
from vostrack.errors import InputError
from vostrack.eval import DavisReport, ScoringOptions
from vostrack.masks.palette import write_label_map


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS"))


@pytest.fixture(scope="module")
def right(davis: Path, tmp_path_factory: pytest.TempPathFactory) -> DavisReport:
    """The scores of results as they should be."""
    report = evaluate(write_results(tmp_path_factory.mktemp("right")), davis)
    assert report.findings == []
    assert 0.5 < report.measure("J").mean < 0.95
    return report


def same_scores(report: DavisReport, right: DavisReport) -> bool:
    return bool(report.to_json()["sequences"] == right.to_json()["sequences"])


@pytest.mark.parametrize(
    ("naming", "start"),
    [
        ("{:05}.png", 1),
        ("{}.png", 1),
        ("frame_{:04}.png", 0),
        ("frame_{:04}.png", 1),
        ("{:06}_mask.png", 0),
        ("take2-{:03}-v1.png", 1),
        ("{:05}.bmp", 0),
        ("masks/{:05}.png", 0),
        ("masks/{:05}.png", 1),
        ("labels/{:05}.tif", 0),
    ],
)
def test_other_names_are_matched_with_a_word(
    naming: str, start: int, davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    report = evaluate(write_results(tmp_path, naming=naming, start=start), davis)
    assert same_scores(report, right)
    assert report.complete
    told = {finding.kind for finding in report.findings}
    assert told == ({"folder"} if "/" in naming else set()) | (
        set() if start == 0 and naming.count("{:05}") else {"names"}
    )


def test_numbers_from_0_for_frames_from_1(tmp_path: Path) -> None:
    davis = make_davis(tmp_path / "DAVIS", ("swan",))
    for path in sorted(davis.rglob("0*.*"), reverse=True):
        path.rename(path.with_stem(f"{int(path.stem) + 1:05}"))
    report = evaluate(write_results(tmp_path / "results", ("swan",)), davis)
    assert report.complete
    assert [finding.kind for finding in report.findings] == ["names"]
    assert "frames from 1" in report.findings[0].message
    exact = write_results(tmp_path / "exact", ("swan",), start=1)
    assert same_scores(evaluate(exact, davis), report)


def test_a_counter_for_frames_that_are_numbered_in_steps(tmp_path: Path) -> None:
    davis = make_davis(tmp_path / "DAVIS", ("swan",))
    for path in sorted(davis.rglob("0*.*"), reverse=True):
        path.rename(path.with_stem(f"{5 * int(path.stem):05}"))
    for start in (0, 1):
        results = write_results(tmp_path / str(start), ("swan",), start=start)
        report = evaluate(results, davis)
        assert report.complete
        assert "matched in order" in report.findings[0].message
        assert 0.5 < report.measure("J").mean < 0.95


def test_the_given_mask_shows_that_names_are_one_too_high(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    """Numbered from 1, but the last frame is absent: every name is that of a frame."""
    results = write_results(tmp_path, start=1)
    for name in ("swan", "goats"):
        write_label_map(results / name / "00001.png", truth(name, 0))
        (results / name / f"{LENGTH:05}.png").unlink()
    report = evaluate(results, davis)
    assert same_scores(report, right)
    assert any("numbered from 1" in finding.message for finding in report.findings)


@pytest.mark.parametrize("naming", ["{:05}.png", "frame_{:04}.png", "{}_mask.png"])
@pytest.mark.parametrize("gone", [(4,), (1, 4), (3, 4)])
def test_numbers_from_1_with_frames_missing(
    naming: str, gone: tuple[int, ...], davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path, ("swan",), naming=naming, start=1)
    for number in gone:
        (results / "swan" / naming.format(number)).unlink()
    report = evaluate(results, davis, sequences=["swan"])
    (missing,) = (f for f in report.findings if f.lost)
    assert missing.frames == tuple(f"{number - 1:05}" for number in gone if number > 1)
    assert any("numbered from 1" in finding.message for finding in report.findings)
    scored = report.sequences[0].values("J", 1)
    kept = [index for index in range(1, LENGTH - 1) if index + 1 not in gone]
    assert scored[kept] == pytest.approx(right.sequences[0].values("J", 1)[kept])


def test_a_folder_without_the_first_mask_is_not_shifted(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path)
    for name in ("swan", "goats"):
        (results / name / "00000.png").unlink()
    report = evaluate(results, davis)
    assert same_scores(report, right)
    assert report.complete
    assert {f.message for f in report.findings} == {
        "no mask of a frame that is not scored; a submission needs it"
    }


def test_missing_and_surplus_frames_are_named_and_the_rest_is_scored(
    davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = write_results(tmp_path)
    for frame in ("00002", "00003", "00005"):
        (results / "swan" / f"{frame}.png").unlink()
    for frame in ("00008", "00020", "extra"):
        write_label_map(results / "goats" / f"{frame}.png", truth("goats", 0))
    report = evaluate(results, davis)
    assert not report.complete
    found = {(f.kind, f.sequence): f for f in report.findings}
    assert found["missing", "swan"].frames == ("00002", "00003", "00005")
    assert found["surplus", "goats"].frames == ("00008.png", "00020.png", "extra.png")
    swan = report.sequences[0]
    whole = right.sequences[0].values("J", 1)
    scored = swan.values("J", 1)
    assert [index for index in range(LENGTH) if scored[index] == whole[index]] == [1, 4, 6]
    empty = evaluate(results, davis, scoring=ScoringOptions(missing="empty"))
    assert empty.sequences[0].values("J", 1)[[2, 3, 5]].tolist() == [0, 0, 0]
    assert not empty.complete


def test_sequences_without_results_are_named(davis: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path, ("goats",))
    (results / "swann").mkdir()
    report = evaluate(results, davis)
    assert [s.name for s in report.sequences] == ["goats"]
    (finding,) = report.findings
    assert finding.lost
    assert "no folder swan" in finding.message
    assert "swann" in finding.message
    (results / "swan").mkdir()
    (finding,) = evaluate(results, davis).findings
    assert "looked in" in finding.message
    assert "00000.png" in finding.message
    (results / "swan" / "readme.txt").write_text("")
    (finding,) = evaluate(results, davis).findings
    assert "readme.txt" in finding.message


def wrap(depth: str) -> Callable[[Path], Path]:
    def change(results: Path) -> Path:
        inner = results.parent / "outer" / depth
        inner.parent.mkdir(parents=True)
        results.rename(inner)
        return results.parent / "outer"

    return change


def zipped(inside: str) -> Callable[[Path], Path]:
    def change(results: Path) -> Path:
        with zipfile.ZipFile(results.parent / "results.zip", "w") as archive:
            for path in sorted(results.rglob("*.png")):
                archive.write(path, f"{inside}{path.relative_to(results)}")
            archive.writestr("__MACOSX/._00000.png", b"")
        return results.parent / "results.zip"

    return change


def zip_each(results: Path) -> Path:
    for folder in sorted(results.iterdir()):
        with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"{folder.name}/{path.name}")
        shutil.rmtree(folder)
    return results


@pytest.mark.parametrize(
    "change",
    [wrap("480p"), wrap("Annotations/480p"), wrap("a/b/run 1"), zipped(""), zipped("res/"),
     zip_each],
    ids=["480p", "two deep", "three deep", "zip", "wrapped zip", "zips"],
)  # fmt: skip
def test_results_in_other_places_are_found(
    change: Callable[[Path], Path], davis: Path, right: DavisReport, tmp_path: Path
) -> None:
    results = change(write_results(tmp_path / "results"))
    report = evaluate(results, davis)
    assert same_scores(report, right)
    assert report.complete
    assert {finding.kind for finding in report.findings} <= {"folder"}


def test_the_folder_of_one_sequence(davis: Path, right: DavisReport, tmp_path: Path) -> None:
    results = write_results(tmp_path / "results")
    report = evaluate(results / "swan", davis)
    assert [s.name for s in report.sequences] == ["swan"]
    assert not report.complete
    alone = evaluate(results / "goats", davis, sequences=["goats"])
    assert alone.complete
    other = results / "goats"
    other.rename(tmp_path / "my_track_output")
    alone = evaluate(tmp_path / "my_track_output", davis, sequences=["goats"])
    assert alone.complete
    assert alone.to_json()["sequences"]["goats"] == right.to_json()["sequences"]["goats"]


def test_two_sets_of_results_are_not_mixed(davis: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_results(tmp_path / "runs" / name)
    with pytest.raises(InputError, match=r"several folders hold results .*first, second"):
        evaluate(tmp_path / "runs", davis)
    (tmp_path / "none" / "deep").mkdir(parents=True)
    with pytest.raises(InputError, match=r"looked for a folder .*there are deep"):
        evaluate(tmp_path / "none", davis)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match="expected a folder or a zip file"):
        evaluate(tmp_path / "text.zip", davis)
    with pytest.raises(InputError, match="no such folder"):
        evaluate(tmp_path / "absent", davis)


def test_own_output_of_track_is_read(davis: Path, right: DavisReport, tmp_path: Path) -> None:
    """Masks beside the overlay and records, as ``vostrack track --output results/SEQ`` writes."""
    results = write_results(tmp_path, naming="masks/{:05}.png")
    for name in ("swan", "goats"):
        (results / name / "run.json").write_text("{}")
        (results / name / "overlay.mp4").write_bytes(b"")
        (results / name / ".state").mkdir()
        write_label_map(results / name / "preview.png", guess(name, 0))
    report = evaluate(results, davis)
    assert same_scores(report, right)
    assert report.complete
