"""The frames, truth and masks of several runs, for the pictures of a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from vostrack.arrays import AnyArray
from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.eval.dataset import result_masks
from vostrack.eval.report_overlays import ReportImages
from vostrack.eval.result_folder import find_sequences
from vostrack.eval.result_masks import ResultMasks
from vostrack.masks import read_label_map
from vostrack.video.image_file import read_image

__all__ = ["report_images"]


def report_images(
    sequences: Iterable[VideoSequence], results: Iterable[str | os.PathLike[str]]
) -> ReportImages:
    """Return access to the frames, the ground truth and the masks of several runs.

    There is no frame where it cannot be read or has another size than the ground truth, and no mask
    where that has another size.

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

    def truth_of(name: str, frame: str) -> AnyArray | None:
        path = known[name].annotations[frames[name, frame]]
        return None if path is None else read_label_map(path)

    def frame_of(name: str, frame: str) -> AnyArray | None:
        try:
            picture = read_image(known[name].frames[frames[name, frame]])
        except InputError:
            return None  # the scores need no picture
        truth = truth_of(name, frame)
        return None if truth is not None and truth.shape != picture.shape[:2] else picture

    def masks_in(folder: Path) -> Callable[[str, str], AnyArray | None]:
        masks = _masks_in(folder, known)

        def mask_of(name: str, frame: str) -> AnyArray | None:
            labels, truth = masks(name, frame), truth_of(name, frame)
            same = labels is None or truth is None or labels.shape == truth.shape
            return labels if same else None

        return mask_of

    return ReportImages(
        frame=frame_of,
        truth=truth_of,
        predictions=[masks_in(Path(folder)) for folder in results],
        binary=any(sequence.semantics == "binary" for sequence in known.values()),
    )


def _masks_in(root: Path, known: dict[str, VideoSequence]) -> Callable[[str, str], AnyArray | None]:
    @cache
    def masks(name: str) -> ResultMasks | None:
        try:
            folder = find_sequences(root, list(known)).folders.get(name)
        except InputError:
            return None
        return None if folder is None else result_masks(known[name], folder)

    def mask_of(name: str, frame: str) -> AnyArray | None:
        found = masks(name)
        return None if found is None else found.read(frame)

    return mask_of
