"""One HTML file with the scores of one or several runs: no network, nothing beside it."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores
from vostrack.eval.report import DavisReport
from vostrack.eval.report_assets import COLOURS, SCRIPT, STYLE
from vostrack.eval.report_overlays import Pictures, overlay_uri, worst_frames
from vostrack.eval.report_plots import Line, plot_svg
from vostrack.eval.report_text import GLOBAL_COLUMNS, global_row
from vostrack.files import atomic_path

__all__ = ["render_html", "write_html"]


def write_html(
    path: str | os.PathLike[str],
    reports: Sequence[DavisReport],
    pictures: Pictures | None = None,
    *,
    worst: int = 6,
    title: str = "DAVIS scores",
) -> None:
    """Write ``render_html`` to a file."""
    page = render_html(reports, pictures, worst=worst, title=title)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_html(
    reports: Sequence[DavisReport],
    pictures: Pictures | None = None,
    *,
    worst: int = 6,
    title: str = "DAVIS scores",
) -> str:
    """Lay out a page that opens anywhere: scripts, plots and pictures are part of it.

    Args:
        reports: the runs, the one of interest first; they may cover different sequences.
        pictures: gives the worst frames; None leaves them out.
        worst: how many frames of each run to show.
        title: of the page.

    Raises:
        InputError: no report, two of one name, or not one source of predictions for each.
    """
    names = [report.name for report in reports]
    if not names or len(set(names)) < len(names):
        raise InputError(f"reports: expected at least one, each with its own name, got {names}")
    if pictures and len(pictures.predictions) != len(reports):
        raise InputError(
            f"pictures.predictions: expected one for each of {len(reports)} reports, "
            f"got {len(pictures.predictions)}"
        )
    plots, series = _time_section(reports)
    # "<" could end the script element; JSON allows it to be written as an escape.
    embedded = json.dumps(series, allow_nan=False).replace("<", "\\u003c")
    shown = _worst_section(reports, pictures, worst) if pictures else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{_info(reports)}"
        f"{_global_section(reports)}{_object_section(reports)}{plots}{shown}"
        f'<script type="application/json" id="series">{embedded}</script>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _chip(run: int, name: str) -> str:
    """Return a run's name behind its colour."""
    colour = COLOURS[run % len(COLOURS)]
    return f'<span class="run" style="background:{colour}"></span>{html.escape(name)}'


