"""The unsupervised DAVIS scores of one sequence: proposals matched to objects, then scored."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import linear_sum_assignment

from vostrack.arrays import AnyArray, DoubleArray
from vostrack.errors import InputError
from vostrack.eval.davis import Frame, SequenceScores
from vostrack.eval.frame_measures import FrameScores, pair_scores
from vostrack.eval.label_maps import as_label_map
from vostrack.masks.palette import VOID

__all__ = ["MAX_PROPOSALS", "UnsupervisedScorer", "score_unsupervised_sequence"]

MAX_PROPOSALS = 20
"""As many non-overlapping proposals as the benchmark allows in a sequence (Caelles et al. 2019)."""


class UnsupervisedScorer:
    """Scores a sequence whose objects were found without being shown.

    * The objects are the ids 1..N, N the highest id in the first frame's truth; the proposals are
      the ids 1..P of the predictions, P the highest in any frame and at most 20.
    * Every frame is scored, the first and the last too. Void (255) in the truth is left out of
      truth and prediction.
    * Each object gets the proposal that the Hungarian method gives it, on the means over the
      frames of (J + F) / 2. A proposal that is left over costs nothing; an object that is left
      over is scored against an empty mask.
    * The scores stand in the order of the objects. (The official code lists the same scores in
      the order of the proposals, so that its ``sequence_1`` need not be object 1.)
    """

    def __init__(self, name: str = "sequence") -> None:
        """Begin a sequence called ``name``."""
        self.name = name
        self._frames: list[str] = []
        self._scores: list[FrameScores] = []
        self._objects = 0
        self._proposals = 0

    def update(
        self, prediction: AnyArray | None, truth: AnyArray, frame: str | None = None
    ) -> None:
        """Add the next frame.

        Args:
            prediction: (H, W) ids of the proposals.
            truth: (H, W) ids of the objects; 255 void.
            frame: its name; by default its number in five digits.

        Raises:
            InputError: no prediction, not label maps, of different sizes, an id above 20, or no
                object in the first frame.
        """
        name = f"{self.name}/{f'{len(self._frames):05d}' if frame is None else frame}"
        if prediction is None:
            raise InputError(f"{name}: no predicted mask; every frame needs one")
        prediction = as_label_map(prediction, f"{name} (prediction)")
        truth = as_label_map(truth, f"{name} (truth)")
        if not self._frames:
            self._objects = int(truth[truth != VOID].max(initial=0))
            if not self._objects:
                raise InputError(f"{name} (truth): the first frame has no object (ids 1..254)")
        # As many rows as objects, so that each object can be given an empty mask.
        rows = max(MAX_PROPOSALS, self._objects)
        self._check_count(int(prediction.max()), name)
        self._scores.append(pair_scores(prediction, truth, rows, self._objects, name=name))
        self._proposals = max(self._proposals, int(prediction.max()))
        self._frames.append(name.removeprefix(f"{self.name}/"))

    def _check_count(self, highest: int, name: str) -> None:
        """Refuse more proposals than the benchmark allows."""
        if highest > MAX_PROPOSALS:
            raise InputError(
                f"{name}: the prediction has id {highest}, but at most {MAX_PROPOSALS} proposals "
                "are allowed; keep the best and renumber them"
            )

    def assignment(self) -> tuple[int, ...]:
        """Return the proposal id given to each object 1..N; above P it is an empty mask."""
        j, f = self._tables()
        rows, columns = linear_sum_assignment(-(j.mean(axis=0) + f.mean(axis=0)) / 2)
        return tuple(int(rows[column]) + 1 for column in np.argsort(columns))

    def compute(self) -> SequenceScores:
        """Return the scores of each object with its proposal.

        Raises:
            InputError: there is no frame yet.
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
        """Return J and F of each frame, proposal and object."""
        rows = max(self._proposals, self._objects)
        j = np.stack([scores.j[:rows] for scores in self._scores])
        f = np.stack([scores.f[:rows] for scores in self._scores])
        return j, f


def score_unsupervised_sequence(name: str, frames: Iterable[Frame]) -> SequenceScores:
    """Score a sequence whose objects were found without being shown.

    Args:
        name: of the sequence.
        frames: (name, prediction, truth) of each frame in order; see ``UnsupervisedScorer``, whose
            conventions these are.

    Raises:
        InputError: as the scorer does.
    """
    scorer = UnsupervisedScorer(name)
    for frame, prediction, truth in frames:
        scorer.update(prediction, truth, frame)
    return scorer.compute()
