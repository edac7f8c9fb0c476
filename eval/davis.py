"""DAVIS evaluation of one sequence, frame by frame.

The conventions are those of the official evaluation code (davis2017-evaluation) and are documented
at each class. A scorer stores a few numbers per frame but no masks, so it can run during tracking.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vostrack.arrays import AnyArray, DoubleArray, UInt8Array
from vostrack.errors import InputError
from vostrack.eval.frame_measures import (
    FrameScores,
    matched_scores,
    only_ids,
)
from vostrack.eval.label_maps import as_label_map, check_same_size
from vostrack.masks.palette import VOID

__all__ = [
    "Measure",
    "SemiSupervisedScorer",
    "SequenceScores",
    "score_sequence",
    "summarize",
]

Frame = tuple[str, AnyArray | None, AnyArray]


@dataclass(frozen=True)
class Measure:
    """One measure over the frames of an object, or its mean over objects.

    Attributes:
        mean: mean over the scored frames, in [0, 1].
        recall: fraction of scored frames above 0.5, in [0, 1].
        decay: mean of the first quarter of the frames minus that of the last quarter, in [-1, 1];
            NaN if a quarter has no frames.
    """

    mean: float
    recall: float
    decay: float


def summarize(values: DoubleArray, *, official_decay: bool = False) -> Measure:
    """Summarize one measure of one object (Perazzi et al. 2016, section 5.1).

    As in the official code, neighbouring quarters share a frame.

    Args:
        values: (T,), one value per frame; NaN for frames that are not scored.
        official_decay: whether the limits of the quarters are 8-bit numbers, as in the official
            code. They differ with more than 256 scored frames: the quarters are then taken from
            the beginning of the sequence, or the last one is empty and the decay is NaN.
    """
    scored = values[~np.isnan(values)]
    if not len(scored):
        return Measure(float("nan"), float("nan"), float("nan"))
    limits = np.round(np.linspace(1, len(scored), 5) + 1e-10) - 1
    first, second, _, fourth, last = limits.astype(np.int64) % (256 if official_decay else 1 << 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # the mean of an empty quarter
        decay = np.mean(scored[first : second + 1]) - np.mean(scored[fourth : last + 1])
    return Measure(float(np.mean(scored)), float(np.mean(scored > 0.5)), float(decay))


@dataclass(frozen=True)
class SequenceScores:
    """J and F of every object in every frame of a sequence.

    Attributes:
        name: name of the sequence.
        frames: names of the T frames.
        j: (T, N), region similarity in [0, 1], one column per object; NaN for frames that are
            not scored.
        f: (T, N), contour accuracy, in the same form.
        ids: ids of the N objects, ascending; 1..N by default.
        official_decay: which decay ``measure`` computes, see ``summarize``.
    """

    name: str
    frames: tuple[str, ...]
    j: DoubleArray
    f: DoubleArray
    ids: tuple[int, ...] = ()
    official_decay: bool = False

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            InputError: the tables do not match the frames.
        """
        for table in (self.j, self.f):
            if table.ndim != 2 or table.shape != self.j.shape or len(table) != len(self.frames):
                raise InputError(
                    f"sequence {self.name}: expected J and F of shape ({len(self.frames)}, N), "
                    f"got {self.j.shape} and {self.f.shape}"
                )
        if not self.ids:
            object.__setattr__(self, "ids", tuple(range(1, self.objects + 1)))
        if len(set(self.ids)) != self.objects:
            raise InputError(
                f"sequence {self.name}: expected {self.objects} distinct ids, got {self.ids}"
            )

    @property
    def objects(self) -> int:
        """N, the number of objects."""
        return int(self.j.shape[1])

    def measure(self, which: Literal["J", "F"], number: int) -> Measure:
        """Summarize one measure of the object with the id ``number``."""
        return summarize(self.values(which, number), official_decay=self.official_decay)

    def values(self, which: Literal["J", "F"], number: int) -> DoubleArray:
        """Return one measure of the object with the id ``number``: (T,), NaN if not scored.

        Raises:
            InputError: there is no such object.
        """
        if number not in self.ids:
            raise InputError(f"sequence {self.name}: expected one of {self.ids}, got id {number}")
        return (self.j if which == "J" else self.f)[:, self.ids.index(number)]


