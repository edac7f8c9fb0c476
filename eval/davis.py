"""The DAVIS scores of one sequence, frame by frame.

The conventions are those of the official evaluation code (davis2017-evaluation), stated at each
class. A scorer keeps a few numbers per frame and never a mask, so it can run beside a tracker.
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
        mean: over the scored frames, in [0, 1].
        recall: the share of scored frames above 0.5, in [0, 1].
        decay: the mean of the first quarter of the frames less that of the last, in [-1, 1]; NaN
            where a quarter has no frames.
    """

    mean: float
    recall: float
    decay: float


def summarize(values: DoubleArray) -> Measure:
    """Summarize one measure of one object (Perazzi et al. 2016, section 5.1).

    The quarters are the official ones: neighbours share a frame, and their limits are 8-bit
    numbers, so a sequence with more than 256 scored frames takes the quarters from its beginning,
    or finds the last one empty, whose decay is then NaN.

    Args:
        values: (T,) per frame; NaN where a frame is not scored.
    """
    scored = values[~np.isnan(values)]
    if not len(scored):
        return Measure(float("nan"), float("nan"), float("nan"))
    limits = np.round(np.linspace(1, len(scored), 5) + 1e-10) - 1
    first, second, _, fourth, last = limits.astype(np.int64) % 256
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # the mean of an empty quarter
        decay = np.mean(scored[first : second + 1]) - np.mean(scored[fourth : last + 1])
    return Measure(float(np.mean(scored)), float(np.mean(scored > 0.5)), float(decay))


@dataclass(frozen=True)
class SequenceScores:
    """J and F of every object in every frame of a sequence.

    Attributes:
        name: of the sequence.
        frames: T names.
        j: (T, N) region similarity in [0, 1], object n in column n-1; NaN where a frame is not
            scored.
        f: (T, N) contour accuracy, likewise.
    """

    name: str
    frames: tuple[str, ...]
    j: DoubleArray
    f: DoubleArray

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            InputError: the tables do not fit the frames.
        """
        for table in (self.j, self.f):
            if table.ndim != 2 or table.shape != self.j.shape or len(table) != len(self.frames):
                raise InputError(
                    f"sequence {self.name}: expected J and F of shape ({len(self.frames)}, N), "
                    f"got {self.j.shape} and {self.f.shape}"
                )

    @property
    def objects(self) -> int:
        """N, the number of objects."""
        return int(self.j.shape[1])

    def measure(self, which: Literal["J", "F"], number: int) -> Measure:
        """Summarize one measure of object ``number`` (1..N)."""
        return summarize((self.j if which == "J" else self.f)[:, number - 1])


class SemiSupervisedScorer:
    """Scores a sequence whose objects were given in its first frame.

    * The objects are the ids 1..N, N the highest id in the first frame's truth. With ``binary``
      (DAVIS 2016) whatever is not 0 is the one object.
    * The first and the last frame are not scored. Until another frame comes, the latest counts as
      the last.
    * Void (255) in the truth is background, and so is an id above N; nothing is masked out.
    * J is 1 where an object is absent from truth and prediction, and so is F.
    * A predicted id above N is an error; an object that is never predicted scores 0 where it is.
    * What is wrong with a frame that is not scored does not matter, as the official code never
      reads it: an error about a frame is raised when the next one arrives.
    """

    def __init__(self, name: str = "sequence", *, binary: bool = False) -> None:
        """Begin a sequence.

        Args:
            name: of the sequence, for its scores and in errors.
            binary: score foreground against background (DAVIS 2016).
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
            prediction: (H, W) ids, or None where the results lack this frame.
            truth: (H, W) ids; 255 is void unless ``binary``.
            frame: its name; by default its number in five digits.

        Returns:
            The scores of this frame (which will not count if it proves to be the last), or None
            for the first frame and for one that cannot be scored.

        Raises:
            InputError: the truth is no label map or its first frame has no object; or the frame
                before this one must be scored and cannot be: no prediction, another size than the
                truth, or an id above N.
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
        """Return the scores of the frames so far, the latest taken as the last.

        Raises:
            InputError: there is no frame between the first and the last.
        """
        if len(self._frames) < 3:
            raise InputError(
                f"sequence {self.name}: expected at least 3 frames, as the first and the last are "
                f"not scored, got {len(self._frames)}"
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
                f"{self.name}/{frame} (truth): the first frame has no object (ids 1..254); "
                "give the annotation of the first frame first"
            )
        return objects

    def _score(self, prediction: AnyArray | None, truth: UInt8Array, name: str) -> FrameScores:
        """Score one frame."""
        if prediction is None:
            raise InputError(f"{name}: no predicted mask; every scored frame needs one")
        prediction = as_label_map(prediction, f"{name} (prediction)")
        check_same_size(prediction, truth, name)
        if not self.binary:
            highest = int(prediction.max())
            if highest > self._objects:
                raise InputError(
                    f"{name}: the prediction has id {highest}, but the first frame's truth has "
                    f"only {self._objects} objects; number them as that annotation does"
                )
            truth = only_ids(truth, self._objects)
        return matched_scores(prediction, truth, self._objects)


def score_sequence(name: str, frames: Iterable[Frame], *, binary: bool = False) -> SequenceScores:
    """Score a sequence whose objects were given in its first frame.

    Args:
        name: of the sequence.
        frames: (name, prediction, truth) of each frame in order; see ``SemiSupervisedScorer``,
            whose conventions these are.
        binary: score foreground against background (DAVIS 2016).

    Raises:
        InputError: as the scorer does.
    """
    scorer = SemiSupervisedScorer(name, binary=binary)
    for frame, prediction, truth in frames:
        scorer.update(prediction, truth, frame)
    return scorer.compute()
