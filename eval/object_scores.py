"""Scoring the objects of one sequence in the frames that a benchmark scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vostrack.arrays import BoolArray, UInt8Array
from vostrack.eval.davis import SequenceScores
from vostrack.eval.findings import Finding
from vostrack.eval.frame_measures import FrameScores, matched_scores
from vostrack.masks.palette import VOID

__all__ = ["Missing", "ScoringPlan", "score_objects"]

Missing = Literal["skip", "empty"]


@dataclass(frozen=True)
class ScoringPlan:
    """Which objects of a sequence are scored in which frames.

    Attributes:
        frames: names of the T frames.
        ids: ids of the N objects, ascending.
        scored: (T, N), whether an object is scored in a frame.
        binary: whether any id above 0 is the one object (DAVIS 2016).
        hint: what to do about true objects that are not among ``ids``; "" if nothing can be done.
        notes: what a reader of the scores must know about the truth.
    """

    frames: tuple[str, ...]
    ids: tuple[int, ...]
    scored: BoolArray
    binary: bool = False
    hint: str = ""
    notes: tuple[Finding, ...] = ()


@dataclass
class _Noted:
    """The frames in which something is wrong."""

    missing: list[str] = field(default_factory=list)
    sizes: dict[str, list[str]] = field(default_factory=dict)
    surplus: dict[int, list[str]] = field(default_factory=dict)
    late: dict[int, str] = field(default_factory=dict)


def score_objects(
    name: str,
    plan: ScoringPlan,
    prediction: Callable[[str], UInt8Array | None],
    truth: Callable[[str], UInt8Array],
    *,
    present: Sequence[str] | frozenset[str] | None = None,
    missing: Missing = "skip",
) -> tuple[SequenceScores, list[Finding]]:
    """Score every object in the frames of a plan.

    J and F are those of ``frame_scores``: void and the truth of other ids are background, and an
    object that is absent from truth and prediction scores 1. Frames that cannot be scored are left
    out and named.

    Args:
        name: name of the sequence.
        plan: what to score.
        prediction: returns the predicted ids (H, W) of a frame; None if there are none.
        truth: returns the true ids (H, W) of a frame.
        present: names of the frames that have a file of results, even an unusable one; all by
            default.
        missing: "skip" leaves frames without a file out, "empty" scores them as empty masks.

    Returns:
        The scores, NaN where nothing was scored, and what was left out.
    """
    objects = len(plan.ids)
    scores = FrameScores(
        np.full((len(plan.frames), objects), np.nan), np.full((len(plan.frames), objects), np.nan)
    )
    noted = _Noted()
    table = _table(plan)
    for index, frame in enumerate(plan.frames):
        if not plan.scored[index].any():
            continue
        true = truth(frame)
        guess = prediction(frame)
        if guess is None and (present is None or frame not in present):
            noted.missing.append(frame)
            guess = np.zeros_like(true) if missing == "empty" else None
        if guess is None:
            continue
        if guess.shape != true.shape:
            size = f"{guess.shape[1]}x{guess.shape[0]}, the truth {true.shape[1]}x{true.shape[0]}"
            noted.sizes.setdefault(size, []).append(frame)
            continue
        _note_ids(noted, plan, frame, guess, true)
        row = matched_scores(_places(table, guess), _places(table, true), objects)
        kept = plan.scored[index]
        scores.j[index, kept], scores.f[index, kept] = row.j[kept], row.f[kept]
    found = SequenceScores(name, plan.frames, scores.j, scores.f, plan.ids)
    return found, [*plan.notes, *_findings(name, noted, plan, missing)]


def _table(plan: ScoringPlan) -> UInt8Array:
    """Return the place of each id among the objects, from 1; 0 for all others."""
    table = np.zeros(256, dtype=np.uint8)
    if plan.binary:
        table[1:] = 1
    for place, number in enumerate(plan.ids, start=1):
        table[number] = place
    return table


def _places(table: UInt8Array, labels: UInt8Array) -> UInt8Array:
    """Look labels up in a table, unless they already are places."""
    highest = int(labels.max(initial=0))
    return labels if (table[: highest + 1] == np.arange(highest + 1)).all() else table[labels]


def _note_ids(
    noted: _Noted, plan: ScoringPlan, frame: str, guess: UInt8Array, true: UInt8Array
) -> None:
    """Note ids that are no object of the plan."""
    if plan.binary:
        return
    if not noted.late.keys() >= (late := _others(true, plan.ids) - {VOID}):
        for number in sorted(late - noted.late.keys()):
            noted.late[number] = frame
    for number in sorted(_others(guess, plan.ids)):
        noted.surplus.setdefault(number, []).append(frame)


def _others(labels: UInt8Array, ids: tuple[int, ...]) -> set[int]:
    if int(labels.max(initial=0)) <= len(ids) and ids[-1] == len(ids):
        return set()
    used = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
    return set(used.tolist()) - {0, *ids}


def _findings(name: str, noted: _Noted, plan: ScoringPlan, missing: Missing) -> list[Finding]:
    found = []
    if noted.missing:
        done = "left out" if missing == "skip" else "scored as empty masks"
        whole = int(np.count_nonzero(plan.scored.any(axis=1)))
        message = f"no predicted mask for {len(noted.missing)} of {whole} scored frames; {done}"
        found.append(Finding("missing", name, message, tuple(noted.missing), lost=True))
    for size, frames in noted.sizes.items():
        message = (
            f"the predicted mask is {size}; not scored, because resizing changes scores; save the "
            "masks at the truth's size"
        )
        found.append(Finding("size", name, message, tuple(frames), lost=True))
    for number, frames in noted.surplus.items():
        what = "void (255)" if number == VOID else f"id {number}"
        message = f"{what} is no scored object of the truth and was taken for background"
        found.append(Finding("ids", name, message, tuple(frames), lost=True))
    for number, frame in noted.late.items():
        message = (
            f"object {number} is not in the first frame but appears in frame {frame}; it was not "
            f"scored{plan.hint and '; '}{plan.hint}"
        )
        found.append(Finding("late", name, message, lost=True))
    return found
