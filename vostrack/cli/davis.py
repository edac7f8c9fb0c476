"""``vostrack davis``: track, pack and check whole subsets of DAVIS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from vostrack.datasets import VideoSequence

__all__ = ["DavisCheckCommand", "DavisRunCommand", "DavisSubmitCommand"]


@dataclass(frozen=True)
class _Subset:
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

    verbose: bool = False
    """Log more."""

    quiet: bool = False
    """No progress bar, no summary."""

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


@dataclass(frozen=True)
class DavisRunCommand(_Subset):
    """Track every sequence of a subset.

    Example: vostrack davis run --root DAVIS --year 2017 --set val --output results

    The results are results/SEQUENCE/00000.png ... A sequence that is finished is kept: after
    Ctrl-C, a failure or a kill, the same command goes on with the others.
    """

    output: str = "results"
    """Folder, or a URL that fsspec knows, for the results."""

    preset: str = "balanced"
    """See vostrack track --help."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    weights: str = "auto"
    """See vostrack track --help."""

    max_size: int | None = None
    """Longest side to work on, pixels."""

    foreground_steps: int | None = None
    """Fine-tuning steps of the foreground model (finetune, paper)."""

    object_steps: int | None = None
    """Fine-tuning steps of the object models."""

    proposer: str | None = None
    """Instance proposer that helps the filter to find lost objects; see vostrack track --help."""

    seed: int = 0
    """Seed of the augmentations."""

    workers: int = 1
    """Processes on this machine, or tasks at a time on a local cluster."""

    threads: int | None = None
    """CPU threads of each process; the cores are shared out by default."""

    gpus: tuple[str, ...] = ()
    """Devices dealt to the processes in turn, such as 0 1."""

    cluster: str | None = None
    """auto (a running Ray cluster), local (start one here), or its address."""

    gpus_per_task: float = 0.0
    """GPUs, or the share of one, that a task of a cluster takes."""

    retries: int = 2
    """How often a sequence is started again whose process was lost."""

    overwrite: bool = False
    """Track everything again."""

    def run(self) -> int:
        """Run, and return 0, 1 where sequences failed, or 130 after Ctrl-C."""
        from vostrack.batch import RunConfig, davis_jobs, progress_bar, run_jobs

        names = ("preset", "device", "weights", "seed")
        options = {name: getattr(self, name) for name in names}
        for name in ("max_size", "foreground_steps", "object_steps", "proposer"):
            if getattr(self, name) is not None:
                options[name] = getattr(self, name)
        if Path(self.weights).is_file():
            # The processes of a cluster run in folders of their own.
            options["weights"] = str(Path(self.weights).absolute())
        jobs = davis_jobs(self.open(), self.output, options)
        config = RunConfig(
            workers=self.workers,
            threads=self.threads,
            gpus=self.gpus,
            cluster=self.cluster,
            gpus_per_task=self.gpus_per_task,
            retries=self.retries,
            overwrite=self.overwrite,
        )
        with progress_bar(jobs, quiet=self.quiet) as progress:
            report = run_jobs(
                jobs, "vostrack.runs.sequence:track_sequence", config, progress=progress
            )
        if not self.quiet or report.failed:
            print(report.summary())
        return report.exit_status


@dataclass(frozen=True)
class DavisSubmitCommand(_Subset):
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
            raise InputError(f"zip: {self.zip} exists; --overwrite replaces it")
        submission = write_submission(self.results, self.open(), self.zip)
        if not self.quiet:
            print(
                f"{submission.path}: {submission.sequences} sequences, {submission.frames} masks, "
                f"{submission.rewritten} of them rewritten as palette PNG"
            )
        return 0


@dataclass(frozen=True)
class DavisCheckCommand(_Subset):
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
