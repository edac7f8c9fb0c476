"""The files and tables of ``vostrack eval``: what they hold of each run, and what they replace."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.results_of_others import make_davis, truth, write_results
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.eval import DavisReport, score_sequence, write_csv
from vostrack.eval.report_files import ReportFiles
from vostrack.masks import write_label_map

MASK = truth("swan", 0)


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS"))


def test_the_findings_of_every_run_reach_its_files(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = write_results(tmp_path / "both")
    one = write_results(tmp_path / "one", ("swan",))
    write_label_map(both / "goats" / "00003.png", np.zeros_like(truth("goats", 3)))
    files = ["--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "r.html")]
    argv = ["eval", str(both), "--root", str(davis), "--compare", str(one), "--worst", "0"]
    assert main([*argv, *files]) == 1
    printed = capsys.readouterr().out
    assert "On what they have in common, 1 object in 6 frames of 1 sequence:" in printed
    data = json.loads((tmp_path / "s.json").read_text())
    assert (data["complete"], data["info"]["name"]) == (True, "both")
    assert [run["info"]["name"] for run in data["compared"]] == ["one"]
    assert [finding["sequence"] for finding in data["compared"][0]["findings"]] == ["goats"]
    assert not data["common"]["same"]
    assert "not scored: goats: no folder goats in" in (tmp_path / "r.html").read_text()


def refused(davis: Path, results: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Return why a command line is refused; nothing is scored or written then."""
    before = {path: path.stat().st_mtime_ns for path in results.parent.rglob("*")}
    before |= {path: path.stat().st_mtime_ns for path in davis.rglob("*")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vostrack.eval.score_results", lambda *_, **__: pytest.fail("it scored"))
        assert main(["eval", str(results), "--root", str(davis), *more]) == 2
    after = {path: path.stat().st_mtime_ns for path in results.parent.rglob("*")}
    after |= {path: path.stat().st_mtime_ns for path in davis.rglob("*")}
    assert after == before
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_reports_replace_nothing_that_is_read(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "results")
    other = write_results(tmp_path / "other", ("swan",))
    compare = ["--compare", str(other)]
    truth = davis / "Annotations" / "480p" / "swan" / "00000.png"
    for flag, place in (
        ("--json", truth),
        ("--html", results / "swan" / "00001.png"),
        ("--json", other / "swan" / "00001.png"),
    ):
        before = place.read_bytes()
        said = refused(davis, results, capsys, flag, str(place), *compare)
        assert f"{flag}: {place} exists and was not written by vostrack eval" in said
        assert place.read_bytes() == before
    inside = results / "scores.json"
    assert main(["eval", str(results), "--root", str(davis), "--quiet", "--json", str(inside)]) == 0
    assert main(["eval", str(results), "--root", str(davis), "--quiet", "--json", str(inside)]) == 0
    packed = tmp_path / "packed.zip"
    packed.write_bytes(b"PK")
    said = refused(davis, results, capsys, "--json", str(packed), "--compare", str(packed))
    assert f"--json: {packed} is read, not written" in said


def test_only_reports_are_replaced(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "results")
    files = {"--json": "meta.json", "--html": "page.html", "--csv": "global_results-val.csv"}
    for flag, name in files.items():
        place = tmp_path / name
        place.write_text('{"videos": {}, "global": 1}')
        given = place.parent if flag == "--csv" else place
        said = refused(davis, results, capsys, flag, str(given))
        assert f"{flag}: {place} exists and was not written by vostrack eval" in said
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "page.html").touch()  # as mktemp does
    argv = [word for flag, name in files.items() for word in (flag, str(tmp_path / "new" / name))]
    command = ["eval", str(results), "--root", str(davis), "--quiet", *argv]
    assert main(command) == 0
    first = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert len(first) == 4
    assert main([*command, "--name", "again"]) == 0
    assert b"again" in (tmp_path / "new" / "meta.json").read_bytes()
    assert b"again" in (tmp_path / "new" / "page.html").read_bytes()
    swapped = ("--json", str(tmp_path / "new" / "page.html"))
    assert "was not written by vostrack eval" in refused(davis, results, capsys, *swapped)


def test_files_of_further_figures_are_replaced(tmp_path: Path) -> None:
    report = DavisReport([score_sequence("swan", [("0", None, MASK), *[("1", MASK, MASK)] * 2])])
    figures = dataclasses.replace(report, figures={"G": 0.5, "J seen": float("nan")})
    write_csv(figures, tmp_path, "val")
    files = ReportFiles(csv=tmp_path)
    files.check([])
    path = tmp_path / "benchmark_results-val.csv"
    for other in (
        "G,J seen\n0.5,fine\n",
        "G,J seen\n0.5,0.5\n0.5,0.5\n",
        "G\n0.5,0.5\n",
        "G\n",
        "\n",
    ):
        path.write_text(other)
        with pytest.raises(InputError, match=r"csv: .* exists and was not written by"):
            files.check([])


def test_places_that_cannot_be_written_are_refused_before_the_scoring(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write_results(tmp_path / "results")
    file, folder, new = tmp_path / "f.csv", tmp_path / "folder", tmp_path / "new.json"
    file.write_text("a,b\n")
    folder.mkdir()
    for flags, words in (
        (["--json", str(new), "--csv", str(file)], f"--csv: {file} is a file, expected a folder"),
        (["--json", str(folder)], f"--json: {folder} is a folder; give the name of a file"),
        (["--html", str(file / "a" / "r.html")], f"--html: {file} is a file, expected a folder"),
        (["--json", str(new), "--html", str(new)], f"--html: {new} is the file of --json, too"),
        (["--json", "/dev/null"], "--json: /dev/null is no ordinary file"),
    ):
        assert words in refused(davis, results, capsys, *flags)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != folder)
    said = refused(davis, results, capsys, "--json", str(folder / "a" / "s.json"))
    assert f"--json: {folder} cannot be written to" in said


def test_runs_that_cannot_be_told_apart_are_refused(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write_results(tmp_path / "results")
    other = write_results(tmp_path / "other", ("swan",))
    again = str(tmp_path / "other" / ".." / "results")
    reports = ["--json", str(tmp_path / "s.json")]
    said = refused(davis, results, capsys, "--compare", str(other), again, *reports)
    assert f"--compare: {again} is given twice" in said
    said = refused(davis, results, capsys, "--name", "other", "--compare", str(other), *reports)
    assert "--name: other is the name of one of the runs to compare" in said
    monkeypatch.setitem(sys.modules, "davis2017.evaluation", None)
    said = refused(davis, results, capsys, "--check-official", *reports)
    assert "--check-official: expected the package davis2017" in said


def test_a_report_needs_no_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], davis: Path
) -> None:
    root = shutil.copytree(davis, tmp_path / "DAVIS")
    for path in (root / "JPEGImages" / "480p" / "goats").iterdir():
        path.write_bytes(b"no image")
    for path in (root / "JPEGImages" / "480p" / "swan").iterdir():
        Image.new("RGB", (7, 5)).save(path)
    results = write_results(tmp_path / "results")
    page = tmp_path / "r.html"
    argv = ["eval", str(results), "--root", str(root), "--quiet", "--html", str(page)]
    assert main([*argv, "--json", str(tmp_path / "s.json")]) == 0
    assert page.read_text().count("<img") >= 4
    assert "no mask" not in page.read_text()
