"""``vostrack dataset``: track, pack and check whole data sets; ``vostrack davis`` is the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vostrack.batch.run import RunConfig
from vostrack.cli.command_options import CommandOptions
from vostrack.errors import InputError
from vostrack.runs.request import MethodOptions
from vostrack.wording import counted

if TYPE_CHECKING:
    from vostrack.batch import RunReport
    from vostrack.cli.error_text import Spelling
    from vostrack.datasets import VideoSequence

__all__ = ["DatasetCheckCommand", "DatasetRunCommand", "DatasetSubmitCommand"]


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(CommandOptions):
    """Data: which sequences of which data set."""

    root: Path
    """Folder of the data set. DAVIS: the one with ImageSets, JPEGImages and Annotations.
    YouTube-VOS and LVOS: the one with train, valid (or val) and test. MOSE: the one with JPEGImages
    and Annotations, or with a folder of them per subset. BURST: the one with annotations and
    frames."""

    layout: Literal["davis", "youtube-vos", "mose", "lvos", "burst"] = "davis"
    """How the folders are arranged. Except in davis, objects may start in later frames; in mose,
    where every frame has a mask, only those of the first one are objects."""

    subset: Annotated[str | None, tyro.conf.arg(name="set")] = None
    """davis: train, val or trainval of 2016; train, val, test-dev or test-challenge of 2017.
    Others: train, valid or val, test. By default the one that is used for evaluation."""

    task: Annotated[
        Literal["semi-supervised", "unsupervised"], tyro.conf.arg(aliases=["--protocol"])
    ] = "semi-supervised"
    """davis: unsupervised reads the lists and masks of the unsupervised task of 2019: no mask is
    given, and a submission holds up to 20 objects with ids of any order."""

    year: Literal[2016, 2017] | None = None
    """davis: which list and annotations. Default: 2017."""

    resolution: str | None = None
    """davis: 480p (the default) or Full-Resolution."""

    annotations: str | None = None
    """davis: folder of masks in place of Annotations; only each first frame is needed."""

    all_frames: bool = False
    """youtube-vos: track valid_all_frames. burst: track every frame. By default only the frames
    that are scored are tracked, which are farther apart."""

    sequences: tuple[str, ...] = ()
    """Only these sequences."""

    def open(self, masks: Path | None = None) -> tuple[VideoSequence, ...]:
        """Open the data set; ``masks`` is where BURST's annotations are unpacked."""
        from vostrack.datasets import DatasetChoice, open_dataset

        choice = DatasetChoice(
            root=self.root,
            layout=self.layout,
            subset=self.subset,
            sequences=self.sequences,
            year=self.year,
            resolution=self.resolution,
            annotations=self.annotations,
            all_frames=self.all_frames,
        )
        return open_dataset(choice, task=self.task, masks=masks)


@dataclass(frozen=True, kw_only=True)
class DatasetRunCommand(RunConfig, MethodOptions, DatasetOptions):
    """Track every sequence of a data set.

    Example: vostrack dataset run --layout youtube-vos --root YouTube-VOS --output results

    The results are results/SEQUENCE/FRAME.png, with the frames' own names. An object that starts in
    a later frame is added there. Finished sequences are kept: after Ctrl-C, a failure or a kill,
    the same command goes on with the others.
    """

    output: str = "results"
    """Folder for the results, or a URL that fsspec knows."""

    first_mask: Literal["given", "auto"] = "given"
    """given: the masks of the data set. auto: the masks are not looked at, and objects that stand
    out and move are proposed. That is always so with --task unsupervised (score the results with
    vostrack eval --task unsupervised)."""

    objects: int | None = None
    """How many objects the first mask auto proposes. Default: those nearly as good as the best, at
    most 5."""

    def run(self) -> int:
        """Run, and return 0, 1 where sequences failed, or 130 after Ctrl-C."""
        from vostrack.batch import dataset_jobs, progress_bar, run_jobs
        from vostrack.cli.error_text import to_flags
        from vostrack.cli.form import spelling_of
        from vostrack.compute.precision import resolve_device
        from vostrack.presets.resolve import effective_preset, resolve_preset
        from vostrack.runs.sequence import PROPOSED, job_options

        # What no sequence can be tracked with is refused before the first one.
        resolve_preset(effective_preset(self.preset, self.weights), self.options)
        if self.cluster is None and not self.gpus:
            resolve_device(self.device)
        if self.objects is not None and not 1 <= self.objects <= 254:
            raise InputError(f"objects: expected 1 to 254, got {self.objects}")
        sequences = self.open(self._masks())
        found = self.first_mask == "auto" or self.task == "unsupervised"
        if self.objects is not None and not found:
            raise InputError(
                "objects: only the first mask auto needs a number of objects; leave `objects` out, "
                "or choose `first_mask='auto'`"
            )
        options = job_options(self) | ({PROPOSED: self.objects or 0} if found else {})
        jobs = dataset_jobs(sequences, self.output, options, given=not found)
        spelling = spelling_of(DatasetRunCommand, grouped=True)
        with progress_bar(jobs, quiet=self.quiet) as progress:
            report = run_jobs(
                jobs,
                "vostrack.runs.sequence:track_sequence",
                self,
                progress=lambda e: progress(replace(e, detail=to_flags(e.detail, spelling))),
            )
        if not self.quiet or report.failed:
            print(_in_flags(report, spelling).summary())
        return report.exit_status

    def _masks(self) -> Path | None:
        """Return the folder for the annotations of BURST, beside the results."""
        if self.layout != "burst":
            return None
        if "://" in self.output:
            raise InputError("output: BURST's masks are unpacked there; give a local folder")
        return Path(self.output) / ".burst-masks"


