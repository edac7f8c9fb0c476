"""How well a tracker does on annotated videos, in memory: no result is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.errors import InputError
from vostrack.eval.frame_measures import matched_scores, only_ids
from vostrack.masks.palette import read_label_map
from vostrack.tracking.tracker import Tracker
from vostrack.video.images import read_image

__all__ = ["score_held_out"]


def score_held_out(
    build: Callable[[], Tracker], videos: Sequence[VideoSequence]
) -> dict[str, float]:
    """Track every video from its first annotation, and score all later annotated frames.

    Args:
        build: makes a tracker that has seen nothing.
        videos: each with at least two annotated frames.

    Returns:
        Mean ``J``, ``F`` and their mean ``J&F`` over the videos, each the mean over its frames
        and objects.

    Raises:
        InputError: there is no video, or one has fewer annotated frames.
    """
    if not videos:
        raise InputError("validation: no video is held out to judge on")
    every = np.stack([_score(build(), video) for video in videos]).mean(0)
    return {"J": float(every[0]), "F": float(every[1]), "J&F": float(every.mean())}


def _score(tracker: Tracker, video: VideoSequence) -> tuple[float, float]:
    """Return mean J and F of a video."""
    scores, objects, started = [], 0, False
    for frame, annotation in zip(video.frames, video.annotations, strict=True):
        truth = None if annotation is None else _labels(video, annotation)
        image = read_image(frame)
        if not started:
            if truth is not None and truth.any():
                objects, started = int(truth.max()), True
                tracker.start(image, truth)
            continue
        labels = tracker.step(image).labels
        if truth is not None:
            scores.append(matched_scores(labels, only_ids(truth, objects), objects))
    if not scores:
        raise InputError(
            f"validation: {video.name} has fewer than two annotated frames; leave it out"
        )
    return (
        float(np.mean([score.j for score in scores])),
        float(np.mean([score.f for score in scores])),
    )


def _labels(video: VideoSequence, annotation: Path) -> UInt8Array:
    labels = read_label_map(annotation)
    if video.semantics != "ids":
        return (labels > 0).astype(np.uint8)
    return np.where(labels == 255, 0, labels).astype(np.uint8)
