"""A self-contained HTML file with the scores of one or several runs."""

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
from vostrack.eval.report_overlays import ReportImages, overlay_uri, worst_frames
from vostrack.eval.report_plots import Line, plot_svg
from vostrack.eval.report_text import GLOBAL_COLUMNS, global_row
from vostrack.files import atomic_path

__all__ = ["render_html", "write_html"]


def write_html(
    path: str | os.PathLike[str],
    reports: Sequence[DavisReport],
    images: ReportImages | None = None,
    *,
    worst: int = 6,
    title: str = "DAVIS scores",
) -> None:
    """Write the result of ``render_html`` to a file, atomically."""
    page = render_html(reports, images, worst=worst, title=title)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_html(
    reports: Sequence[DavisReport],
    images: ReportImages | None = None,
    *,
    worst: int = 6,
    title: str = "DAVIS scores",
) -> str:
    """Render a page that includes all scripts, plots and images.

    Args:
        reports: the runs, the most important one first. They may have different sequences.
        images: access to the images of the worst frames; None leaves them out.
        worst: number of frames to show for each run.
        title: title of the page.

    Returns:
        The HTML text.

    Raises:
        InputError: there is no report, two have the same name, or ``images`` does not have one
            source of predictions per report.
    """
    names = [report.name for report in reports]
    if not names or len(set(names)) < len(names):
        raise InputError(f"reports: expected at least one, each with its own name, got {names}")
    if images and len(images.predictions) != len(reports):
        raise InputError(
            f"images.predictions: expected one for each of {len(reports)} reports, "
            f"got {len(images.predictions)}"
        )
    plots, series = _time_section(reports)
    # "<" could end the script element, so it is escaped, which JSON allows.
    embedded = json.dumps(series, allow_nan=False).replace("<", "\\u003c")
    shown = _worst_section(reports, images, worst) if images else ""
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
    """Return the name of a run with its colour in front."""
    colour = COLOURS[run % len(COLOURS)]
    return f'<span class="run" style="background:{colour}"></span>{html.escape(name)}'


def _info(reports: Sequence[DavisReport]) -> str:
    """List the information about each run."""
    rows = []
    for run, report in enumerate(reports):
        facts = "; ".join(f"{key} {_plain(value)}" for key, value in report.info.items())
        rows.append(f"<dt>{_chip(run, report.name)}</dt><dd>{html.escape(facts)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _plain(value: Any) -> str:
    """Format a value of the information."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return str(value)


def _score(value: float) -> str:
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


def _marked(values: Sequence[float], *, lowest: bool = False) -> list[str]:
    """Return table cells of the scores of the runs. Of several, the best is marked."""
    known = [value for value in values if not math.isnan(value)]
    if len(values) < 2 or not known:
        return [_score(value) for value in values]
    best = min(known) if lowest else max(known)
    return [
        f'<td class="best">{_score(value)}</td>' if value == best else _score(value)
        for value in values
    ]


def _global_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate the global scores, with one row per run."""
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
        + _further(reports)
    )


def _further(reports: Sequence[DavisReport]) -> str:
    """Tabulate the further figures of a benchmark, if there are any."""
    names = list(dict.fromkeys(name for report in reports for name in report.figures))
    if not names:
        return ""
    rows = [
        [
            _chip(run, report.name),
            *(_score(report.figures.get(name, math.nan)) for name in names),
        ]
        for run, report in enumerate(reports)
    ]
    return _table(("run", *(html.escape(name) for name in names)), rows)


@dataclass(frozen=True)
class _Object:
    """One object and the runs that scored it."""

    label: str
    number: int
    runs: dict[int, SequenceScores]


def _objects(reports: Sequence[DavisReport]) -> list[_Object]:
    """Return every object of any run, in the order of the first run with that object."""
    found: dict[tuple[str, int], dict[int, SequenceScores]] = {}
    for run, report in enumerate(reports):
        for sequence, number in report.objects():
            found.setdefault((sequence.name, number), {})[run] = sequence
    return [_Object(f"{name}_{number}", number, runs) for (name, number), runs in found.items()]


