"""Frames that would be scored but have no truth: what is said of them."""

from __future__ import annotations

import numpy as np

from vostrack.arrays import BoolArray
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.eval.findings import Finding

__all__ = ["about_missing_truth"]

# Their metadata list the frames in which each object is annotated; those between need no truth.
_LISTED = frozenset({"youtube-vos", "burst"})


def about_missing_truth(
    sequence: VideoSequence, layout: str, ids: tuple[int, ...], wanted: BoolArray, given: BoolArray
) -> list[Finding]:
    """Name the frames and the objects that are not scored because there is no truth of them.

    Truth of one frame in k may be meant so, and is noted. Any other gap, and every frame that the
    metadata list, is lost: the data set is incomplete, and so are the scores.

    Args:
        sequence: the video.
        layout: the benchmark.
        ids: of the K objects.
        wanted: (T, K), where the benchmark scores each object, with truth or without.
        given: (T,), where the mask of a new object is given; such a frame may have a mask that
            others of its kind do not have.
    """
    annotated = np.array([path is not None for path in sequence.annotations])
    names = sequence.frame_names
    findings: list[Finding] = []
    gaps = np.flatnonzero(wanted.any(axis=1) & ~annotated)
    if len(gaps):
        step = 0 if layout in _LISTED else _step(annotated, given)
        why = (
            f"one frame in {step} is annotated, and the others are not scored"
            if step
            else "they are left out of the scores; complete the data set"
        )
        message = f"no annotation of {len(gaps)} of {len(names)} frames ({why})"
        found = tuple(names[index] for index in gaps)
        findings.append(Finding("truth", sequence.name, message, found, lost=not step))
    for number, column in zip(ids, wanted.T, strict=True):
        if (column & annotated).any():
            continue
        message = f"object {number} is not scored: "
        if column.any():
            message += "none of its frames that count has an annotation"
        else:
            message += "no frame after the one in which it is given counts"
        findings.append(Finding("truth", sequence.name, message, lost=bool(column.any())))
    return findings


def _step(annotated: BoolArray, given: BoolArray) -> int:
    """Return k where every k-th frame from the first mask on is annotated; 0 where gaps vary."""
    first = int(np.argmax(annotated))
    for step in range(2, len(annotated) - first):
        regular = np.zeros_like(annotated)
        regular[first::step] = True
        if annotated[regular].all() and not (annotated & ~regular & ~given).any():
            return step
    return 0
