"""Notes on scores: what a reader should know although nothing was left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.datasets import VideoSequence
from vostrack.eval.davis import SequenceScores
from vostrack.eval.findings import Finding
from vostrack.eval.object_scores import ScoringPlan
from vostrack.eval.plans import ScoringOptions
from vostrack.eval.result_masks import ResultMasks

__all__ = ["about_decay", "about_split", "merged_objects", "unscored_frames"]

_WRAPS = 256


def unscored_frames(plan: ScoringPlan, masks: ResultMasks) -> list[Finding]:
    """Note frames without a mask that are not scored anyway, such as the first and the last."""
    spare = [
        frame
        for index, frame in enumerate(plan.frames)
        if frame not in masks.frames and not plan.scored[index].any()
    ]
    if not spare or len(spare) > 2:
        return []
    message = "no mask of a frame that is not scored; a submission needs it"
    return [Finding("missing", masks.name, message, tuple(spare))]


def merged_objects(
    sequence: VideoSequence, plan: ScoringPlan, truth: Callable[[str], UInt8Array]
) -> list[Finding]:
    """Note that several objects of the truth are scored as one."""
    if not plan.binary:
        return []
    ids = np.flatnonzero(np.bincount(truth(plan.frames[0]).ravel(), minlength=256)[1:]) + 1
    if len(ids) < 2:
        return []
    listed = ", ".join(map(str, ids.tolist()))
    message = f"the truth holds the ids {listed}, which are one object here; or use `year=2017`"
    return [Finding("truth", sequence.name, message)]


def about_decay(scores: list[SequenceScores], options: ScoringOptions) -> list[Finding]:
    """Note sequences whose decay the official code computes from other quarters."""
    long = [s.name for s in scores if (~np.isnan(s.j)).sum(axis=0).max(initial=0) > _WRAPS]
    if not long:
        return []
    kind = "official" if options.official_decay else "exact"
    other = (
        "the quarters of the official code wrap at 256 frames"
        if options.official_decay
        else "the official code's wraps at 256 frames; `official_decay=True` computes that one"
    )
    names = ", ".join(long[:6]) + (" ..." if len(long) > 6 else "")
    message = f"more than {_WRAPS} scored frames in {names}: the decay is {kind}; {other}"
    return [Finding("decay", "", message)]


def about_split(options: ScoringOptions) -> list[Finding]:
    """Note that the seen and the unseen part cannot be told apart."""
    files = {"youtube-vos": "train/meta.json", "lvos": "unseen_videos.txt"}
    if options.split is not None or options.layout not in files:
        return []
    message = f"no {files[options.layout]} tells which objects are unseen; give a file as `split`"
    return [Finding("split", "", message)]