def _in_flags(report: RunReport, spelling: Spelling) -> RunReport:
    """Return a report whose errors and warnings name flags."""
    from vostrack.cli.error_text import to_flags

    return replace(
        report,
        results=tuple(
            replace(
                result,
                error=None if result.error is None else to_flags(result.error, spelling),
                warnings=tuple(to_flags(text, spelling) for text in result.warnings),
            )
            for result in report.results
        ),
    )


@dataclass(frozen=True, kw_only=True)
class DatasetSubmitCommand(DatasetOptions):
    """Pack results into the file that the benchmark's server takes; refuse what it would refuse.

    Example: vostrack dataset submit --root DAVIS --set test-dev --results results --zip s.zip

    DAVIS and MOSE: SEQUENCE/00000.png at the root of the zip. YouTube-VOS and LVOS: inside a folder
    Annotations. BURST: one JSON file, scored by the benchmark's own tool.
    """

    results: Path = Path("results")
    """Folder of SEQUENCE/FRAME.png."""

    zip: Path | None = None
    """File to write. Default: submission.zip; for burst, which takes a .json file,
    submission.json."""

    overwrite: bool = False
    """Replace an earlier submission that this command wrote; other files are never replaced."""

    def run(self) -> int:
        """Write the file, and return 0."""
        import tempfile

        from vostrack.eval.submission import SubmissionForm, write_submission

        path = self._checked_path()
        if self.layout == "burst":
            from vostrack.eval.burst_submission import write_burst_submission

            subset = self.subset or "val"
            videos = write_burst_submission(
                self.results, self.root, subset, path, self.sequences or None
            )
            if not self.quiet:
                print(f"{path}: {videos} sequences")
            return 0
        with tempfile.TemporaryDirectory() as scratch:
            submission = write_submission(
                self.results,
                self.open(Path(scratch)),
                path,
                form=SubmissionForm.of(self.layout),
            )
        if not self.quiet:
            print(
                f"{submission.path}: {counted(submission.sequences, 'sequence')}, "
                f"{counted(submission.frames, 'mask')}, "
                f"{submission.rewritten} of them rewritten as palette PNG"
            )
            for note in submission.notes:
                print(f"note: {note}")
        return 0

    def _checked_path(self) -> Path:
        """Return the path of the file to write.

        Raises:
            InputError: it has another suffix, cannot be written, exists without `overwrite`, or
                holds something else than an earlier submission.
        """
        from vostrack.datasets.burst import burst_file
        from vostrack.eval.submission_file import check_submission_file, submission_suffix

        inputs = [self.results, self.root]
        if self.layout == "burst":
            inputs.append(burst_file(self.root, self.subset or "val"))
        path = self.zip or Path(f"submission{submission_suffix(self.layout)}")
        check_submission_file(path, self.layout, inputs=inputs, overwrite=self.overwrite)
        return path


@dataclass(frozen=True, kw_only=True)
class DatasetCheckCommand(DatasetOptions):
    """Check a submission zip, of any origin, against what the benchmark's server wants.

    Example: vostrack dataset check --root DAVIS --set test-dev --zip submission.zip
    """

    zip: Path = Path("submission.zip")
    """File to check."""

    def run(self) -> int:
        """Print the problems, and return 0 where the server would take the zip, else 1."""
        from vostrack.eval.submission import SubmissionForm, check_submission, describe_problems

        if self.layout == "burst":
            raise InputError(
                "layout: BURST has no zip; its submission is one JSON file, which the benchmark's "
                "own tool checks"
            )
        problems = check_submission(self.zip, self.open(), form=SubmissionForm.of(self.layout))
        if problems:
            print(describe_problems(problems))
        elif not self.quiet:
            print(f"{self.zip}: no problem found")
        return 1 if any(problem.fatal for problem in problems) else 0
