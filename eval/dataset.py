"""Scoring a folder of results against a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from vostrack.arrays import AnyArray
from vostrack.datasets import VideoSequence, open_davis
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores, score_sequence
from vostrack.eval.davis_unsupervised import score_unsupervised_sequence
from vostrack.eval.report import DavisReport, versions
from vostrack.eval.report_overlays import ReportImages
from vostrack.masks import read_label_map

__all__ = ["evaluate", "report_images", "score_results"]

Task = Literal["semi-supervised", "unsupervised"]


def evaluate(
    results: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    year: int = 2017,
    subset: str = "val",
    task: Task = "semi-supervised",
    resolution: str = "480p",
    annotations: str | None = None,
    sequences: Sequence[str] | None = None,
    name: str | None = None,
) -> DavisReport:
    """Score a folder of results against a data set in DAVIS layout, as ``vostrack eval`` does.

        report = evaluate("results", "DAVIS", year=2017, subset="val")
        report.measure("J").mean

    Args:
        results: folder of ``SEQUENCE/00000.png``, palette or gray PNG of object ids.
        root: folder with ImageSets, JPEGImages and Annotations.
        year: 2016 (masks are binary) or 2017 (masks hold ids).
        subset: train, val or trainval of 2016; train or val of 2017.
        task: whose conventions to follow.
        resolution: folder below JPEGImages.
        annotations: another folder in place of Annotations.
        sequences: only these.
        name: what to call the run; the folder's name by default.

    Raises:
        InputError: as ``open_davis`` and ``score_results``.
    """
    found = open_davis(
        Path(root),
        year=year,
        subset=subset,
        task=task,
        resolution=resolution,
        annotations=annotations,
        sequences=sequences or None,
    )
    return score_results(results, found, task=task, name=name)


def score_results(
    results: str | os.PathLike[str],
    sequences: Iterable[VideoSequence],
    *,
    task: Task = "semi-supervised",
    name: str | None = None,
    on_sequence: Callable[[str], None] | None = None,
) -> DavisReport:
    """Score the masks ``results/SEQUENCE/FRAME.png`` of every sequence.

    Args:
        results: folder of label maps, palette or gray PNG.
        sequences: the ground truth, as ``open_davis`` returns it, with all frames annotated.
        task: the evaluation protocol.
        name: name of the run; by default that of the folder.
        on_sequence: called with the name of every finished sequence.

    Returns:
        The scores.

    Raises:
        InputError: the folder does not exist, a frame has no annotation, or the scorer rejects a
            frame.
    """
    folder = Path(results)
    if not folder.is_dir():
        raise InputError(
            f"results {folder}: no such folder; expected one with a folder of masks per sequence"
        )
    scores: list[SequenceScores] = []
    source = ""
    for sequence in sequences:
        frames = _frames(folder, sequence)
        if task == "unsupervised":
            scores.append(score_unsupervised_sequence(sequence.name, frames))
        else:
            binary = sequence.semantics == "binary"
            scores.append(score_sequence(sequence.name, frames, binary=binary))
        source = sequence.source
        if on_sequence is not None:
            on_sequence(sequence.name)
    info = {"results": str(results), "source": source, "task": task, "versions": versions()}
    return DavisReport(scores, name or folder.resolve().name, info)


def report_images(
    sequences: Iterable[VideoSequence], results: Iterable[str | os.PathLike[str]]
) -> ReportImages:
    """Return access to the frames, the ground truth and the masks of several runs.

    Args:
        sequences: the sequences of the report.
        results: the folders of results, one per run.
    """
    known = {sequence.name: sequence for sequence in sequences}
    frames = {
        (name, frame): number
        for name, sequence in known.items()
        for number, frame in enumerate(sequence.frame_names)
    }

    def frame_of(name: str, frame: str) -> AnyArray | None:
        import numpy as np
        from PIL import Image

        with Image.open(known[name].frames[frames[name, frame]]) as image:
            return np.asarray(image.convert("RGB"))

    def truth_of(name: str, frame: str) -> AnyArray | None:
        path = known[name].annotations[frames[name, frame]]
        return None if path is None else read_label_map(path)

    def masks_in(folder: Path) -> Callable[[str, str], AnyArray | None]:
        def mask_of(name: str, frame: str) -> AnyArray | None:
            path = folder / name / f"{frame}.png"
            return read_label_map(path) if path.is_file() else None

        return mask_of

    return ReportImages(
        frame=frame_of,
        truth=truth_of,
        predictions=[masks_in(Path(folder)) for folder in results],
        binary=any(sequence.semantics == "binary" for sequence in known.values()),
    )


def _frames(
    folder: Path, sequence: VideoSequence
) -> Iterator[tuple[str, AnyArray | None, AnyArray]]:
    if not (folder / sequence.name).is_dir():
        raise InputError(
            f"results {folder}: no folder {sequence.name}; expected one for every sequence; select "
            "fewer with `sequences`"
        )
    for frame, annotation in zip(sequence.frame_names, sequence.annotations, strict=True):
        if annotation is None:
            raise InputError(
                f"{sequence.name}/{frame}: no annotation; those of the test sets are only on the "
                "server; pack the results for it with vostrack davis submit"
            )
        path = folder / sequence.name / f"{frame}.png"
        prediction = read_label_map(path) if path.is_file() else None
        yield frame, prediction, read_label_map(annotation)