class SemiSupervisedScorer:
    """Scores a sequence of the semi-supervised task, where the first mask is given.

    * The objects are the ids 1..N, where N is the highest id in the truth of the first frame. With
      ``binary`` (DAVIS 2016), everything except 0 is the one object.
    * The first and the last frame are not scored. The latest frame counts as the last until another
      one is added.
    * Void (255) and ids above N in the truth are background. Nothing is masked out.
    * If an object is absent from truth and prediction, J and F are 1.
    * A predicted id above N is an error. An object that is not predicted scores 0 where it exists.
    * Errors in a frame that is not scored are ignored, because the official code does not read it.
      An error in a frame is therefore raised when the next frame is added.
    """

    def __init__(self, name: str = "sequence", *, binary: bool = False) -> None:
        """Start a sequence.

        Args:
            name: name of the sequence.
            binary: whether to score foreground against background (DAVIS 2016).
        """
        self.name = name
        self.binary = binary
        self._frames: list[str] = []
        self._scores: list[FrameScores] = []
        self._objects = 0
        self._problem: InputError | None = None

    def update(
        self, prediction: AnyArray | None, truth: AnyArray, frame: str | None = None
    ) -> FrameScores | None:
        """Add the next frame.

        Args:
            prediction: (H, W) ids; None if the results lack this frame.
            truth: (H, W) ids; 255 is void unless ``binary``.
            frame: name of the frame; by default its number with five digits.

        Returns:
            The scores of this frame, which do not count if it is the last one; None for the first
            frame and for a frame that cannot be scored.

        Raises:
            InputError: the truth is malformed or has no object in the first frame; or the previous
                frame cannot be scored, because the prediction is missing, has another size, or has
                an id above N.
        """
        frame = f"{len(self._frames):05d}" if frame is None else frame
        if self._problem:
            raise self._problem
        truth = as_label_map(truth, f"{self.name}/{frame} (truth)")
        first = not self._frames
        if first:
            self._objects = self._count_objects(truth, frame)
        self._frames.append(frame)
        nothing = np.full(self._objects, np.nan)
        scores = FrameScores(nothing, nothing)
        if not first:
            try:
                scores = self._score(prediction, truth, f"{self.name}/{frame}")
            except InputError as problem:
                self._problem = problem
        self._scores.append(scores)
        return None if first or self._problem else scores

    def compute(self) -> SequenceScores:
        """Return the scores of the frames so far, with the latest one as the last.

        Raises:
            InputError: there are fewer than 3 frames.
        """
        if len(self._frames) < 3:
            raise InputError(
                f"sequence {self.name}: expected at least 3 frames, because the first and the last "
                f"are not scored, got {len(self._frames)}"
            )
        j = np.stack([scores.j for scores in self._scores])
        f = np.stack([scores.f for scores in self._scores])
        j[-1] = f[-1] = np.nan
        return SequenceScores(self.name, tuple(self._frames), j, f)

    def _count_objects(self, truth: UInt8Array, frame: str) -> int:
        """Return the highest id of the first frame."""
        objects = int(truth.any()) if self.binary else int(truth[truth != VOID].max(initial=0))
        if not objects:
            raise InputError(
                f"{self.name}/{frame} (truth): expected an object (ids 1..254) in the first frame, "
                "got none; start with the annotation of the first frame"
            )
        return objects

    def _score(self, prediction: AnyArray | None, truth: UInt8Array, name: str) -> FrameScores:
        """Score one frame."""
        if prediction is None:
            raise InputError(f"{name}: no predicted mask; expected one for every scored frame")
        prediction = as_label_map(prediction, f"{name} (prediction)")
        check_same_size(prediction, truth, name)
        if not self.binary:
            highest = int(prediction.max())
            if highest > self._objects:
                raise InputError(
                    f"{name}: expected ids up to {self._objects} in the prediction like in the "
                    f"first frame's truth, got {highest}; number the objects like that annotation"
                )
            truth = only_ids(truth, self._objects)
        return matched_scores(prediction, truth, self._objects)


def score_sequence(name: str, frames: Iterable[Frame], *, binary: bool = False) -> SequenceScores:
    """Score a sequence with ``SemiSupervisedScorer``.

    Args:
        name: name of the sequence.
        frames: (name, prediction, truth) of each frame, in order.
        binary: whether to score foreground against background (DAVIS 2016).

    Raises:
        InputError: as in ``SemiSupervisedScorer``.
    """
    scorer = SemiSupervisedScorer(name, binary=binary)
    for frame, prediction, truth in frames:
        scorer.update(prediction, truth, frame)
    return scorer.compute()
