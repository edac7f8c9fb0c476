"""JSON, CSV, table and HTML of a report, and the comparison with the official code."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vostrack.eval
from vostrack.arrays import AnyArray
from vostrack.errors import InputError
from vostrack.eval import (
    DavisReport,
    Finding,
    ReportImages,
    SequenceScores,
    check_official,
    format_table,
    read_report,
    write_csv,
    write_html,
)
from vostrack.eval.report_html import render_html
from vostrack.eval.report_overlays import worst_frames

NAN = float("nan")


def _sequence(name: str, j: list[list[float]], f: list[list[float]]) -> SequenceScores:
    frames = tuple(f"{index:05d}" for index in range(len(j)))
    return SequenceScores(name, frames, np.array(j), np.array(f))


@pytest.fixture
def report() -> DavisReport:
    gap = [NAN, NAN]
    goats = _sequence(
        "goats",
        [gap, [1.0, 0.2], [0.8, 0.4], [0.6, 0.6], gap],
        [gap, [0.9, 0.1], [0.9, 0.1], [0.9, 0.1], gap],
    )
    swan = _sequence("swan", [[NAN], [0.25], [NAN]], [[NAN], [0.75], [NAN]])
    return DavisReport([goats, swan], "first", {"year": 2017, "set": "val"})


def test_each_object_counts_once(report: DavisReport) -> None:
    assert report.measure("J").mean == pytest.approx((0.8 + 0.4 + 0.25) / 3)
    assert report.measure("F").mean == pytest.approx((0.9 + 0.1 + 0.75) / 3)
    assert report.j_and_f == pytest.approx(((0.8 + 0.4 + 0.25) + (0.9 + 0.1 + 0.75)) / 6)


def test_json_has_the_promised_form(report: DavisReport, tmp_path: Path) -> None:
    report.write_json(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert set(data) == {"global", "benchmark", "sequences", "complete", "findings", "info"}
    assert set(data["global"]) == {"J&F", "J", "F"}
    assert data["info"] == {"name": "first", "decay": "exact", "year": 2017, "set": "val"}
    goats = data["sequences"]["goats"]
    assert set(goats["objects"]) == {"1", "2"}
    assert goats["objects"]["2"]["J"]["per_frame"] == [None, 0.2, 0.4, 0.6, None]
    assert set(goats["objects"]["1"]["F"]) == {"mean", "recall", "decay", "per_frame"}
    assert goats["J"]["mean"] == pytest.approx(0.6)
    assert goats["J"]["recall"] == pytest.approx((1 + 1 / 3) / 2)
    assert read_report(tmp_path / "scores.json").to_json() == data


def test_a_decay_that_is_not_a_number_is_null(tmp_path: Path) -> None:
    values = [[0.5]] * 300
    long = dataclasses.replace(_sequence("long", values, values), official_decay=True)
    report = DavisReport([long])
    report.write_json(tmp_path / "scores.json")
    assert np.isnan(read_report(tmp_path / "scores.json").measure("J").decay)
    data = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert data["global"]["J"] == {"mean": 0.5, "recall": 0.0, "decay": None}
    assert "–" in render_html([report])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"info": {"name": 1}, "sequences": {"a": {}}}'])
def test_another_file_is_no_report(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.json: expected a DAVIS report"):
        read_report(tmp_path / "other.json")


def test_findings_and_further_figures_are_kept(report: DavisReport, tmp_path: Path) -> None:
    finding = Finding("missing", "swan", "2 frames have no mask", ("00001", "00002"), lost=True)
    note = Finding("names", "", "matched by number")
    full = dataclasses.replace(report, findings=[finding, note], figures={"G": 0.5, "J": NAN})
    full.write_json(tmp_path / "scores.json")
    data = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert data["complete"] is False
    assert data["benchmark"] == {"G": 0.5, "J": None}
    again = read_report(tmp_path / "scores.json")
    assert again.findings == [finding, note]
    assert again.to_json() == data
    assert not again.complete
    assert report.complete


def test_objects_without_a_score_do_not_spoil_the_mean() -> None:
    whole = _sequence("whole", [[0.5], [0.7]], [[0.4], [0.6]])
    none = _sequence("none", [[NAN], [NAN]], [[NAN], [NAN]])
    report = DavisReport([whole, none])
    assert report.measure("J").mean == pytest.approx(0.6)
    assert report.j_and_f == pytest.approx(0.55)
    assert "none_1" in format_table(report)


def test_objects_keep_their_ids(tmp_path: Path) -> None:
    table = np.array([[0.25, 0.75]])
    sequence = SequenceScores("goats", ("0",), table, table, ids=(3, 10))
    report = DavisReport([sequence])
    assert sequence.measure("J", 10).mean == 0.75
    assert [number for _, number in report.objects()] == [3, 10]
    report.write_json(tmp_path / "s.json")
    assert read_report(tmp_path / "s.json").sequences[0].ids == (3, 10)
    with pytest.raises(InputError, match="expected one of"):
        sequence.measure("J", 1)
    with pytest.raises(InputError, match="2 distinct ids"):
        SequenceScores("goats", ("0",), table, table, ids=(3, 3))


def test_csv_is_in_the_official_form(report: DavisReport, tmp_path: Path) -> None:
    whole, each = write_csv(report, tmp_path / "new", "val")
    assert whole.name == "global_results-val.csv"
    assert each.name == "per-sequence_results-val.csv"
    lines = whole.read_text(encoding="utf-8").split("\n")
    assert lines[0] == "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay"
    assert lines[1].startswith("0.533,0.483,0.444,")
    assert each.read_text(encoding="utf-8") == (
        "Sequence,J-Mean,F-Mean\ngoats_1,0.800,0.900\ngoats_2,0.400,0.100\nswan_1,0.250,0.750\n"
    )


def test_table(report: DavisReport) -> None:
    lines = format_table(report).split("\n")
    assert lines[0].split() == [
        "sequence", "J&F", "J", "J-Recall", "J-Decay", "F", "F-Recall", "F-Decay",
    ]  # fmt: skip
    assert lines[2].split()[:3] == ["goats_1", "0.850", "0.800"]
    assert lines[-1].split()[:3] == ["global", "0.533", "0.483"]
    assert len({len(line) for line in lines}) == 1


def test_reports_need_sequences_of_different_names(report: DavisReport) -> None:
    with pytest.raises(InputError, match="at least one sequence"):
        DavisReport([])
    with pytest.raises(InputError, match="expected distinct sequences"):
        DavisReport([report.sequences[0], report.sequences[0]])
    with pytest.raises(InputError, match="its own name"):
        render_html([report, report])
    with pytest.raises(InputError, match="expected J and F of shape"):
        SequenceScores("goats", ("0",), np.zeros((2, 1)), np.zeros((2, 1)))


def test_worst_frames_are_spread(report: DavisReport) -> None:
    assert worst_frames(report, 9) == [
        ("goats", "00001"),
        ("goats", "00002"),
        ("swan", "00001"),
    ]
    assert worst_frames(report, 1) == [("goats", "00001")]
    values = [[float(index)] for index in range(50)]
    long = DavisReport([_sequence("long", values, values)])
    assert worst_frames(long, 9) == [("long", "00000"), ("long", "00010")]


def _pictures(runs: int) -> ReportImages:
    def frame(sequence: str, name: str) -> AnyArray | None:
        return None if sequence == "swan" else np.full((12, 20, 3), 200, np.uint8)

    def labels(sequence: str, name: str) -> AnyArray:
        return np.pad(np.array([[1, 2], [255, 2]]), ((4, 6), (9, 9)))

    def missing(sequence: str, name: str) -> None:
        return None

    return ReportImages(frame, labels, [labels, missing][:runs])


def test_html_stands_alone(report: DavisReport, tmp_path: Path) -> None:
    other = DavisReport(report.sequences[:1], "a </script><b>run", {"versions": {"numpy": "2"}})
    write_html(tmp_path / "scores.html", [report, other], _pictures(2))
    page = (tmp_path / "scores.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|<link|@import|url\(", page)
    sources = re.findall(r'\bsrc="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert str(tmp_path) not in page
    assert "<b>run" not in page
    assert page.count("</script>") == 2
    assert page.count("<polyline") == 2 * (2 + 1) + 2 * 2
    assert "no mask" in page
    series = json.loads(page.split('id="series">')[1].split("</script>")[0])
    assert series[0]["runs"][0] == ["first", [None, 1.0, 0.8, 0.6, None]]
    assert series[0]["runs"][1][0] == "a </script><b>run"
    assert len(series) == 6


def test_html_compares_runs_over_different_sequences(report: DavisReport) -> None:
    goats, swan = report.sequences
    page = render_html([DavisReport([goats], "a"), DavisReport([swan], "b")], _pictures(2))
    for heading in ("goats, frame 00001", "goats, frame 00002", "swan, frame 00001"):
        assert heading in page
    assert page.count("not scored</figcaption>") == 3


def test_html_needs_predictions_of_every_run(report: DavisReport) -> None:
    with pytest.raises(InputError, match=r"one for each of 1 reports, got 2"):
        render_html([report], _pictures(2))


def test_without_the_official_package(
    report: DavisReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "davis2017.evaluation", None)
    with pytest.raises(InputError, match="check_official: expected the package davis2017"):
        check_official(report, root=tmp_path, results=tmp_path)


class _Judge:
    """Stands in for the official class: its arguments, its result, and its way of giving up."""

    def __init__(
        self,
        davis_root: str,
        task: str,
        gt_set: str,
        sequences: object = "all",
        codalab: bool = False,
    ) -> None:
        assert (task, gt_set, sequences) == ("semi-supervised", "val", ["goats", "swan"])

    def evaluate(
        self, res_path: str, metric: tuple[str, ...] = ("J", "F"), debug: bool = False
    ) -> dict[str, dict[str, Any]]:
        if not Path(res_path).is_dir():
            sys.stdout.write("00003.png not found!\n")
            sys.exit()
        return {
            "J": {"M": [0.8, 0.4, 0.25], "R": [1.0, 1 / 3, 0.0], "D": [0.2, -0.2, 0.0]},
            "F": {"M": [0.9, 0.1, 0.75], "R": [1.0, 0.0, 1.0], "D": [0.0, 0.0, 0.5]},
        }


def test_comparison_with_the_official_interface(
    report: DavisReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = types.ModuleType("davis2017.evaluation")
    module.DAVISEvaluation = _Judge  # type: ignore[attr-defined]  # a module made on the spot
    monkeypatch.setitem(sys.modules, "davis2017", types.ModuleType("davis2017"))
    monkeypatch.setitem(sys.modules, "davis2017.evaluation", module)
    comparison = check_official(report, root=tmp_path, results=tmp_path)
    assert comparison.ours[:6] == pytest.approx(comparison.official[:6])
    assert comparison.difference == pytest.approx(0.5 / 3)
    assert not comparison.agrees()
    assert "J&F-Mean  0.533333 here, 0.533333" in str(comparison)
    with pytest.raises(InputError, match=r"the official code stopped: 00003\.png not found!"):
        check_official(report, root=tmp_path, results=tmp_path / "missing")


def test_every_public_name_is_there() -> None:
    assert [name for name in vostrack.eval.__all__ if not hasattr(vostrack.eval, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'metrics'"):
        vostrack.eval.metrics  # noqa: B018  # the look-up itself is under test
