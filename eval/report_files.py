"""The files that an evaluation writes: checked before the scoring, which takes long."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vostrack.errors import InputError
from vostrack.eval.common_set import comparison_json
from vostrack.eval.report import DavisReport, is_json_report, write_report_json
from vostrack.eval.report_html import is_html_report, render_html, save_page
from vostrack.eval.report_overlays import ReportImages
from vostrack.eval.report_text import GLOBAL_COLUMNS, OBJECT_COLUMNS, csv_files, write_csv
from vostrack.files import check_output_file, real_path

__all__ = ["ReportFiles"]


@dataclass(frozen=True)
class ReportFiles:
    """Where the reports of an evaluation go.

    Attributes:
        json: file of all scores and findings of all runs; None writes none.
        csv: folder of the CSV files of the first run; None writes none.
        html: file of the page; None writes none.
        subset: name of the subset, which is part of the names of the CSV files.
    """

    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    subset: str = "val"

    def check(self, inputs: Iterable[Path]) -> None:
        """Refuse places where reports cannot be written, or would replace anything but reports.

        Args:
            inputs: files that are read; inside folders nothing but reports is replaced.

        Raises:
            InputError: names the first such place, or two reports are the same file.
        """
        read = list(inputs)
        taken: dict[Path, str] = {}
        for parameter, path in self._all():
            check_output_file(path, parameter, read)
            other = taken.setdefault(real_path(path), parameter)
            if other != parameter:
                raise InputError(
                    f"{parameter}: {path} is the file of `{other}`, too; give each its own"
                )
            # An empty file, as mktemp makes it, holds nothing to lose.
            if path.is_file() and path.stat().st_size and not _is_report(path, parameter):
                raise InputError(
                    f"{parameter}: {path} exists and was not written by vostrack eval; move it "
                    "away, or give another place"
                )

    def write(self, reports: Sequence[DavisReport], images: ReportImages, *, worst: int) -> None:
        """Write them; earlier reports are replaced.

        Args:
            reports: the runs, the first of which the CSV files are of.
            images: the images of the worst frames for the page.
            worst: number of frames to show for each run.
        """
        # What can fail comes before the first file.
        page = None if self.html is None else render_html(reports, images, worst=worst)
        if self.json is not None:
            write_report_json(self.json, comparison_json(reports))
        if self.csv is not None:
            write_csv(reports[0], self.csv, self.subset)
        if self.html is not None and page is not None:
            save_page(self.html, page)

    def _all(self) -> Iterator[tuple[str, Path]]:
        """Yield the parameter and the path of every file that may be written."""
        if self.json is not None:
            yield "json", self.json
        if self.csv is not None:
            yield from (("csv", path) for path in csv_files(self.csv, self.subset))
        if self.html is not None:
            yield "html", self.html


def _is_report(path: Path, parameter: str) -> bool:
    if parameter == "json":
        return is_json_report(path)
    return is_html_report(path) if parameter == "html" else _is_csv_report(path)


def _is_csv_report(path: Path) -> bool:
    """Tell whether a file has the header of a CSV report, or one row of figures as it does."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        if tuple(header) in (GLOBAL_COLUMNS, OBJECT_COLUMNS):
            return True
        for cell in (cell for row in rows for cell in row if cell):
            float(cell)
    except (OSError, ValueError, csv.Error):
        return False
    return len(rows) == 1 and len(rows[0]) == len(header)
