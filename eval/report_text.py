"""A report as a table for the terminal, and as the CSV files of the official DAVIS tool."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vostrack.eval.common_set import coverage, find_common_set
from vostrack.eval.report import DavisReport
from vostrack.files import atomic_path, through_link

__all__ = [
    "GLOBAL_COLUMNS",
    "OBJECT_COLUMNS",
    "CsvFiles",
    "csv_files",
    "format_comparison",
    "format_table",
    "global_row",
    "write_csv",
]

GLOBAL_COLUMNS = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)


def global_row(report: DavisReport) -> tuple[float, ...]:
    """Return the global scores in the order of ``GLOBAL_COLUMNS``."""
    row = [report.j_and_f]
    for measure in (report.measure("J"), report.measure("F")):
        row += [measure.mean, measure.recall, measure.decay]
    return tuple(row)


OBJECT_COLUMNS = ("Sequence", "J-Mean", "F-Mean")


class CsvFiles(NamedTuple):
    """The CSV files of a report, with three decimals.

    Attributes:
        whole: ``global_results-SUBSET.csv``, the global scores.
        objects: ``per-sequence_results-SUBSET.csv``, with one row per object, named by its sequence
            and number.
    """

    whole: Path
    objects: Path


def csv_files(folder: str | os.PathLike[str], subset: str) -> tuple[Path, Path, Path]:
    """Return the paths of the CSV files: global, of each object, further figures."""
    kinds = ("global_results", "per-sequence_results", "benchmark_results")
    whole, objects, benchmark = (Path(folder) / f"{kind}-{subset}.csv" for kind in kinds)
    return whole, objects, benchmark


def write_csv(report: DavisReport, folder: str | os.PathLike[str], subset: str) -> CsvFiles:
    """Write the two CSV files of the official tool. Existing files are replaced.

    The further figures of a benchmark, if there are any, go to ``benchmark_results-SUBSET.csv``.

    Args:
        report: the scores.
        folder: folder of the files; it is created if missing.
        subset: name of the subset, which is part of the file names.
    """
    rows = [
        (
            f"{sequence.name}_{number}",
            sequence.measure("J", number).mean,
            sequence.measure("F", number).mean,
        )
        for sequence, number in report.objects()
    ]
    whole, objects, benchmark = csv_files(folder, subset)
    files = CsvFiles(whole, objects)
    _write(files.whole, GLOBAL_COLUMNS, [global_row(report)])
    _write(files.objects, OBJECT_COLUMNS, rows)
    if report.figures:
        _write(benchmark, tuple(report.figures), [tuple(report.figures.values())])
    return files


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[float | str]]) -> None:
    """Write one CSV file."""
    with (
        atomic_path(through_link(path)) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[_cell(value) for value in row] for row in rows])


def _cell(value: float | str) -> str:
    """Format a value with three decimals, and NaN as an empty cell."""
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.3f}"


def format_table(report: DavisReport) -> str:
    """Format the scores as a table: one line per object, then the global means."""
    header = ("sequence", *(name.removesuffix("-Mean") for name in GLOBAL_COLUMNS))
    rows: list[tuple[str, ...]] = [header]
    for sequence, number in report.objects():
        j, f = sequence.measure("J", number), sequence.measure("F", number)
        values = ((j.mean + f.mean) / 2, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
        rows.append((f"{sequence.name}_{number}", *(_cell(value) for value in values)))
    rows.append(("global", *(_cell(value) for value in global_row(report))))
    lines = _aligned(rows)
    rule = "-" * max(len(line) for line in lines)
    further = [f"{name}  {_cell(value) or 'none'}" for name, value in report.figures.items()]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *further])


def format_comparison(reports: Sequence[DavisReport]) -> str:
    """Format what makes the means of several runs comparable where they are not.

    Args:
        reports: the runs.

    Returns:
        A sentence, and a table of the global scores over what all runs have scores of, with one
        line per run; "" if all runs have scores of the same frames.
    """
    common = find_common_set(reports)
    if common.same:
        return ""
    own = "; ".join(f"{report.name}: {coverage(report)}" for report in reports)
    text = f"The runs were scored on different objects or frames ({own}).\n"
    if not common.reports:
        return text + "No frame of an object was scored in every run."
    rows = [("run", *(name.removesuffix("-Mean") for name in GLOBAL_COLUMNS))]
    rows += [(r.name, *(_cell(value) for value in global_row(r))) for r in common.reports]
    lines = _aligned(rows)
    rule = "-" * max(len(line) for line in lines)
    shared = f"On what they have in common, {coverage(common.reports[0])}:"
    return "\n".join([text + shared, lines[0], rule, *lines[1:]])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line per row, with the first column to the left and all others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
