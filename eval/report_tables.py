"""The tables of the HTML report, and the list of what was left out."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vostrack.eval.common_set import Coverage, coverage, find_common_set
from vostrack.eval.davis import SequenceScores
from vostrack.eval.findings import describe_findings
from vostrack.eval.report import DavisReport
from vostrack.eval.report_assets import COLOURS
from vostrack.eval.report_text import GLOBAL_COLUMNS, global_row

__all__ = [
    "ScoredObject",
    "findings_section",
    "global_section",
    "object_section",
    "run_chip",
    "score_text",
    "scored_objects",
]


def run_chip(run: int, name: str) -> str:
    """Return the name of a run with its colour in front."""
    colour = COLOURS[run % len(COLOURS)]
    return f'<span class="run" style="background:{colour}"></span>{html.escape(name)}'


def score_text(value: float) -> str:
    """Format a score with three decimals, and NaN as a dash."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Render a table. Cells that are not elements yet are wrapped."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _marked(values: Sequence[float], *, fair: bool = True, lowest: bool = False) -> list[str]:
    """Return table cells of the scores of the runs.

    Args:
        values: one score per run; NaN for a run without one.
        fair: whether the scores are of the same frames. Only then the best of several is marked.
        lowest: whether the lowest is the best.
    """
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2 or not fair:
        return [score_text(value) for value in values]
    best = min(known) if lowest else max(known)
    return [
        f'<td class="best">{score_text(value)}</td>' if value == best else score_text(value)
        for value in values
    ]


def global_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate the global scores, with one row per run.

    Runs that were scored on different objects or frames are not compared there; a second table has
    their scores on what they have in common.
    """
    counts = [coverage(report) for report in reports]
    common = find_common_set(reports)
    direction = "Higher is better, except for decay."
    if common.same:
        text = f"<p>Means over {counts[0]}. {direction}</p>"
        return f"<h2>Global</h2>{text}{_global_table(reports)}{_further(reports)}"
    own = (
        "<p>The runs were scored on different objects or frames, so these means cannot be "
        f"compared, and no best one is marked. {direction}</p>"
        + _global_table(reports, counts)
        + _further(reports)
    )
    if not common.reports:
        return f"<h2>Global</h2>{own}<p>No frame of an object was scored in every run.</p>"
    text = f"Means over what the runs have in common, {coverage(common.reports[0])}."
    return f"<h2>Global</h2>{own}<p>{text}</p>{_global_table(common.reports)}"


def _global_table(reports: Sequence[DavisReport], counts: Sequence[Coverage] = ()) -> str:
    """Tabulate the global scores; with the counts of each run, these are not comparable."""
    columns = [
        _marked(values, fair=not counts, lowest=name.endswith("Decay"))
        for name, values in zip(
            GLOBAL_COLUMNS, zip(*map(global_row, reports), strict=True), strict=True
        )
    ]
    rows = [
        [
            run_chip(run, report.name),
            *(map(str, counts[run]) if counts else ()),
            *(column[run] for column in columns),
        ]
        for run, report in enumerate(reports)
    ]
    names = (html.escape(name.replace("-", " ")) for name in GLOBAL_COLUMNS)
    return _table(("run", *(Coverage._fields if counts else ()), *names), rows)


def _further(reports: Sequence[DavisReport]) -> str:
    """Tabulate the further figures of a benchmark, if there are any."""
    names = list(dict.fromkeys(name for report in reports for name in report.figures))
    if not names:
        return ""
    rows = [
        [
            run_chip(run, report.name),
            *(score_text(report.figures.get(name, math.nan)) for name in names),
        ]
        for run, report in enumerate(reports)
    ]
    return _table(("run", *(html.escape(name) for name in names)), rows)


def findings_section(reports: Sequence[DavisReport]) -> str:
    """List what was left out of the scores of each run, and what was reinterpreted."""
    parts = []
    for run, report in enumerate(reports):
        ordered = sorted(report.findings, key=lambda finding: not finding.lost)
        lines = [f"<li>{html.escape(describe_findings([finding]))}</li>" for finding in ordered]
        whole = "<p>Everything was scored.</p>" if report.complete else ""
        listed = f"<ul>{''.join(lines)}</ul>" if lines else ""
        parts.append(f"<h3>{run_chip(run, report.name)}</h3>{whole}{listed}")
    return f"<h2>What was left out</h2>{''.join(parts)}"


@dataclass(frozen=True)
class ScoredObject:
    """One object and the runs that scored it.

    Attributes:
        label: name of the sequence and id of the object.
        number: the id.
        runs: the scores of its sequence by the index of the run.
    """

    label: str
    number: int
    runs: dict[int, SequenceScores]

    @property
    def same_frames(self) -> bool:
        """Whether the runs that have scores of the object have them of the same frames."""
        sets = set()
        for scores in self.runs.values():
            known = ~np.isnan(scores.values("J", self.number))
            if known.any():
                sets.add(tuple(f for f, has in zip(scores.frames, known, strict=True) if has))
        return len(sets) == 1


def scored_objects(reports: Sequence[DavisReport]) -> list[ScoredObject]:
    """Return every object of any run, in the order of the first run with that object."""
    found: dict[tuple[str, int], dict[int, SequenceScores]] = {}
    for run, report in enumerate(reports):
        for sequence, number in report.objects():
            found.setdefault((sequence.name, number), {})[run] = sequence
    return [
        ScoredObject(f"{name}_{number}", number, runs) for (name, number), runs in found.items()
    ]


def object_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate J and F of every object, with one group of columns per run."""
    rows = []
    uneven = False
    for entry in scored_objects(reports):
        pairs = []
        for run in range(len(reports)):
            scores = entry.runs.get(run)
            pairs.append(
                (scores.measure("J", entry.number).mean, scores.measure("F", entry.number).mean)
                if scores
                else (math.nan, math.nan)
            )
        fair = entry.same_frames
        uneven |= not fair and len(entry.runs) > 1
        columns = (
            _marked([(j + f) / 2 for j, f in pairs], fair=fair),
            _marked([j for j, _ in pairs], fair=fair),
            _marked([f for _, f in pairs], fair=fair),
        )
        cells = [column[run] for run in range(len(reports)) for column in columns]
        rows.append([html.escape(entry.label), *cells])
    header = ["object"]
    for run, report in enumerate(reports):
        prefix = run_chip(run, report.name) + " " if len(reports) > 1 else ""
        header += [f"{prefix}J&amp;F", "J", "F"]
    note = " Where the runs were scored on different frames, no best is marked." if uneven else ""
    return f"<h2>Objects</h2><p>Means over the scored frames.{note}</p>{_table(header, rows)}"
