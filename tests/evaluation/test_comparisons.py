"""Several runs side by side: what they were scored on, which one is the best, what was left out."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from vostrack.eval import DavisReport, Finding, SequenceScores
from vostrack.eval.common_set import comparison_json, coverage, find_common_set
from vostrack.eval.report_html import render_html
from vostrack.eval.report_text import format_comparison

NAN = float("nan")


def scores(name: str, *objects: list[float], ids: tuple[int, ...] = ()) -> SequenceScores:
    """Scores whose J and F are the same; one list per object."""
    table = np.array(objects).T
    frames = tuple(f"{index:05}" for index in range(len(table)))
    return SequenceScores(name, frames, table, table.copy(), ids)


@pytest.fixture
def partial() -> tuple[DavisReport, DavisReport]:
    """The second run is worse wherever both have scores, but lacks the difficult sequence."""
    first = DavisReport([scores("easy", [NAN, 0.8, 0.7]), scores("hard", [NAN, 0.1, 0.2])], "first")
    missing = Finding("folder", "hard", "no folder hard", lost=True)
    return first, DavisReport([scores("easy", [NAN, 0.6, 0.5])], "second", findings=[missing])


def table(page: str, number: int) -> str:
    """Return a table of a page."""
    found: list[str] = re.findall(r"<table>.*?</table>", page)
    return found[number]


def best(table: str) -> list[bool]:
    """Tell of each row of a table of global scores whether its first mean is marked."""
    cells = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2])
    count = table.count("<th>") - 7
    return ['"best"' in re.findall(r"<td.*?</td>", row)[count] for row in cells]


def test_no_run_wins_by_leaving_out_what_is_difficult(
    partial: tuple[DavisReport, DavisReport],
) -> None:
    page = render_html(partial)
    own, common = table(page, 0), table(page, 1)
    assert "<td>2</td><td>2</td><td>4</td>" in own
    assert "<td>1</td><td>1</td><td>2</td>" in own
    assert best(own) == [False, False]
    assert "what the runs have in common, 1 object in 2 frames of 1 sequence" in page
    assert best(common) == [True, False]
    text = format_comparison(partial)
    assert "first: 2 objects in 4 frames of 2 sequences; second: 1 object in 2 frames" in text
    assert [line.split()[:2] for line in text.splitlines()[-2:]] == [
        ["first", "0.750"],
        ["second", "0.550"],
    ]


def test_runs_over_the_same_frames_are_compared_directly(
    partial: tuple[DavisReport, DavisReport],
) -> None:
    first = dataclasses.replace(partial[0], sequences=partial[0].sequences[:1])
    page = render_html([first, partial[1]])
    assert "Means over 1 object in 2 frames of 1 sequence." in page
    assert best(table(page, 0)) == [True, False]
    assert "in common" not in page
    assert format_comparison([first, partial[1]]) == ""
    assert format_comparison([first]) == ""


def test_only_objects_of_the_same_frames_have_a_best_run() -> None:
    first = DavisReport([scores("swan", [0.4, 0.9], [0.7, 0.7])], "first")
    second = DavisReport([scores("swan", [NAN, 0.8], [0.6, 0.6])], "second")
    page = render_html([first, second])
    rows = re.findall(r"<tr>(.*?)</tr>", table(page, 2))[1:]
    assert [row.count('"best"') for row in rows] == [0, 3]
    assert "different frames, no best is marked" in page
    # Nothing is the best of one.
    alone = DavisReport([scores("goats", [0.5, 0.5])], "third")
    last = table(render_html([first, alone]), 1)
    assert '"best"' not in last


def test_the_common_set_is_of_frames_of_objects() -> None:
    first = DavisReport([scores("swan", [0.4, NAN, 0.6], [0.7, 0.7, 0.7], ids=(2, 5))], "first")
    second = DavisReport(
        [scores("swan", [0.1, 0.5, 0.3], [NAN, NAN, NAN], [0.1, 0.1, 0.1], ids=(2, 5, 7))], "second"
    )
    common = find_common_set([first, second])
    assert not common.same
    assert [coverage(report) for report in common.reports] == [(1, 1, 2), (1, 1, 2)]
    assert [report.sequences[0].ids for report in common.reports] == [(2,), (2,)]
    assert [report.j_and_f for report in common.reports] == pytest.approx([0.5, 0.2])
    assert coverage(second) == (2, 1, 3)
    assert find_common_set([first]).same


def test_nothing_in_common() -> None:
    runs = [DavisReport([scores(name, [0.5, 0.5])], name) for name in ("goats", "swan")]
    assert "No frame of an object was scored in every run" in render_html(runs)
    assert format_comparison(runs).endswith("No frame of an object was scored in every run.")
    common = comparison_json(runs)["common"]
    assert common == {"same": False, "objects": 0, "sequences": 0, "frames": 0, "runs": []}


def test_the_findings_of_every_run_are_in_the_page(
    partial: tuple[DavisReport, DavisReport],
) -> None:
    gap = Finding("missing", "easy", "no predicted mask <here>", ("00001",), lost=True)
    note = Finding("names", "easy", "matched by number")
    first = dataclasses.replace(partial[0], findings=[note, gap])
    page = render_html([first, partial[1]])
    section = page.partition("<h2>What was left out</h2>")[2].partition("<h2>")[0]
    items = re.findall(r"<li>(.*?)</li>", section)
    assert items == [
        "not scored: easy: no predicted mask &lt;here&gt;: 00001",
        "note: easy: matched by number",
        "not scored: hard: no folder hard",
    ]
    assert "Everything was scored." not in section
    assert "Everything was scored." in render_html([partial[0]])
    assert "no predicted mask" in render_html([first])


def test_json_holds_every_run(partial: tuple[DavisReport, DavisReport]) -> None:
    first, second = partial
    data = comparison_json(partial)
    assert comparison_json([first]) == first.to_json()
    assert {key: data[key] for key in first.to_json()} == first.to_json()
    assert data["compared"] == [second.to_json()]
    assert data["compared"][0]["complete"] is False
    assert {key: data["common"][key] for key in ("same", "objects", "sequences", "frames")} == {
        "same": False,
        "objects": 1,
        "sequences": 1,
        "frames": 2,
    }
    assert [(run["name"], run["global"]["J&F"]) for run in data["common"]["runs"]] == [
        ("first", pytest.approx(0.75)),
        ("second", pytest.approx(0.55)),
    ]
