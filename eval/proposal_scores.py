"""Scoring the proposals of one sequence in the unsupervised task, with frames left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets.video_sequence import VideoSequence
from vostrack.eval.davis import SequenceScores
from vostrack.eval.davis_unsupervised import MAX_PROPOSALS, UnsupervisedScorer
from vostrack.eval.findings import Finding
from vostrack.eval.object_scores import Missing
from vostrack.eval.result_masks import ResultMasks
from vostrack.masks.palette import VOID

__all__ = ["score_proposals"]


def score_proposals(
    sequence: VideoSequence,
    masks: ResultMasks,
    truth: Callable[[str], UInt8Array],
    *,
    missing: Missing = "skip",
) -> tuple[SequenceScores | None, list[Finding]]:
    """Match the proposals of a sequence with its objects and score them.

    Args:
        sequence: the sequence.
        masks: its results.
        truth: returns the true label map of a frame.
        missing: what to do with frames without a file.

    Returns:
        The scores, NaN in frames that were left out; None if nothing could be scored. And what was
        left out.
    """
    names = sequence.frame_names
    if any(path is None for path in sequence.annotations):
        message = "no annotation of some frames; the truth of test sets is only on the server"
        return None, [Finding("truth", sequence.name, message, lost=True)]
    first = truth(names[0])
    if not first[first != VOID].any():
        message = "the truth has no object in the first frame"
        return None, [Finding("empty", sequence.name, message, lost=True)]
    scorer = UnsupervisedScorer(sequence.name, objects=int(first[first != VOID].max()))
    left_out: dict[str, list[str]] = {}
    rows: list[int] = []
    for index, frame in enumerate(names):
        guess, true = masks.read(frame), truth(frame)
        if guess is None and frame not in masks.frames:
            left_out.setdefault("missing", []).append(frame)
            guess = np.zeros_like(true) if missing == "empty" else None
        if guess is not None and guess.shape != true.shape:
            left_out.setdefault("size", []).append(frame)
            guess = None
        if guess is None:
            continue
        if int(guess.max()) > MAX_PROPOSALS:
            left_out.setdefault("ids", []).append(frame)
            guess = np.where(guess > MAX_PROPOSALS, np.uint8(0), guess)
        scorer.update(guess, true, frame)
        rows.append(index)
    findings = [_finding(sequence.name, kind, frames) for kind, frames in left_out.items()]
    if not rows:
        return None, findings
    some = scorer.compute()
    j = np.full((len(names), some.objects), np.nan)
    f = j.copy()
    j[rows], f[rows] = some.j, some.f
    return SequenceScores(sequence.name, names, j, f), findings


def _finding(name: str, kind: str, frames: list[str]) -> Finding:
    texts = {
        "missing": "no predicted mask",
        "size": "the predicted mask has another size than the truth; not scored",
        "ids": f"ids above {MAX_PROPOSALS}, the most proposals that DAVIS allows, were left out",
    }
    kinds = {"missing": "missing", "size": "size", "ids": "ids"}
    return Finding(kinds[kind], name, texts[kind], tuple(frames), lost=True)  # type: ignore[arg-type]
