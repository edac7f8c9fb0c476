"""The worst frames of a report, as images for the HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from vostrack.arrays import AnyArray
from vostrack.errors import InputError
from vostrack.eval.davis import SequenceScores
from vostrack.eval.label_maps import as_label_map
from vostrack.eval.report import DavisReport
from vostrack.masks.palette import VOID, davis_palette
from vostrack.video.overlay import draw_overlay

__all__ = ["FrameName", "ReportImages", "overlay_uri", "worst_frames"]

_Image = Callable[[str, str], AnyArray | None]

_PER_SEQUENCE = 2
_WIDTH = 480


@dataclass(frozen=True)
class ReportImages:
    """Functions that return the images of a report for a sequence name and a frame name.

    Attributes:
        frame: returns the frame, (H, W, 3) uint8 RGB; None if it is not available.
        truth: returns the true label map (H, W); None if it is not available.
        predictions: one function per run, which returns the predicted label map (H, W); None if it
            is not available.
        binary: whether every id above 0, including 255, is the one object (DAVIS 2016).
    """

    frame: _Image
    truth: _Image
    predictions: Sequence[_Image]
    binary: bool = False


class FrameName(NamedTuple):
    """A frame of a sequence, by name."""

    sequence: str
    frame: str


def worst_frames(report: DavisReport, limit: int) -> list[FrameName]:
    """Select the frames whose worst object has the lowest (J + F) / 2.

    At most two frames of a sequence are selected, and they are not close to each other, so that one
    lost object does not fill the list.

    Args:
        report: the run.
        limit: maximum number of frames.

    Returns:
        The frames, the worst first.
    """
    ranked = sorted(
        (score, sequence.name, index)
        for sequence in report.sequences
        for index, score in _scored(sequence)
    )
    sequences = {sequence.name: sequence for sequence in report.sequences}
    taken: dict[str, list[int]] = {}
    chosen: list[FrameName] = []
    for _, name, index in ranked:
        near = max(len(sequences[name].frames) // 5, 1)
        others = taken.setdefault(name, [])
        crowded = len(others) >= _PER_SEQUENCE or any(abs(index - one) < near for one in others)
        if len(chosen) < limit and not crowded:
            others.append(index)
            chosen.append(FrameName(name, sequences[name].frames[index]))
    return chosen


def _scored(sequence: SequenceScores) -> list[tuple[int, float]]:
    """Return the index of each scored frame with the score of its worst object."""
    both = (sequence.j + sequence.f) / 2
    worst = np.where(np.isnan(both), np.inf, both).min(axis=1)
    worst[np.isinf(worst)] = np.nan
    return [(index, float(score)) for index, score in enumerate(worst) if not np.isnan(score)]


def overlay_uri(frame: AnyArray | None, labels: AnyArray, *, binary: bool) -> str:
    """Draw a label map over its frame and return a JPEG as ``data:`` URI.

    Args:
        frame: (H, W, 3) uint8 RGB; None for a gray background.
        labels: (H, W) ids. 255 is void and not drawn, unless ``binary``.
        binary: whether to draw every id above 0 as one object.

    Raises:
        InputError: the label map is malformed or does not have the size of the frame.
    """
    labels = as_label_map(labels, "worst frame")
    labels = (labels > 0).astype(np.uint8) if binary else np.where(labels == VOID, 0, labels)
    if frame is None:
        frame = np.full((*labels.shape, 3), 90, dtype=np.uint8)
    if frame.dtype != np.uint8 or frame.shape != (*labels.shape, 3):
        raise InputError(
            f"worst frame: expected a uint8 RGB image of the mask's size {labels.shape}, "
            f"got {frame.dtype} of shape {frame.shape}"
        )
    # Double the brightness of the palette, because dark red is hard to see over a dark scene.
    bright = np.minimum(davis_palette().astype(np.int64) * 2, 255).astype(np.uint8)
    drawn = draw_overlay(frame, labels.astype(np.uint8), palette=bright)
    image = Image.fromarray(drawn)
    image.thumbnail((_WIDTH, _WIDTH))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
