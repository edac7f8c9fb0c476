"""A self-contained HTML file with the scores of one or several runs."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vostrack.arrays import FloatArray
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores
from vostrack.eval.report import DavisReport
from vostrack.eval.report_assets import SCRIPT, STYLE
from vostrack.eval.report_overlays import ReportImages, overlay_uri, worst_frames
from vostrack.eval.report_plots import Line, plot_svg
from vostrack.eval.report_tables import (
    findings_section,
    global_section,
    object_section,
    run_chip,
    score_text,
    scored_objects,
)
from vostrack.files import atomic_path, through_link

__all__ = ["is_html_report", "render_html", "save_page", "write_html"]

_SERIES = '<script type="application/json" id="series">'
"""What all our pages have, and hardly another page."""


def is_html_report(path: Path) -> bool:
    """Tell whether a file is a page that ``write_html`` wrote, of any version."""
    try:
        page = path.read_bytes()
    except OSError:
        return False
    return b"<h2>Global</h2>" in page and _SERIES.encode() in page


def write_html(
    path: str | os.PathLike[str],
    reports: Sequence[DavisReport],
    images: ReportImages | None = None,
    *,
    worst: int = 6,
    title: str = "DAVIS scores",
) -> None:
    """Write the result of ``render_html`` to a file, atomically."""
    save_page(path, render_html(reports, images, worst=worst, title=title))


def save_page(path: str | os.PathLike[str], page: str) -> None:
    """Write a page that ``render_html`` rendered, atomically."""
    with atomic_path(through_link(path)) as temporary:
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
        f"{global_section(reports)}{findings_section(reports)}{object_section(reports)}"
        f"{plots}{shown}{_SERIES}{embedded}</script>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _info(reports: Sequence[DavisReport]) -> str:
    """List the information about each run."""
    rows = []
    for run, report in enumerate(reports):
        facts = "; ".join(f"{key} {_plain(value)}" for key, value in report.info.items())
        rows.append(f"<dt>{run_chip(run, report.name)}</dt><dd>{html.escape(facts)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _plain(value: Any) -> str:
    """Format a value of the information."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return str(value)


def _time_section(reports: Sequence[DavisReport]) -> tuple[str, list[dict[str, Any]]]:
    """Plot J and F of every object over time. Also return the values, for the tooltips."""
    series: list[dict[str, Any]] = []
    parts = []
    for entry in scored_objects(reports):
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
        f'<span class="name">{run_chip(run, report.name)}</span>'
        for run, report in enumerate(reports)
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
            caption = f"{run_chip(run, report.name)} {_frame_score(report, name, frame)}"
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
            return f"J {score_text(float(j))}, F {score_text(float(f))}"
    return "not scored"
