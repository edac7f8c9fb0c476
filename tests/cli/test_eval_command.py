"""``vostrack eval`` on results of others: what it says, writes and returns."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.evaluation.results_of_others import make_davis, soft, times, white, write_results
from vostrack.cli import main
from vostrack.eval import read_report


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_davis(tmp_path_factory.mktemp("DAVIS"))


def answer(
    capsys: pytest.CaptureFixture[str], results: Path, davis: Path, *more: str
) -> tuple[int, str, str]:
    """Return the exit status, the table and what was said on standard error."""
    status = main(["eval", str(results), "--root", str(davis), *more])
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "sequence/s" not in line and "?" not in line]
    return status, said.out, "\n".join(lines)


def test_reinterpreted_results_are_complete(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path, ("swan",), naming="frame_{:04}.png", start=1, write=soft(20, 224))
    status, table, said = answer(capsys, tmp_path, davis, "--sequences", "swan")
    assert status == 0
    assert "swan_1" in table
    assert "note: swan: soft gray masks with values from 20 to 224 were cut at half" in said
    assert "note: swan: results are numbered from 1" in said
    assert answer(capsys, tmp_path, davis, "--sequences", "swan", "--quiet") == (0, "", "")


def test_partial_results_have_status_1_and_the_files_say_so(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "results")
    (results / "goats" / "00003.png").unlink()
    (results / "swan" / "00004.png").write_bytes(b"")
    out = tmp_path / "out"
    files = ["--json", str(out / "s.json"), "--csv", str(out), "--html", str(out / "r.html")]
    status, table, said = answer(capsys, results, davis, *files)
    assert status == 1
    assert len(table.splitlines()) > 4
    assert "not scored: goats: no predicted mask for 1 of 6 scored frames" in said
    assert "not scored: swan: masks that cannot be read" in said
    data = json.loads((out / "s.json").read_text())
    assert data["complete"] is False
    assert {f["kind"] for f in data["findings"]} == {"missing", "unreadable"}
    assert data["sequences"]["goats"]["objects"]["2"]["J"]["per_frame"][3] is None
    report = read_report(out / "s.json")
    assert report.to_json() == data
    rows = list(csv.reader((out / "global_results-val.csv").open()))
    assert float(rows[1][1]) == pytest.approx(report.measure("J").mean, abs=5e-4)
    assert "goats_2" in (out / "r.html").read_text()
    quiet = answer(capsys, results, davis, "--quiet")
    assert (quiet[0], quiet[1]) == (1, "")
    assert "00003" in quiet[2]
    assert answer(capsys, results, davis, "--missing", "empty")[0] == 1


def test_messages_name_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], davis: Path
) -> None:
    old = make_davis(tmp_path / "old", year=2016)
    (old / "ImageSets" / "2017").mkdir()
    (old / "ImageSets" / "2017" / "val.txt").write_text("swan\n")
    results = write_results(tmp_path / "results", write=white)
    status, _, said = answer(capsys, results, old)
    assert status == 2
    assert "nothing could be scored" in said
    assert "use --year 2016" in said
    assert answer(capsys, results, old, "--year", "2016")[0] == 0
    status, _, said = answer(capsys, tmp_path / "old", davis)
    assert status == 2


def test_a_zip_file_with_pictures_of_its_worst_frames(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "results", start=1)
    packed = tmp_path / "mine.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(results.rglob("*.png")):
            archive.write(path, f"Annotations/{path.relative_to(results)}")
    page = tmp_path / "r.html"
    status, table, _ = answer(capsys, packed, davis, "--html", str(page), "--worst", "2")
    assert status == 0
    assert "mine.zip" in table
    text = page.read_text()
    assert len(re.findall(r'<img alt="" src="data:image/jpeg', text)) == 4
    assert "no mask" not in text


def test_the_unsupervised_protocol_has_two_spellings(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = davis / "Annotations_unsupervised" / "480p"
    masks.parent.mkdir()
    masks.symlink_to(davis / "Annotations" / "480p")
    results = write_results(tmp_path, write=lambda path, labels: times(1)(path, (3 - labels) % 3))
    tables = [
        answer(capsys, results, davis, flag, "unsupervised")[:2]
        for flag in ("--task", "--protocol")
    ]
    assert tables[0] == tables[1]
    assert tables[0][0] == 0
    assert tables[0] != answer(capsys, results, davis)[:2]


def test_exit_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("0 everything was scored", "1 something was left out", "2 nothing", "3 the"):
        assert words in text
