"""``vostrack eval``: score a folder of results, and report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vostrack.errors import InputError
from vostrack.files import real_path

if TYPE_CHECKING:
    from vostrack.datasets import DatasetChoice, VideoSequence
    from vostrack.eval import DavisReport, ScoringOptions
    from vostrack.eval.report_files import ReportFiles

__all__ = ["EvalCommand"]


@dataclass(frozen=True)
class EvalCommand:
    """Score results against a data set: J and F with mean, recall and decay.

    Example: vostrack eval results --root DAVIS --year 2017 --set val --html report.html

    Further figures: the overall score over seen and unseen categories (youtube-vos, lvos), V
    (lvos), F-dot with the scores around absences (mose), and HOTA (burst).

    The results are RESULTS/SEQUENCE/00000.png ..., palette or gray PNG of object ids, or a zip file
    of them. Other names, layouts and values are recognized where they are clear, and a line says
    so. What cannot be scored is named, and the rest is scored.

    Exit status: 0 everything was scored; 1 something was left out, and is named; 2 nothing could be
    scored; 3 the official package gives other scores (--check-official).
    """

    results: tyro.conf.Positional[Path]
    """Folder or zip file of the results."""

    root: Path
    """Folder of the data set. DAVIS: the one with ImageSets, JPEGImages and Annotations."""

    layout: Literal["davis", "youtube-vos", "mose", "lvos", "burst"] = "davis"
    """The benchmark: how its folders are arranged, and which objects are scored in which frames."""

    year: Literal[2016, 2017] | None = None
    """davis: 2016: masks are binary, one object. 2017, the default: masks hold ids."""

    subset: Annotated[str | None, tyro.conf.arg(name="set")] = None
    """davis: train, val or trainval of 2016; train or val of 2017. Others: a subset whose truth you
    have. By default the one that is used for evaluation."""

    task: Annotated[
        Literal["semi-supervised", "unsupervised"], tyro.conf.arg(aliases=["--protocol"])
    ] = "semi-supervised"
    """unsupervised: up to 20 proposals are matched to objects, void counts, all frames are
    scored."""

    resolution: str | None = None
    """davis: 480p, the default, or Full-Resolution."""

    annotations: str | None = None
    """davis: folder of masks in place of Annotations."""

    all_frames: bool = False
    """youtube-vos, burst: the results are of all frames."""

    split: Path | None = None
    """youtube-vos: file of the seen categories, one per line; by default those of train/meta.json.
    lvos: file of the unseen videos; by default unseen_videos.txt."""

    sequences: tuple[str, ...] = ()
    """Only these sequences."""

    missing: Literal["skip", "empty"] = "skip"
    """Frames without a result, also all those of a sequence without a folder: skip leaves them out,
    empty scores them as empty masks. They are named in either case."""

    late_objects: Literal["ignore", "score"] = "ignore"
    """Objects that are not in the first frame: ignore them as DAVIS does, or score them from the
    frame after the one in which they appear."""

    official_decay: bool = False
    """Compute decay as the official code does, whose frame numbers wrap at 256."""

    name: str | None = None
    """What to call the run in reports; the folder's name by default."""

    compare: tuple[Path, ...] = ()
    """Further folders of results, shown beside the first in the HTML report, the JSON file and the
    tables. Runs that were scored on different objects or frames are compared on what they have in
    common."""

    json: Path | None = None
    """Write all scores, per frame too, and all findings to this file. It and the other reports
    replace earlier reports and no other files."""

    csv: Path | None = None
    """Write the two CSV files of the official tool into this folder; of the first results only."""

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
        import tempfile

        from vostrack.datasets import open_dataset
        from vostrack.eval.official import check_installed
        from vostrack.eval.report_images import report_images
        from vostrack.eval.result_folder import opened_results

        # What would fail at the end is refused before the scoring, which takes long.
        if self.worst < 0:
            raise InputError(f"worst: expected 0 or more frames, got {self.worst}")
        options, runs, files = self._options(), self._runs(), self._files()
        files.check([self.root, *runs.values(), *([self.split] if self.split else [])])
        if self.check_official:
            check_installed()
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="vostrack-"))
            sequences = open_dataset(self._choice(), task=self.task, masks=Path(scratch))
            known = [sequence.name for sequence in sequences]
            folders = [stack.enter_context(opened_results(p, known)) for p in runs.values()]
            reports = self._score(runs, folders, sequences, options)
            files.write(reports, report_images(sequences, folders), worst=self.worst)
        for report in reports:
            self._say(report, several=len(reports) > 1)
        self._compare(reports)
        if self.check_official and not self._agrees(reports[0]):
            return 3
        return 0 if all(report.complete for report in reports) else 1

    def _choice(self) -> DatasetChoice:
        from vostrack.datasets import DatasetChoice

        return DatasetChoice(
            root=self.root,
            layout=self.layout,
            subset=self.subset,
            sequences=self.sequences,
            year=self.year,
            resolution=self.resolution,
            annotations=self.annotations,
            all_frames=self.all_frames,
        )

    def _options(self) -> ScoringOptions:
        from vostrack.eval import ScoringOptions
        from vostrack.eval.benchmark_figures import find_split

        davis = self.layout == "davis"
        for name, used in (
            ("task", self.task != "semi-supervised"),
            ("late_objects", self.late_objects != "ignore"),
            ("check_official", self.check_official),
        ):
            if used and not davis:
                raise InputError(f"{name}: has no effect with the layout {self.layout}")
        if self.split is not None and self.layout not in ("youtube-vos", "lvos"):
            raise InputError(f"split: has no effect with the layout {self.layout}")
        return ScoringOptions(
            layout=self.layout,
            task=self.task,
            missing=self.missing,
            late_objects=self.late_objects,
            official_decay=self.official_decay,
            split=find_split(self.root, self.layout, self.split),
        )

    def _score(
        self,
        runs: Mapping[str, Path],
        folders: list[Path],
        sequences: tuple[VideoSequence, ...],
        options: ScoringOptions,
    ) -> list[DavisReport]:
        from dataclasses import replace

        from vostrack.eval import score_results
        from vostrack.progress import open_progress

        reports = []
        total = len(sequences) * len(folders)
        with open_progress(total, "sequence", "scoring", quiet=self.quiet) as bar:
            for (name, path), folder in zip(runs.items(), folders, strict=True):
                report = score_results(
                    folder, sequences, options, name=name, on_sequence=lambda _: bar.update()
                )
                reports.append(replace(report, info={**report.info, "results": str(path)}))
        return reports

    def _files(self) -> ReportFiles:
        from vostrack.eval.report_files import ReportFiles

        return ReportFiles(self.json, self.csv, self.html, self._subset())

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

    def _compare(self, reports: list[DavisReport]) -> None:
        """Print scores that can be compared, where those of the tables cannot."""
        from vostrack.eval.report_text import format_comparison

        if not self.quiet and (text := format_comparison(reports)):
            print(f"{text}\n")

    def _runs(self) -> dict[str, Path]:
        """Return the results of each run, named by as much of its path as tells it from the others.

        Raises:
            InputError: results are given twice, or `name` is the name of another run.
        """
        given = [self.results, *self.compare]
        paths = [real_path(path).parts for path in given]
        for index, parts in enumerate(paths):
            if parts in paths[:index]:
                raise InputError(
                    f"compare: {given[index]} is given twice; give each folder of results once"
                )
        length = 1
        while len({parts[-length:] for parts in paths}) < len(paths):
            length += 1
        first, *others = [str(Path(*parts[-length:])) for parts in paths]
        if self.name in others:
            raise InputError(
                f"name: {self.name} is the name of one of the runs to compare; choose another"
            )
        return dict(zip([self.name or first, *others], given, strict=True))

    def _subset(self) -> str:
        from vostrack.datasets.layouts import default_subset

        return self.subset or default_subset(self.layout)

    def _agrees(self, report: DavisReport) -> bool:
        from vostrack.eval import check_official

        comparison = check_official(
            report, root=self.root, results=self.results, subset=self._subset(), task=self.task
        )
        print(comparison)
        return comparison.agrees()