def _info(reports: Sequence[DavisReport]) -> str:
    """List what each run says of itself."""
    rows = []
    for run, report in enumerate(reports):
        facts = "; ".join(f"{key} {_plain(value)}" for key, value in report.info.items())
        rows.append(f"<dt>{_chip(run, report.name)}</dt><dd>{html.escape(facts)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _plain(value: Any) -> str:
    """Return a value of the info as words."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return str(value)


def _score(value: float) -> str:
    """Return a score with three decimals, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a table; a cell that is not yet an element becomes one."""
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


def _marked(values: Sequence[float], *, lowest: bool = False) -> list[str]:
    """Return cells of the runs' scores, the best in bold where there are several."""
    known = [value for value in values if not math.isnan(value)]
    if len(values) < 2 or not known:
        return [_score(value) for value in values]
    best = min(known) if lowest else max(known)
    return [
        f'<td class="best">{_score(value)}</td>' if value == best else _score(value)
        for value in values
    ]


def _global_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate the global scores, a row for each run."""
    columns = [
        _marked(values, lowest=name.endswith("Decay"))
        for name, values in zip(
            GLOBAL_COLUMNS, zip(*map(global_row, reports), strict=True), strict=True
        )
    ]
    rows = [
        [_chip(run, report.name), *(column[run] for column in columns)]
        for run, report in enumerate(reports)
    ]
    counts = f"{len(reports[0].objects())} objects in {len(reports[0].sequences)} sequences"
    return (
        f"<h2>Global</h2><p>Means over {counts}. Higher is better, except for decay.</p>"
        + _table(("run", *(name.replace("-", " ") for name in GLOBAL_COLUMNS)), rows)
    )


@dataclass(frozen=True)
class _Object:
    """One object and the runs that scored it."""

    label: str
    number: int
    runs: dict[int, SequenceScores]


def _objects(reports: Sequence[DavisReport]) -> list[_Object]:
    """Return every object of any run, in the order of the first run that has it."""
    found: dict[tuple[str, int], dict[int, SequenceScores]] = {}
    for run, report in enumerate(reports):
        for sequence, number in report.objects():
            found.setdefault((sequence.name, number), {})[run] = sequence
    return [_Object(f"{name}_{number}", number, runs) for (name, number), runs in found.items()]


def _object_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate J and F of every object, a group of columns for each run."""
    rows = []
    for thing in _objects(reports):
        pairs = []
        for run in range(len(reports)):
            scores = thing.runs.get(run)
            pairs.append(
                (scores.measure("J", thing.number).mean, scores.measure("F", thing.number).mean)
                if scores
                else (math.nan, math.nan)
            )
        columns = (
            _marked([(j + f) / 2 for j, f in pairs]),
            _marked([j for j, _ in pairs]),
            _marked([f for _, f in pairs]),
        )
        cells = [column[run] for run in range(len(reports)) for column in columns]
        rows.append([html.escape(thing.label), *cells])
    header = ["object"]
    for run, report in enumerate(reports):
        prefix = _chip(run, report.name) + " " if len(reports) > 1 else ""
        header += [f"{prefix}J&amp;F", "J", "F"]
    return f"<h2>Objects</h2><p>Means over the scored frames.</p>{_table(header, rows)}"


def _time_section(reports: Sequence[DavisReport]) -> tuple[str, list[dict[str, Any]]]:
    """Plot J and F of every object over time; also return the values, for the pointer."""
    series: list[dict[str, Any]] = []
    parts = []
    for thing in _objects(reports):
        frames = max((scores.frames for scores in thing.runs.values()), key=len)
        plots = []
        for measure in "JF":
            lines = [
                Line(run, _over(frames, scores, measure, thing.number))
                for run, scores in thing.runs.items()
            ]
            plots.append(
                f'<div class="plot" data-series="{len(series)}">'
                f'{plot_svg(measure, frames, lines)}<div class="tip"></div></div>'
            )
            series.append(
                {
                    "frames": list(frames),
                    "runs": [[reports[line.run].name, _rounded(line)] for line in lines],
                }
            )
        parts.append(f'<h3>{html.escape(thing.label)}</h3><div class="pair">{"".join(plots)}</div>')
    legend = "".join(
        f'<span class="name">{_chip(run, report.name)}</span>' for run, report in enumerate(reports)
    )
    text = (
        "<h2>Over time</h2><p>Region similarity J and contour accuracy F, frame by frame. A frame "
        f'that is not scored is a gap.</p><div class="legend">{legend}</div>'
    )
    return text + "".join(parts), series


def _over(frames: Sequence[str], scores: SequenceScores, measure: str, number: int) -> FloatArray:
    """Return one object's values in the given frames; NaN where the run does not have a frame."""
    values = (scores.j if measure == "J" else scores.f)[:, number - 1]
    known = dict(zip(scores.frames, values.tolist(), strict=True))
    return np.array([known.get(frame, math.nan) for frame in frames])


def _rounded(line: Line) -> list[float | None]:
    """Return a line's values as JSON holds them."""
    return [None if math.isnan(value) else round(value, 4) for value in line.values.tolist()]


def _worst_section(reports: Sequence[DavisReport], pictures: Pictures, limit: int) -> str:
    """Show the worst frames of each run, the truth beside every run's masks."""
    places = dict.fromkeys(place for report in reports for place in worst_frames(report, limit))
    rows = []
    for name, frame in places:
        picture = pictures.frame(name, frame)
        columns = [("truth", pictures.truth(name, frame))]
        for run, report in enumerate(reports):
            caption = f"{_chip(run, report.name)} {_frame_score(report, name, frame)}"
            columns.append((caption, pictures.predictions[run](name, frame)))
        figures = "".join(
            f"<figure>{_figure(picture, labels, pictures.binary)}"
            f"<figcaption>{caption}</figcaption></figure>"
            for caption, labels in columns
        )
        style = f"grid-template-columns:repeat({len(columns)},1fr)"
        rows.append(
            f"<h3>{html.escape(name)}, frame {html.escape(frame)}</h3>"
            f'<div class="frames" style="{style}">{figures}</div>'
        )
    text = "Frames whose worst object has the lowest (J + F) / 2, at most two of a sequence."
    return f"<h2>Worst frames</h2><p>{text}</p>{''.join(rows)}"


def _figure(picture: Any, labels: Any, binary: bool) -> str:
    """Return a picture, or words where there is no mask to draw."""
    if labels is None:
        return "<p>no mask</p>"
    return f'<img alt="" src="{overlay_uri(picture, labels, binary=binary)}">'


def _frame_score(report: DavisReport, name: str, frame: str) -> str:
    """Return the mean J and F of one frame's objects, in words."""
    for sequence in report.sequences:
        if sequence.name == name and frame in sequence.frames:
            index = sequence.frames.index(frame)
            j, f = np.mean(sequence.j[index]), np.mean(sequence.f[index])
            return f"J {_score(float(j))}, F {_score(float(f))}"
    return "not scored"