def _object_section(reports: Sequence[DavisReport]) -> str:
    """Tabulate J and F of every object, with one group of columns per run."""
    rows = []
    for entry in _objects(reports):
        pairs = []
        for run in range(len(reports)):
            scores = entry.runs.get(run)
            pairs.append(
                (scores.measure("J", entry.number).mean, scores.measure("F", entry.number).mean)
                if scores
                else (math.nan, math.nan)
            )
        columns = (
            _marked([(j + f) / 2 for j, f in pairs]),
            _marked([j for j, _ in pairs]),
            _marked([f for _, f in pairs]),
        )
        cells = [column[run] for run in range(len(reports)) for column in columns]
        rows.append([html.escape(entry.label), *cells])
    header = ["object"]
    for run, report in enumerate(reports):
        prefix = _chip(run, report.name) + " " if len(reports) > 1 else ""
        header += [f"{prefix}J&amp;F", "J", "F"]
    return f"<h2>Objects</h2><p>Means over the scored frames.</p>{_table(header, rows)}"


def _time_section(reports: Sequence[DavisReport]) -> tuple[str, list[dict[str, Any]]]:
    """Plot J and F of every object over time. Also return the values, for the tooltips."""
    series: list[dict[str, Any]] = []
    parts = []
    for entry in _objects(reports):
        frames = max((scores.frames for scores in entry.runs.values()), key=len)
        plots = []
        for measure in "JF":
            lines = [
                Line(run, _over(frames, scores, measure, entry.number))
                for run, scores in entry.runs.items()
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
        parts.append(f'<h3>{html.escape(entry.label)}</h3><div class="pair">{"".join(plots)}</div>')
    legend = "".join(
        f'<span class="name">{_chip(run, report.name)}</span>' for run, report in enumerate(reports)
    )
    text = (
        "<h2>Over time</h2><p>Region similarity J and contour accuracy F for each frame. Frames "
        f'that are not scored are gaps.</p><div class="legend">{legend}</div>'
    )
    return text + "".join(parts), series


def _over(frames: Sequence[str], scores: SequenceScores, measure: str, number: int) -> FloatArray:
    """Return the values of one object in the given frames; NaN for frames not in the run."""
    values = scores.values("J" if measure == "J" else "F", number)
    known = dict(zip(scores.frames, values.tolist(), strict=True))
    return np.array([known.get(frame, math.nan) for frame in frames])


def _rounded(line: Line) -> list[float | None]:
    """Return the values of a line as JSON values."""
    return [None if math.isnan(value) else round(value, 4) for value in line.values.tolist()]


def _worst_section(reports: Sequence[DavisReport], images: ReportImages, limit: int) -> str:
    """Show the worst frames of each run, with the truth next to the masks of every run."""
    places = dict.fromkeys(place for report in reports for place in worst_frames(report, limit))
    rows = []
    for name, frame in places:
        image = images.frame(name, frame)
        columns = [("truth", images.truth(name, frame))]
        for run, report in enumerate(reports):
            caption = f"{_chip(run, report.name)} {_frame_score(report, name, frame)}"
            columns.append((caption, images.predictions[run](name, frame)))
        figures = "".join(
            f"<figure>{_figure(image, labels, images.binary)}"
            f"<figcaption>{caption}</figcaption></figure>"
            for caption, labels in columns
        )
        style = f"grid-template-columns:repeat({len(columns)},1fr)"
        rows.append(
            f"<h3>{html.escape(name)}, frame {html.escape(frame)}</h3>"
            f'<div class="frames" style="{style}">{figures}</div>'
        )
    text = "Frames whose worst object has the lowest (J + F) / 2, at most two per sequence."
    return f"<h2>Worst frames</h2><p>{text}</p>{''.join(rows)}"


def _figure(image: Any, labels: Any, binary: bool) -> str:
    """Return an image element, or a note if there is no mask."""
    if labels is None:
        return "<p>no mask</p>"
    return f'<img alt="" src="{overlay_uri(image, labels, binary=binary)}">'


def _frame_score(report: DavisReport, name: str, frame: str) -> str:
    """Format the mean J and F of the objects in one frame."""
    for sequence in report.sequences:
        if sequence.name == name and frame in sequence.frames:
            index = sequence.frames.index(frame)
            if np.isnan(sequence.j[index]).all():
                return "not scored"
            j, f = np.nanmean(sequence.j[index]), np.nanmean(sequence.f[index])
            return f"J {_score(float(j))}, F {_score(float(f))}"
    return "not scored"
