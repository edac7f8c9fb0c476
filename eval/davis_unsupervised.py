"""Unsupervised DAVIS evaluation of one sequence: match proposals to objects and score them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vostrack.arrays import AnyArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.davis import Frame, SequenceScores
from vostrack.eval.frame_measures import FrameScores, pair_scores
from vostrack.eval.label_maps import as_label_map
from vostrack.masks.palette import VOID

__all__ = ["MAX_PROPOSALS", "UnsupervisedScorer", "score_unsupervised_sequence"]

MAX_PROPOSALS = 20
"""Maximum number of non-overlapping proposals in a sequence (Caelles et al. 2019)."""


class UnsupervisedScorer:
    """Scores a sequence of the unsupervised task, where no first mask is given.

    * The objects are the ids 1..N, where N is the highest id in the truth of the first frame. The
      proposals are the ids 1..P of the predictions, where P is the highest id in any frame and at
      most 20.
    * Every frame is scored, including the first and the last. Void (255) in the truth is removed
      from truth and prediction.
    * The Hungarian method assigns a proposal to each object, based on (J + F) / 2 averaged over
      the frames. Unassigned proposals are not penalized. Unassigned objects are scored against an
      empty mask.
    * The scores are in the order of the objects. (The official code lists the same scores in the
      order of the proposals, so its ``sequence_1`` need not be object 1.)
    """

    def __init__(self, name: str = "sequence", *, objects: int | None = None) -> None:
        """Start a sequence.

        Args:
            name: name of the sequence.
            objects: N, if the first frame added is not the first of the sequence.
        """
        self.name = name
        self._frames: list[str] = []
        self._scores: list[FrameScores] = []
        self._objects = objects or 0
        self._proposals = 0

    def update(
        self, prediction: AnyArray | None, truth: AnyArray, frame: str | None = None
    ) -> None:
        """Add the next frame.

        Args:
            prediction: (H, W) ids of the proposals.
            truth: (H, W) ids of the objects; 255 void.
            frame: name of the frame; by default its number with five digits.

        Raises:
            InputError: the prediction is missing, a label map is malformed, the sizes differ, an id
                is above 20, or the first frame has no object.
        """
        name = f"{self.name}/{f'{len(self._frames):05d}' if frame is None else frame}"
        if prediction is None:
            raise InputError(f"{name}: no predicted mask; expected one for every frame")
        prediction = as_label_map(prediction, f"{name} (prediction)")
        truth = as_label_map(truth, f"{name} (truth)")
        if not self._objects:
            self._objects = int(truth[truth != VOID].max(initial=0))
            if not self._objects:
                raise InputError(
                    f"{name} (truth): expected an object (ids 1..254) in the first frame, got none"
                )
        # At least as many rows as objects, so that each object can be assigned an empty mask.
        rows = max(MAX_PROPOSALS, self._objects)
        self._check_count(int(prediction.max()), name)
        self._scores.append(pair_scores(prediction, truth, rows, self._objects, name=name))
        self._proposals = max(self._proposals, int(prediction.max()))
        self._frames.append(name.removeprefix(f"{self.name}/"))

    def _check_count(self, highest: int, name: str) -> None:
        """Check that there are not more proposals than the benchmark allows."""
        if highest > MAX_PROPOSALS:
            raise InputError(
                f"{name}: expected at most {MAX_PROPOSALS} proposals in the prediction, got id "
                f"{highest}; keep the best ones and renumber them"
            )

    def assignment(self) -> tuple[int, ...]:
        """Return the proposal id assigned to each object 1..N. Ids above P are empty masks."""
        from scipy.optimize import linear_sum_assignment  # the other scores need no scipy

        j, f = self._tables()
        rows, columns = linear_sum_assignment(-(j.mean(axis=0) + f.mean(axis=0)) / 2)
        return tuple(int(rows[column]) + 1 for column in np.argsort(columns))

    def compute(self) -> SequenceScores:
        """Return the scores of each object with its assigned proposal.

        Raises:
            InputError: no frame was added.
        """
        if not self._frames:
            raise InputError(f"sequence {self.name}: expected at least 1 frame, got none")
        j, f = self._tables()
        proposals = np.array(self.assignment()) - 1
        objects = np.arange(self._objects)
        return SequenceScores(
            self.name, tuple(self._frames), j[:, proposals, objects], f[:, proposals, objects]
        )

    def _tables(self) -> tuple[DoubleArray, DoubleArray]:
        """Return J and F for each frame, proposal and object."""
        rows = max(self._proposals, self._objects)
        j = np.stack([scores.j[:rows] for scores in self._scores])
        f = np.stack([scores.f[:rows] for scores in self._scores])
        return j, f


def score_unsupervised_sequence(name: str, frames: Iterable[Frame]) -> SequenceScores:
    """Score a sequence with ``UnsupervisedScorer``.

    Args:
        name: name of the sequence.
        frames: (name, prediction, truth) of each frame, in order.

    Raises:
        InputError: as in ``UnsupervisedScorer``.
    """
    scorer = UnsupervisedScorer(name)
    for frame, prediction, truth in frames:
        scorer.update(prediction, truth, frame)
    return scorer.compute()
