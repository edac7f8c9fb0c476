"""``vostrack eval``: score a folder of results, and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from vostrack.eval import DavisReport

__all__ = ["EvalCommand"]


@dataclass(frozen=True)
class EvalCommand:
    """Score results against DAVIS: J and F with mean, recall and decay.

    Example: vostrack eval results --root DAVIS --year 2017 --set val --html report.html

    The results are RESULTS/SEQUENCE/00000.png ..., palette or gray PNG of object ids.
    """

    results: tyro.conf.Positional[Path]
    """Folder of the results."""

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    year: Literal[2016, 2017] = 2017
    """2016: masks are binary, one object. 2017: masks hold ids."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "val"
    """train, val or trainval of 2016; train or val of 2017."""

    task: Literal["semi-supervised", "unsupervised"] = "semi-supervised"
    """unsupervised: proposals are matched to objects, void counts, all frames are scored."""

    resolution: str = "480p"
    """480p or Full-Resolution."""

    annotations: str | None = None
    """Folder of masks in place of Annotations."""

    sequences: tuple[str, ...] = ()
    """Only these sequences."""

    name: str | None = None
    """What to call the run in reports; the folder's name by default."""

    compare: tuple[Path, ...] = ()
    """Further folders of results, shown beside the first in the HTML report and the table."""

    json: Path | None = None
    """Write all scores, per frame too, to this file."""

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
    """No table, no progress bar."""

    def run(self) -> int:
        """Score, report, and return 0; 1 where the official package disagrees."""
        from vostrack.datasets import open_davis
        from vostrack.eval import format_table, write_csv, write_html
        from vostrack.eval.dataset import report_images, score_results
        from vostrack.progress import open_progress

        sequences = open_davis(
            self.root,
            year=self.year,
            subset=self.subset,
            task=self.task,
            resolution=self.resolution,
            annotations=self.annotations,
            sequences=self.sequences or None,
        )
        folders = [self.results, *self.compare]
        total = len(sequences) * len(folders)
        with open_progress(total, "sequence", "scoring", quiet=self.quiet) as bar:
            reports = [
                score_results(
                    folder,
                    sequences,
                    task=self.task,
                    name=name,
                    on_sequence=lambda _: bar.update(),
                )
                for folder, name in zip(folders, self._names(folders), strict=True)
            ]
        if self.json is not None:
            reports[0].write_json(self.json)
        if self.csv is not None:
            write_csv(reports[0], self.csv, self.subset)
        if self.html is not None:
            write_html(self.html, reports, report_images(sequences, folders), worst=self.worst)
        if not self.quiet:
            for report in reports:
                print(f"{report.name}\n{format_table(report)}\n")
        return self._compare_official(reports[0]) if self.check_official else 0

    def _names(self, folders: list[Path]) -> list[str]:
        """Name each run by as much of its folder's path as tells it from the others."""
        paths = [folder.resolve().parts for folder in folders]
        length = 1
        while length < max(map(len, paths)) and len({p[-length:] for p in paths}) < len(set(paths)):
            length += 1
        names = [str(Path(*parts[-length:])) for parts in paths]
        return [self.name or names[0], *names[1:]]

    def _compare_official(self, report: DavisReport) -> int:
        from vostrack.eval import check_official

        comparison = check_official(
            report, root=self.root, results=self.results, subset=self.subset, task=self.task
        )
        print(comparison)
        return 0 if comparison.agrees() else 1
