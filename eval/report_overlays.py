"""The worst frames of a report, as pictures for the HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vostrack.arrays import AnyArray
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores
from vostrack.eval.label_maps import as_label_map
from vostrack.eval.report import DavisReport
from vostrack.masks.palette import VOID, davis_palette
from vostrack.video.overlay import draw_overlay

__all__ = ["Pictures", "overlay_uri", "worst_frames"]

Picture = Callable[[str, str], AnyArray | None]

_PER_SEQUENCE = 2
_WIDTH = 480


@dataclass(frozen=True)
class Pictures:
    """Where the pictures come from; each is asked with (sequence name, frame name).

    Attributes:
        frame: gives the frame (H, W, 3) uint8 RGB; None where it is not at hand.
        truth: gives its true label map (H, W).
        predictions: one for each run, gives its label map (H, W).
        binary: every id above 0 is the one object (DAVIS 2016), 255 too.
    """

    frame: Picture
    truth: Picture
    predictions: Sequence[Picture]
    binary: bool = False


def worst_frames(report: DavisReport, limit: int) -> list[tuple[str, str]]:
    """Choose the frames whose worst object has the lowest (J + F) / 2.

    No more than two of a sequence are chosen, and not neighbours, so that one lost object does
    not fill the list.

    Args:
        report: the run.
        limit: how many frames at most.

    Returns:
        (sequence, frame) names, worst first.
    """
    ranked = sorted(
        (score, sequence.name, index)
        for sequence in report.sequences
        for index, score in _scored(sequence)
    )
    sequences = {sequence.name: sequence for sequence in report.sequences}
    taken: dict[str, list[int]] = {}
    chosen: list[tuple[str, str]] = []
    for _, name, index in ranked:
        near = max(len(sequences[name].frames) // 5, 1)
        others = taken.setdefault(name, [])
        crowded = len(others) >= _PER_SEQUENCE or any(abs(index - one) < near for one in others)
        if len(chosen) < limit and not crowded:
            others.append(index)
            chosen.append((name, sequences[name].frames[index]))
    return chosen


def _scored(sequence: SequenceScores) -> list[tuple[int, float]]:
    """Return the scored frames with the score of their worst object."""
    worst = ((sequence.j + sequence.f) / 2).min(axis=1)
    return [(index, float(score)) for index, score in enumerate(worst) if not np.isnan(score)]


def overlay_uri(frame: AnyArray | None, labels: AnyArray, *, binary: bool) -> str:
    """Draw a label map over its frame, as a JPEG in a ``data:`` address.

    Args:
        frame: (H, W, 3) uint8 RGB, or None for a gray ground.
        labels: (H, W) ids; 255 is void and not drawn, unless ``binary``.
        binary: draw every id above 0 as one object.

    Raises:
        InputError: not a label map, or not of the frame's size.
    """
    labels = as_label_map(labels, "worst frame")
    labels = (labels > 0).astype(np.uint8) if binary else np.where(labels == VOID, 0, labels)
    if frame is None:
        frame = np.full((*labels.shape, 3), 90, dtype=np.uint8)
    if frame.dtype != np.uint8 or frame.shape != (*labels.shape, 3):
        raise InputError(
            f"worst frame: expected a uint8 RGB picture of the mask's size {labels.shape}, "
            f"got {frame.dtype} of shape {frame.shape}"
        )
    # The palette at twice its brightness: dark red is hard to see over a dark scene.
    bright = np.minimum(davis_palette().astype(np.int64) * 2, 255).astype(np.uint8)
    drawn = draw_overlay(frame, labels.astype(np.uint8), palette=bright)
    picture = Image.fromarray(drawn)
    picture.thumbnail((_WIDTH, _WIDTH))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
