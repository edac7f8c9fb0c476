"""Score a folder of results against a dataset."""

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
from vostrack.eval.report_overlays import Pictures
from vostrack.masks import read_label_map

__all__ = ["evaluate", "pictures", "score_results"]

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
    """Score ``results/SEQUENCE/FRAME.png`` of every sequence.

    Args:
        results: folder of label maps, palette or gray PNG.
        sequences: what was to be found, as ``open_davis`` returns it; all frames annotated.
        task: whose conventions to follow.
        name: what to call the run; the folder's name by default.
        on_sequence: told of every sequence that is done.

    Raises:
        InputError: there is no such folder, a sequence is not annotated throughout, or the scorer
            refuses a frame; the message names it.
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


def pictures(
    sequences: Iterable[VideoSequence], results: Iterable[str | os.PathLike[str]]
) -> Pictures:
    """Return where a report finds its frames, their truth, and the masks of several runs."""
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

    return Pictures(
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
            f"results {folder}: no folder {sequence.name}; every sequence of the set needs one "
            "(`sequences` scores some of them only)"
        )
    for frame, annotation in zip(sequence.frame_names, sequence.annotations, strict=True):
        if annotation is None:
            raise InputError(
                f"{sequence.name}/{frame}: no annotation to score against; the test sets keep "
                "theirs on the server (vostrack davis submit packs results for it)"
            )
        path = folder / sequence.name / f"{frame}.png"
        prediction = read_label_map(path) if path.is_file() else None
        yield frame, prediction, read_label_map(annotation)
