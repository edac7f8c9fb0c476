"""``vostrack eval``: score a folder of results, and report."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence
    from vostrack.eval import DavisReport

__all__ = ["EvalCommand"]


@dataclass(frozen=True)
class EvalCommand:
    """Score results against DAVIS: J and F with mean, recall and decay.

    Example: vostrack eval results --root DAVIS --year 2017 --set val --html report.html

    The results are RESULTS/SEQUENCE/00000.png ..., palette or gray PNG of object ids, or a zip file
    of them. Other names, layouts and values are recognized where they are clear, and a line says
    so. What cannot be scored is named, and the rest is scored.

    Exit status: 0 everything was scored; 1 something was left out, and is named; 2 nothing could be
    scored; 3 the official package gives other scores (--check-official).
    """

    results: tyro.conf.Positional[Path]
    """Folder or zip file of the results."""

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    year: Literal[2016, 2017] = 2017
    """2016: masks are binary, one object. 2017: masks hold ids."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "val"
    """train, val or trainval of 2016; train or val of 2017."""

    task: Annotated[
        Literal["semi-supervised", "unsupervised"], tyro.conf.arg(aliases=["--protocol"])
    ] = "semi-supervised"
    """unsupervised: up to 20 proposals are matched to objects, void counts, all frames are
    scored."""

    resolution: str = "480p"
    """480p or Full-Resolution."""

    annotations: str | None = None
    """Folder of masks in place of Annotations."""

    sequences: tuple[str, ...] = ()
    """Only these sequences."""

    missing: Literal["skip", "empty"] = "skip"
    """Frames without a result: skip leaves them out, empty scores them as empty masks. They are
    named in either case."""

    late_objects: Literal["ignore", "score"] = "ignore"
    """Objects that are not in the first frame: ignore them as DAVIS does, or score them from the
    frame after the one in which they appear."""

    official_decay: bool = False
    """Compute decay as the official code does, whose frame numbers wrap at 256."""

    name: str | None = None
    """What to call the run in reports; the folder's name by default."""

    compare: tuple[Path, ...] = ()
    """Further folders of results, shown beside the first in the HTML report and the table."""

    json: Path | None = None
    """Write all scores, per frame too, and all findings to this file."""

    csv: Path | None = None
    """Write the two CSV files of the official tool into this folder."""

    html: Path | None = None
    """Write a self-contained report with plots and the worst frames to this file."""

    worst: int = 6
    """How many of the worst frames the HTML report shows of each run."""

    check_official: bool = False
    """Score with the official package davis2017 as well, and compare."""

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No table, no progress bar, no notes; what was left out is still named."""

    def run(self) -> int:
        """Score, report, and return the exit status."""
        from vostrack.datasets import open_davis
        from vostrack.eval.result_folder import opened_results

        sequences = open_davis(
            self.root,
            year=self.year,
            subset=self.subset,
            task=self.task,
            resolution=self.resolution,
            annotations=self.annotations,
            sequences=self.sequences or None,
        )
        given = [self.results, *self.compare]
        with ExitStack() as stack:
            known = [sequence.name for sequence in sequences]
            folders = [stack.enter_context(opened_results(path, known)) for path in given]
            reports = self._score(given, folders, sequences)
            self._write(reports, folders, sequences)
        for report in reports:
            self._say(report, several=len(reports) > 1)
        if self.check_official and not self._agrees(reports[0]):
            return 3
        return 0 if all(report.complete for report in reports) else 1

    def _score(
        self, given: list[Path], folders: list[Path], sequences: tuple[VideoSequence, ...]
    ) -> list[DavisReport]:
        from dataclasses import replace

        from vostrack.eval import ScoringOptions, score_results
        from vostrack.progress import open_progress

        options = ScoringOptions(
            task=self.task,
            missing=self.missing,
            late_objects=self.late_objects,
            official_decay=self.official_decay,
        )
        reports = []
        total = len(sequences) * len(folders)
        with open_progress(total, "sequence", "scoring", quiet=self.quiet) as bar:
            for path, folder, name in zip(given, folders, self._names(given), strict=True):
                report = score_results(
                    folder, sequences, options, name=name, on_sequence=lambda _: bar.update()
                )
                reports.append(replace(report, info={**report.info, "results": str(path)}))
        return reports

    def _write(
        self, reports: list[DavisReport], folders: list[Path], sequences: tuple[VideoSequence, ...]
    ) -> None:
        from vostrack.eval import write_csv, write_html
        from vostrack.eval.report_images import report_images

        if self.json is not None:
            reports[0].write_json(self.json)
        if self.csv is not None:
            write_csv(reports[0], self.csv, self.subset)
        if self.html is not None:
            write_html(self.html, reports, report_images(sequences, folders), worst=self.worst)

    def _say(self, report: DavisReport, *, several: bool) -> None:
        """Print the table, and on standard error what was left out or reinterpreted."""
        from vostrack.cli.error_text import to_flags
        from vostrack.cli.form import spelling_of
        from vostrack.eval import describe_findings, format_table

        if not self.quiet:
            print(f"{report.name}\n{format_table(report)}\n")
        said = [finding for finding in report.findings if finding.lost or not self.quiet]
        if said:
            text = to_flags(describe_findings(said), spelling_of(EvalCommand, grouped=False))
            print(f"{report.name}:\n{text}" if several else text, file=sys.stderr)

    def _names(self, folders: list[Path]) -> list[str]:
        """Name each run by as much of its folder's path as tells it from the others."""
        paths = [folder.resolve().parts for folder in folders]
        length = 1
        while length < max(map(len, paths)) and len({p[-length:] for p in paths}) < len(set(paths)):
            length += 1
        names = [str(Path(*parts[-length:])) for parts in paths]
        return [self.name or names[0], *names[1:]]

    def _agrees(self, report: DavisReport) -> bool:
        from vostrack.eval import check_official

        comparison = check_official(
            report, root=self.root, results=self.results, subset=self.subset, task=self.task
        )
        print(comparison)
        return comparison.agrees()
