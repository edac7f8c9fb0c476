"""``vostrack davis``: track, pack and check whole subsets of DAVIS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vostrack.batch.run import RunConfig
from vostrack.cli.command_options import CommandOptions
from vostrack.runs.request import MethodOptions

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence

__all__ = ["DavisCheckCommand", "DavisRunCommand", "DavisSubmitCommand"]


@dataclass(frozen=True, kw_only=True)
class DavisOptions(CommandOptions):
    """Data: a subset of DAVIS."""

    root: Path
    """Folder with ImageSets, JPEGImages and Annotations."""

    year: Literal[2016, 2017] = 2017
    """Which DAVIS list and annotations."""

    subset: Annotated[str, tyro.conf.arg(name="set")] = "val"
    """train, val or trainval of 2016; train, val, test-dev or test-challenge of 2017."""

    resolution: str = "480p"
    """480p or Full-Resolution."""

    annotations: str | None = None
    """Folder of masks in place of Annotations; only each first frame is needed."""

    sequences: tuple[str, ...] = ()
    """Only these sequences."""

    def open(self) -> tuple[VideoSequence, ...]:
        from vostrack.datasets import open_davis

        return open_davis(
            self.root,
            year=self.year,
            subset=self.subset,
            resolution=self.resolution,
            annotations=self.annotations,
            sequences=self.sequences or None,
        )


@dataclass(frozen=True, kw_only=True)
class DavisRunCommand(RunConfig, MethodOptions, DavisOptions):
    """Track every sequence of a subset.

    Example: vostrack davis run --root DAVIS --year 2017 --set val --output results

    The results are results/SEQUENCE/00000.png ... Finished sequences are kept: after Ctrl-C, a
    failure or a kill, the same command goes on with the others.
    """

    output: str = "results"
    """Folder for the results, or a URL that fsspec knows."""

    def run(self) -> int:
        """Run, and return 0, 1 where sequences failed, or 130 after Ctrl-C."""
        from vostrack.batch import davis_jobs, progress_bar, run_jobs
        from vostrack.presets.resolve import effective_preset, resolve_preset
        from vostrack.runs.sequence import job_options

        # What no sequence can be tracked with is refused before the first one.
        resolve_preset(effective_preset(self.preset, self.weights), self.options)
        jobs = davis_jobs(self.open(), self.output, job_options(self))
        with progress_bar(jobs, quiet=self.quiet) as progress:
            report = run_jobs(
                jobs, "vostrack.runs.sequence:track_sequence", self, progress=progress
            )
        if not self.quiet or report.failed:
            print(report.summary())
        return report.exit_status


@dataclass(frozen=True, kw_only=True)
class DavisSubmitCommand(DavisOptions):
    """Pack results into the zip that the DAVIS server takes; refuse what it would refuse.

    Example: vostrack davis submit --root DAVIS --set test-dev --results results --zip s.zip
    """

    results: Path = Path("results")
    """Folder of SEQUENCE/00000.png."""

    zip: Path = Path("submission.zip")
    """File to write."""

    overwrite: bool = False
    """Replace the file."""

    def run(self) -> int:
        """Write the zip, and return 0."""
        from vostrack.errors import InputError
        from vostrack.eval.submission import write_submission

        if self.zip.exists() and not self.overwrite:
            raise InputError(f"zip: {self.zip} exists; `overwrite=True` replaces it")
        submission = write_submission(self.results, self.open(), self.zip)
        if not self.quiet:
            print(
                f"{submission.path}: {submission.sequences} sequences, {submission.frames} masks, "
                f"{submission.rewritten} of them rewritten as palette PNG"
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class DavisCheckCommand(DavisOptions):
    """Check a submission zip, of any origin, against what the DAVIS server wants.

    Example: vostrack davis check --root DAVIS --set test-dev --zip submission.zip
    """

    zip: Path = Path("submission.zip")
    """File to check."""

    def run(self) -> int:
        """Print the problems, and return 0 where the server would take the zip, else 1."""
        from vostrack.eval.submission import check_submission, describe_problems

        problems = check_submission(self.zip, self.open())
        if problems:
            print(describe_problems(problems))
        elif not self.quiet:
            print(f"{self.zip}: no problem found")
        return 1 if any(problem.fatal for problem in problems) else 0
